"""Kafka's record batches as they were fetched: compressed, and unpacked a bit at a time, when they are read.

Every reader of the log, live or in bulk, reads it here; so all come to the same outcome for each offset, and
in bounded memory, whatever a batch of a megabyte unpacks to:
- A batch that unpacks to no more than `VALUE_MAX` bytes is parsed by aiokafka at once: nearly all are.
- Any other is parsed from pieces, record by record (`record_parser`). What is far larger than a record may
  be becomes a dead letter `too_large`, cut while it is unpacked.
- A batch that cannot be unpacked or parsed up to its last record is unreadable as a whole: a dead letter for
  each of its offsets, without a value and at the batch's latest time. (Its checksum is right: it was sent so,
  and Kafka's broker takes some.) What follows the last record is no matter, as for the broker.

It leans on private names of aiokafka, which is pinned; the names are tested. Why fetches stay packed:
aiokafka makes an object of each record of a fetch at once, which costs more than the reading of an event and
leaves tens of megabytes between the unpacking of a value and its decoding.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from struct import Struct
from typing import Final, NamedTuple

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.util import calc_crc32c

from aggregator.counting.facts import Refusal
from aggregator.counting.reading import DeadLetter, KafkaRecord
from aggregator.log.record_parser import Numbering, parsed
from aggregator.log.unpacking import DamagedError, pieces, unpacked_up_to
from schemas.topics import VALUE_MAX_BYTES

_NONE: Final[tuple[KafkaRecord, ...]] = ()
_HEADER: Final = Struct(">qiibIhiqqqhii")
_ATTRIBUTES: Final = Struct(">h")
_ATTRIBUTES_AT: Final = 21
_LENGTH_AT: Final = 8
_PREFIX: Final = 12
"""Bytes before those that a batch's length counts."""

_CODEC, _APPEND_TIME, _TRANSACTIONAL, _CONTROL = 0x07, 0x08, 0x10, 0x20
_MAGIC: Final = 2


