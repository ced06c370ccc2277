"""The records of a batch, parsed from its unpacked bytes as they come: in pieces, in bounded memory.

Knows no Kafka but the form of a record in a batch of format 2, as Kafka's documentation has it ("Record"):
its length, then attributes, differences of time and offset to those of the batch, key, value and headers,
numbers as varints in zigzag encoding. A piece may end anywhere.

A record that is far larger than one may be is never held as a whole: it becomes a dead letter `too_large`,
with the beginning of its key and value.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from aggregator.counting.facts import Refusal
from aggregator.counting.reading import DeadLetter, KafkaRecord, Record
from aggregator.log.unpacking import DamagedError
from schemas.topics import CUT_KEY_BYTES, CUT_VALUE_BYTES, RECORD_MAX_BYTES

WHOLE_MAX: Final = 2 * RECORD_MAX_BYTES
"""A longer record is never held as a whole: it is `too_large`, even where it is made of nothing but the
lengths of empty headers. Shorter ones are checked by whoever reads them: dead letters may be larger."""


class Numbering(NamedTuple):
    """What a batch's header says of its records.

    records: how many they are. base_offset, next_offset: their offsets are in [base, next) and rise.
    first_ms: what their times are counted from, in ms since 1970; append_ms: the time of all of them instead,
    none where each has its own.
    """

    records: int
    base_offset: int
    next_offset: int
    first_ms: int
    append_ms: int | None


def parsed(unpacked: Iterator[bytes], numbering: Numbering) -> Iterator[KafkaRecord]:
    """The records of a batch, in order; those that are too large as `DeadLetter`s.

    unpacked: its bytes behind the header, in pieces of any size; what follows the last record is not read.
    Raises: DamagedError at the first record that is not right, after those before it; what `unpacked` raises.
    """
    stream = _Stream(unpacked)
    offset = numbering.base_offset - 1
    for _ in range(numbering.records):
        length = stream.varint()
        stream.begin(length)
        stream.skip(1)  # attributes, which mean nothing yet
        timestamp = numbering.first_ms + stream.varint()
        if numbering.append_ms is not None:
            timestamp = numbering.append_ms
        before, offset = offset, numbering.base_offset + stream.varint()
        if not before < offset < numbering.next_offset:
            raise DamagedError(f"offset {offset} after {before}, in a batch up to {numbering.next_offset}")
        yield _record(stream, offset, timestamp, whole=length <= WHOLE_MAX)


def _record(stream: "_Stream", offset: int, timestamp: int, *, whole: bool) -> KafkaRecord:
    key, _ = stream.field(WHOLE_MAX if whole else CUT_KEY_BYTES)
    value, value_bytes = stream.field(WHOLE_MAX if whole else CUT_VALUE_BYTES)
    if not whole:
        stream.skip(stream.left)
        return DeadLetter(offset, timestamp, key, value, Refusal.TOO_LARGE, value_bytes)
    headers = tuple(stream.headers())
    if stream.left:
        raise DamagedError(f"{stream.left} bytes after the headers of a record")
    return Record(offset, timestamp, key, value, headers)


class _Stream:
    """What is read of pieces, in order. All of it raises DamagedError where it goes beyond their end.

    left: how many bytes of the record that was begun are not read.
    """

    def __init__(self, source: Iterator[bytes]) -> None:
        self._source = source
        self._piece = b""
        self._at = 0
        self.left = 0

    def has_more(self) -> bool:
        """Whether there is a byte left."""
        while self._at >= len(self._piece):
            piece = next(self._source, None)
            if piece is None:
                return False
            self._piece, self._at = piece, 0
        return True

    def begin(self, length: int) -> None:
        """From now on, `left` counts down from a record's length."""
        if length < 0:
            raise DamagedError(f"a record of {length} bytes")
        self.left = length

    def varint(self) -> int:
        """A number in zigzag encoding, of at most 64 bits."""
        value = shift = 0
        while True:
            if not self.has_more():
                raise DamagedError("the bytes end within a number")
            byte = self._piece[self._at]
            self._at += 1
            self.left -= 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)
            if shift > 63:
                raise DamagedError("a number of more than 64 bits")

    def skip(self, length: int) -> None:
        """Pass over bytes of the record."""
        self._take(length, 0)

    def field(self, most: int) -> tuple[bytes | None, int]:
        """The first bytes of a field that begins with its length, at most so many, and its true length."""
        length = self.varint()
        return (None, 0) if length == -1 else (self._take(length, most), length)

    def headers(self) -> Iterator[tuple[str, bytes | None]]:
        """The headers of a record, names in UTF-8 as far as they are."""
        count = self.varint()
        if count < 0:
            raise DamagedError(f"{count} headers")
        for _ in range(count):
            name, _ = self.field(WHOLE_MAX)
            if name is None:
                raise DamagedError("a header without a name")
            yield name.decode(errors="replace"), self.field(WHOLE_MAX)[0]

    def _take(self, length: int, most: int) -> bytes:
        """Go on by `length` bytes. Returns: the first `most` of them."""
        if not 0 <= length <= self.left:
            raise DamagedError(f"{length} bytes where a record has {self.left} left")
        self.left -= length
        parts = []
        while length:
            if not self.has_more():
                raise DamagedError("the bytes end within a record")
            here = min(length, len(self._piece) - self._at)
            if most:
                parts.append(self._piece[self._at : self._at + min(here, most)])
                most -= len(parts[-1])
            self._at += here
            length -= here
        return b"".join(parts)
