"""Finding records: the one that is asked for, those of the same mail, and a dead letter.

All of it reads the log from an offset on, and says how much it read.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from aggregator.counting.reading import KafkaRecord
from aggregator.log.bulk_reader import BulkReader
from aggregator.log.coverage import CLOCKS_MS
from schemas.topics import SNS_MESSAGE_ID


class NoRecordError(Exception):
    """There is no such record in the log."""


class Found(NamedTuple):
    """A record, and its partition."""

    partition: int
    record: KafkaRecord

    def header(self, name: str) -> bytes | None:
        """What a header says; none where the record has no such header."""
        headers: dict[str, bytes | None] = dict(getattr(self.record, "headers", ()))
        return headers.get(name)


class Finder:
    """Looks for records of one topic, and counts what it reads."""

    def __init__(self, bulk: BulkReader, partitions: int) -> None:
        """bulk: of the topic, for its own use. partitions: how many the topic has."""
        self._bulk = bulk
        self._partitions = partitions
        self.records = 0
        """How many were read."""

    def at(self, partition: int, offset: int) -> Found:
        """The record at an offset. Raises: NoRecordError, KafkaUnavailableError."""
        if partition >= self._partitions:
            raise NoRecordError(f"the topic has {self._partitions} partitions, from 0 on")
        begins, end = self._bulk.ranges(self._partitions)[partition]
        if not begins <= offset < end:
            raise NoRecordError(f"the log of partition {partition} begins at {begins} and ends at {end}")
        for found in self._each({partition: offset}, {partition: offset + 1}, lambda _: True):
            return found
        raise NoRecordError(f"there is no record at offset {offset} of partition {partition}")

    def of_sns(self, message_id: str, since_ms: int) -> list[Found]:
        """The records of one message of SNS: more than one where SNS delivered it again.

        since_ms: no record that was written before is looked at, as far as records' own times say.
        Raises: KafkaUnavailableError.
        """
        wanted = message_id.encode()
        return self._each(
            self._bulk.offsets_since(self._partitions, since_ms),
            self._ends(),
            lambda found: found.header(SNS_MESSAGE_ID) == wanted,
        )

    def of_mail(self, like: Found, since_ms: int, end: int) -> list[Found]:
        """The other records of a mail in the same partition: those with the same key, up to an offset.

        since_ms: no record of the mail has an earlier time of its own. Raises: KafkaUnavailableError.
        """
        if like.record.key is None:
            return []
        since = self._bulk.offsets_since(self._partitions, since_ms)[like.partition]
        return self._each(
            {like.partition: since},
            {like.partition: end},
            lambda found: found.record.key == like.record.key and found.record.offset != like.record.offset,
        )

    def by_key(self, key: str, since_ms: int) -> Found | None:
        """The first record with a key that was written since a time, clocks aside.

        Raises: KafkaUnavailableError.
        """
        wanted = key.encode()
        since = self._bulk.offsets_since(self._partitions, since_ms - CLOCKS_MS)
        found = self._each(since, self._ends(), lambda found: found.record.key == wanted)
        return found[0] if found else None

    def _ends(self) -> dict[int, int]:
        return {number: end for number, (_, end) in self._bulk.ranges(self._partitions).items()}

    def _each(
        self, start: Mapping[int, int], stop: Mapping[int, int], wanted: Callable[[Found], bool]
    ) -> list[Found]:
        """The records in between that are wanted."""
        chosen = []
        for number, rows in self._bulk.until(start, stop):
            self.records += len(rows)
            chosen += [found for found in (Found(number, row) for row in rows) if wanted(found)]
        return chosen