class RecordBatch(NamedTuple):
    """Records of one partition, all in offsets [first, next).

    last_ms: the latest time of any of them, in ms since 1970. packed: gives the records, unpacked anew each
    time; there are none where they are Kafka's own or of a transaction that was aborted.
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

    def records(self) -> Iterable[KafkaRecord]:
        """Its records, in order; those that were refused before they were read are `DeadLetter`s."""
        return self.packed if self.whole else (each for each in self.packed if each.offset >= self.first)


def unpacked(batches: list[RecordBatch]) -> Iterator[KafkaRecord]:
    """The records of some batches, in order; takes each batch off the list before it unpacks it."""
    batches.reverse()  # a list gives its last one away at once, and its first one after moving all others
    return chain.from_iterable(batches.pop().records() for _ in range(len(batches)))


class PackedBatch:
    """One record batch as it came off the wire; iterating unpacks it."""

    def __init__(self, raw: bytes) -> None:
        """Read the header alone.

        raw: all of its bytes. Raises: CorruptRecordException where it has another format than Kafka's since
        0.11, which brokers have rewritten all others to since 3.0.
        """
        self.raw = raw
        (
            self.base_offset,
            _length,
            _epoch,
            magic,
            self._crc,
            self._attributes,
            self._last_delta,
            self._first_ms,
            self.max_timestamp,
            self.producer_id,
            _producer_epoch,
            _sequence,
            self._count,
        ) = _HEADER.unpack_from(raw)
        if magic != _MAGIC:
            raise CorruptRecordException(f"a record batch of format {magic}")
        self.next_offset = self.base_offset + self._last_delta + 1
        self.is_control_batch = bool(self._attributes & _CONTROL)
        self.is_transactional = bool(self._attributes & _TRANSACTIONAL)

    def validate_crc(self) -> bool:
        """Whether its checksum is right."""
        return bool(calc_crc32c(memoryview(self.raw)[_ATTRIBUTES_AT:]) == self._crc)

    def __iter__(self) -> Iterator[KafkaRecord]:
        """Its records, in order, those that are refused as `DeadLetter`s."""
        try:
            small = unpacked_up_to(VALUE_MAX_BYTES, self._attributes & _CODEC, self.raw[_HEADER.size :])
        except DamagedError:
            small = None  # perhaps only behind the last record
        if small is not None and (found := self._parsed_by_aiokafka(small)) is not None:
            return iter(found)
        try:
            for _ in self._parsed():  # to its end, before any of its records counts
                pass
        except DamagedError:
            return self._unreadable()
        return self._parsed()

    def _parsed_by_aiokafka(self, payload: bytes) -> list[KafkaRecord] | None:
        """All records, one for each offset.

        Returns: none where they are not, or aiokafka refuses them: for a header's name that is no UTF-8, say.
        """
        head = bytearray(self.raw[: _HEADER.size])
        _ATTRIBUTES.pack_into(head, _ATTRIBUTES_AT, self._attributes & ~_CODEC)
        try:
            found = list(DefaultRecordBatch(bytes(head) + payload))
        except (CorruptRecordException, ValueError):
            return None
        offsets = [each.offset for each in found]
        return found if offsets == list(range(self.base_offset, self.next_offset)) else None

    def _unreadable(self) -> Iterator[DeadLetter]:
        for offset in range(self.base_offset, self.next_offset):
            yield DeadLetter(offset, self.max_timestamp, None, None, Refusal.UNREADABLE)

    def _parsed(self) -> Iterator[KafkaRecord]:
        """The records, parsed from pieces. Raises: DamagedError, at the first that is not right."""
        return parsed(
            pieces(self._attributes & _CODEC, self.raw[_HEADER.size :]),
            Numbering(
                records=self._count,
                base_offset=self.base_offset,
                next_offset=self.next_offset,
                first_ms=self._first_ms,
                append_ms=self.max_timestamp if self._attributes & _APPEND_TIME else None,
            ),
        )


class PackedBatches:
    """The record batches of one answer to a fetch, in place of aiokafka's `MemoryRecords`."""

    def __init__(self, data: bytes | None) -> None:
        """data: as the broker sent it; the last batch may be cut off."""
        self._data = data or b""
        self._at = 0

    def size_in_bytes(self) -> int:
        """Of all of it."""
        return len(self._data)

    def _end(self) -> int:
        """Where the next batch ends, if all of it is there."""
        if self._at + _HEADER.size > len(self._data):
            return len(self._data) + 1
        length = int.from_bytes(self._data[self._at + _LENGTH_AT : self._at + _PREFIX], "big", signed=True)
        if length < _HEADER.size - _PREFIX:
            raise CorruptRecordException(f"a record batch of {length} bytes")
        return self._at + _PREFIX + length

    def has_next(self) -> bool:
        """Whether there is a batch left. Raises CorruptRecordException where its length cannot be."""
        return self._end() <= len(self._data)

    def next_batch(self) -> PackedBatch:
        """The next one. Raises CorruptRecordException where it has an old format."""
        begin, self._at = self._at, self._end()
        return PackedBatch(self._data[begin : self._at])


class PackedRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka has no types
    """What a fetch brought of one partition: gives `RecordBatch`es where aiokafka's gives records.

    next_fetch_offset: what is to be asked of Kafka next, the end of what was handed out.
    """

    next_fetch_offset: int
    _records: PackedBatches

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

    def _is_aborted(self, packed: PackedBatch) -> bool:
        """Whether its transaction was aborted; keeps book of which are, batch by batch."""
        if self._isolation_level != fetcher.READ_COMMITTED:
            return False
        self._consume_aborted_up_to(packed.base_offset)
        if packed.is_control_batch and self._contains_abort_marker(DefaultRecordBatch(packed.raw)):
            self._aborted_producers.discard(packed.producer_id)
        return packed.is_transactional and packed.producer_id in self._aborted_producers


def keep_fetches_packed() -> None:
    """From now on, all of aiokafka's consumers in this process hand out `RecordBatch`es."""
    vars(fetcher)["MemoryRecords"] = PackedBatches
    vars(fetcher)["PartitionRecords"] = PackedRecords
