"""What is proved: the live counters, from where they were counted, and what of them the log can speak for."""

from collections.abc import Mapping
from contextlib import closing
from typing import NamedTuple

from aggregator.config import AggregatorSettings
from aggregator.counters.generation import validate
from aggregator.counters.keyspace import Keyspace
from aggregator.counters.store import Store
from aggregator.counting.rules import Erasures
from aggregator.counting.timestamps import iso
from aggregator.errors import KafkaUnavailableError, OtherLogError
from aggregator.history.reader import History
from aggregator.log.admin import Cluster, Log
from aggregator.log.coverage import Coverage, coverage_of
from aggregator.log.erasures import ErasureTopic
from schemas.counters import Generation
from schemas.instants import DAY_MS
from schemas.kinds import FUTURE_MS, HORIZON_MS
from schemas.redis_keys import unsafe_id

Checkpoints = Mapping[int, int]


def earliest_record_ms(since_ms: int) -> int:
    """The least time of a record's own that can matter to the counts of times from `since_ms` on.

    A mail with a fact then was sent within the horizon before. The same fact may have been reported for an
    earlier time, where it counts instead: at the earliest at the start of the day of that send.
    """
    return max(0, (since_ms - HORIZON_MS) // DAY_MS * DAY_MS - FUTURE_MS)


class Subject(NamedTuple):
    """Live counters and their log.

    counted_from: the offset at which each partition of the counters begins, where that is not 0: a rebuild
    may have made partial ones. erasures: all that there are.
    """

    log: Log
    live: Generation
    counted_from: Mapping[int, int]
    erasures: Erasures

    def first_offsets(self, history: History, now_ms: int) -> tuple[dict[int, int], Coverage]:
        """From where the log is counted again, and what it can speak for so.

        history: of the log, for its own use meanwhile. now_ms: the time, in ms since 1970.
        Raises: as `History.ranges`; OtherLogError where that is nothing yet.
        """
        ranges = {
            number: (max(first, self.counted_from.get(number, 0)), end)
            for number, (first, end) in history.ranges(self.log.partitions).items()
        }
        coverage = coverage_of(history.bulk, ranges, self.counted_from, now_ms)
        if coverage.first_ms is not None and coverage.first_ms > now_ms:
            raise OtherLogError(
                f"the log has lost its beginning, and can speak for nothing before {iso(coverage.first_ms)}"
            )
        return {number: first for number, (first, _) in ranges.items()}, coverage

    def offsets_since(self, history: History, first: Mapping[int, int], since_ms: int) -> dict[int, int]:
        """From where the records of a time and later are read, of a log that begins where it did.

        first: of `first_offsets`. since_ms: in ms since 1970.
        Raises: as `History.ranges`, also where the log has lost more since `first` was looked at.
        """
        partitions = self.log.partitions
        since = history.offsets_since(partitions, since_ms)
        if any(begins > first.get(number, 0) for number, (begins, _) in history.ranges(partitions).items()):
            raise KafkaUnavailableError("the log lost records while it was looked at")
        return {number: max(at, since[number]) for number, at in first.items()}


def subject_of(settings: AggregatorSettings) -> Subject:
    """The log, and the live generation that was counted from it by these rules.

    Raises: PostponedError of any kind where there is nothing that these rules could verify.
    """
    log = Cluster(settings).log()
    with closing(ErasureTopic(settings)) as topic:
        erasures = topic.read()
    with closing(Store(settings)) as store:
        store.open()
        record = store.record()
    live = validate(record.live, settings.rules, log)
    member = record.named(live.name)
    return Subject(log, live, member.start if member is not None else {}, erasures)


def tenants_of(keys: Keyspace, generation: Generation) -> list[str]:
    """The tenants that have counters, in order. Raises: GoneError, StoreUnavailableError."""
    lanes = range(generation.lanes)
    return sorted(unsafe_id(safe) for lane in lanes for safe in keys.tenants(generation, lane))
