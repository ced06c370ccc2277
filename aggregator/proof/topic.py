"""The topic as slim events: what a recount takes in."""

from collections.abc import Iterator, Mapping
from typing import Any

from aggregator.archive.columns import columns_of
from aggregator.archive.slim import Reducer
from aggregator.counting.rules import Rules
from aggregator.log.bulk_reader import BulkReader
from schemas.archive import ALWAYS_DROPPED


def slim_batches(
    bulk: BulkReader, rules: Rules, topic_id: str, start: Mapping[int, int], stop: Mapping[int, int]
) -> Iterator[tuple[int, Any]]:
    """All records from `start` up to `stop` of each partition, in order.

    Returns: the partition, and a record batch of the archive's schema.
    Raises: KafkaUnavailableError, also where nothing has come for a minute.
    """
    reduce = Reducer(rules.recipient_key, ALWAYS_DROPPED.difference(rules.tags)).reduce
    for number, rows in bulk.until(start, stop):
        if rows:
            yield number, columns_of(topic_id, number, list(map(reduce, rows)))
