"""Kafka's record batches as they were fetched: compressed, and unpacked one at a time, when they are read.

aiokafka makes an object of each record of a fetch at once. That costs more than the reading of an event, and
leaves tens of megabytes between the unpacking of a value and its decoding. Here a fetch stays as it came off
the wire; a record batch is unpacked by whoever reads it, while the processor still has it at hand, and is
forgotten after it.

It leans on private names of aiokafka, which is pinned; the names are tested.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Final, NamedTuple

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException

from aggregator.reading import KafkaRecord

_NONE: Final[tuple[KafkaRecord, ...]] = ()


class RecordBatch(NamedTuple):
    """Records of one partition, all in offsets [first, next).

    last_ms: the latest time of any of them, in ms since 1970. packed: gives the records once, and keeps them
    unpacked from then on; there are none where they are Kafka's own or of a transaction that was aborted.
    whole: whether `packed` holds none before `first`.
    """

    first: int
    next: int
    last_ms: int
    packed: Iterable[KafkaRecord]
    whole: bool

    def starting_at(self, offset: int) -> "RecordBatch":
        """What is left of it from one of its own offsets on."""
        return self if offset <= self.first else self._replace(first=offset, whole=False)

    def _records(self) -> Iterable[KafkaRecord]:
        return self.packed if self.whole else (each for each in self.packed if each.offset >= self.first)


def unpacked(batches: list[RecordBatch]) -> Iterator[KafkaRecord]:
    """The records of some batches, in order; takes each batch off the list before it unpacks it.

    Raises: CorruptRecordException where one cannot be unpacked.
    """
    return chain.from_iterable(batches.pop(0)._records() for _ in range(len(batches)))


class PackedRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka has no types
    """What a fetch brought of one partition: gives `RecordBatch`es where aiokafka's gives records.

    next_fetch_offset: what is to be asked of Kafka next, the end of what was handed out.
    """

    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[RecordBatch]:
        """Called once. Raises CorruptRecordException where a checksum is wrong."""
        while self._records.has_next():
            packed = self._records.next_batch()
            if self._check_crcs and not packed.validate_crc():
                raise CorruptRecordException(f"a checksum is wrong in {self._tp}")
            begin, first, end = packed.base_offset, self.next_fetch_offset, packed.next_offset
            void = self._is_aborted(packed) or packed.is_control_batch
            if end > first:
                self.next_fetch_offset = end
                yield RecordBatch(
                    max(begin, first), end, packed.max_timestamp, _NONE if void else packed, begin >= first
                )

    def _is_aborted(self, packed: Any) -> bool:
        """Whether its transaction was aborted; keeps book of which are, batch by batch."""
        if self._isolation_level != fetcher.READ_COMMITTED or packed.producer_id is None:
            return False
        self._consume_aborted_up_to(packed.base_offset)
        if packed.is_control_batch and self._contains_abort_marker(packed):
            self._aborted_producers.discard(packed.producer_id)
        return bool(packed.is_transactional and packed.producer_id in self._aborted_producers)


def keep_fetches_packed() -> None:
    """From now on, all of aiokafka's consumers in this process hand out `RecordBatch`es."""
    vars(fetcher)["PartitionRecords"] = PackedRecords
