"""Fetches that stay packed until they are read say just what aiokafka's own unpacking of them says."""

import os
import struct
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED, READ_UNCOMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.counting.facts import Reader, Refusal
from aggregator.counting.reading import DeadLetter, KafkaRecord, outcome_of, read_batch
from aggregator.counting.rules import Rules
from aggregator.log.packed_fetch import (
    PackedBatch,
    PackedBatches,
    PackedRecords,
    RecordBatch,
    unpacked,
)
from aggregator.log.record_parser import WHOLE_MAX
from schemas.topics import CUT_KEY_BYTES, CUT_VALUE_BYTES, RECORD_MAX_BYTES, VALUE_MAX_BYTES
from tests import wire
from tests.memory import peak_bytes, reset_peak
from tests.wire import ATTRIBUTES_AT, CODECS, CRC_AT, GZIP, HEADER_BYTES, LZ4, PLAIN, SNAPPY, ZSTD, Raw

ABORT, COMMIT = b"\x00\x00\x00\x00", b"\x00\x00\x00\x01"
CONTROL = 0x20


class Sent(NamedTuple):
    """How many records, the producer of its transaction or none, its end if it is a marker."""

    records: int
    codec: int
    producer: int | None
    marker: bytes | None


def packed(sent: Sent, base: int) -> bytes:
    """Its bytes in the log. base: the offset of its first record."""
    producer = -1 if sent.producer is None else sent.producer
    builder = DefaultRecordBatchBuilder(2, sent.codec, sent.producer is not None, producer, 0, 0, 1 << 20)
    for number in range(sent.records):
        key = sent.marker or b"key %d" % number
        builder.append(number, 1_000 + base + number, key, b"value %d" % (base + number), [("h", b"x")])
    data = bytearray(builder.build())
    struct.pack_into(">q", data, 0, base)
    if sent.marker is not None:
        attributes = struct.unpack_from(">h", data, ATTRIBUTES_AT)[0] | CONTROL
        struct.pack_into(">h", data, ATTRIBUTES_AT, attributes)
        struct.pack_into(">I", data, CRC_AT, calc_crc32c(bytes(data[ATTRIBUTES_AT:])))
    return bytes(data)


plain = st.builds(
    Sent, st.integers(1, 5), st.sampled_from(CODECS), st.none() | st.sampled_from([7, 8]), st.none()
)
markers = st.builds(
    Sent, st.just(1), st.just(PLAIN), st.sampled_from([7, 8]), st.sampled_from([ABORT, COMMIT])
)


class Fetch(NamedTuple):
    """What a broker answers: bytes, and which transactions in it were aborted (producer, first offset).

    begin, middle, end: the offsets of the first batch, after it, and after all.
    """

    data: bytes
    aborted: list[tuple[int, int]]
    begin: int
    middle: int
    end: int


@st.composite
def fetches(draw: st.DrawFn) -> Fetch:
    at = begin = draw(st.integers(0, 10**12))
    data, opened, aborted = b"", dict[int, int](), []
    sents = draw(st.lists(plain | markers, min_size=1, max_size=6))
    for sent in sents:
        data += packed(sent, at)
        if sent.producer is not None:
            opened.setdefault(sent.producer, at)
            if sent.marker is not None:
                first = opened.pop(sent.producer)
                if sent.marker == ABORT:
                    aborted.append((sent.producer, first))
        at += sent.records
    return Fetch(data, aborted, begin, begin + sents[0].records, at)


def iterated(kind: Any, fetch: Fetch, offset: int, isolation: int) -> list[Any]:
    """Everything that a fetch from an offset on gives, and where it asks on."""
    records = PackedBatches(fetch.data) if kind is PackedRecords else MemoryRecords(fetch.data)
    found = kind(TopicPartition("t", 0), records, fetch.aborted, offset, None, None, True, isolation)
    every = list(found)
    assert found.next_fetch_offset == fetch.end
    return every


def seen(records: list[KafkaRecord]) -> list[tuple[int, int, bytes | None, bytes | None]]:
    return [(each.offset, each.timestamp, each.key, each.value) for each in records]


@given(fetches(), st.data(), st.sampled_from([READ_COMMITTED, READ_UNCOMMITTED]))
def test_the_same_records_as_aiokafka_unpacks(fetch: Fetch, data: st.DataObject, isolation: int) -> None:
    """From any offset of its first batch on; aborted transactions and Kafka's own records in between."""
    offset = data.draw(st.integers(fetch.begin, fetch.middle - 1))
    batches: list[RecordBatch] = iterated(PackedRecords, fetch, offset, isolation)
    assert batches[0].first == offset
    assert all(before.next == after.first for before, after in pairwise(batches)), "no offset is left out"
    ours = seen(list(unpacked(list(batches))))
    assert ours == seen(iterated(PartitionRecords, fetch, offset, isolation))
    assert not ours or max(at for _, at, _, _ in ours) <= max(batch.last_ms for batch in batches)


@given(fetches(), st.data())
def test_a_batch_may_begin_at_any_of_its_offsets(fetch: Fetch, data: st.DataObject) -> None:
    """Cut once or twice, it gives the records from there on."""
    batches: list[RecordBatch] = iterated(PackedRecords, fetch, fetch.begin, READ_COMMITTED)
    first = data.draw(st.integers(fetch.begin, fetch.end - 1))
    second = data.draw(st.integers(first, fetch.end - 1))
    left = [b.starting_at(first).starting_at(second) for b in batches if b.next > second]
    every = seen(iterated(PartitionRecords, fetch, fetch.begin, READ_COMMITTED))
    assert seen(list(unpacked(left))) == [row for row in every if row[0] >= second]
    assert not left, "what is unpacked is no longer held"


def test_a_wrong_checksum_is_an_error() -> None:
    """A bit that turned in transit is never read as an event."""
    data = bytearray(packed(Sent(3, PLAIN, None, None), 0))
    data[-2] ^= 1
    with pytest.raises(CorruptRecordException):
        iterated(PackedRecords, Fetch(bytes(data), [], 0, 3, 3), 0, READ_COMMITTED)


# Whatever a batch holds

NOW = 1_764_000_000_000
READER = Reader(Rules())
PACKED = (GZIP, SNAPPY, LZ4, ZSTD)

short = st.none() | st.binary(max_size=40)
long = st.tuples(
    st.integers(0, 255),
    st.sampled_from([1_000, 70_000, VALUE_MAX_BYTES - 1, VALUE_MAX_BYTES, VALUE_MAX_BYTES + 1, WHOLE_MAX]),
)
"""A byte, and how often: bytes of that length would make a failure unreadable."""
headers = st.lists(st.tuples(st.text(max_size=9).map(str.encode), short), max_size=3).map(tuple)
small = st.builds(Raw, short, short, headers, st.just(0))


def stretched(content: bytes | tuple[int, int] | None) -> bytes | None:
    return bytes([content[0]]) * content[1] if isinstance(content, tuple) else content


def batch_of(records: list[Raw], codec: int, base: int = 0) -> bytes:
    return wire.batch(records, count=len(records), time_ms=NOW, codec=codec, base=base)


def sizes(raw: Raw) -> tuple[int, int]:
    """Of the value, and of all together."""
    of_headers = sum(len(name) + len(content or b"") for name, content in raw.headers)
    return len(raw.value or b""), len(raw.key or b"") + len(raw.value or b"") + of_headers


@settings(max_examples=30)
@given(
    st.lists(st.tuples(short | long, short | long, headers), min_size=1, max_size=4),
    st.sampled_from(CODECS),
    st.integers(0, 10**12),
)
def test_any_records_in_any_codec(drawn: list[Any], codec: int, base: int) -> None:
    """A record that is not too large is as aiokafka reads it; one that is has its dead letter, cut."""
    records = [Raw(stretched(value), stretched(key), more) for value, key, more in drawn]
    data = batch_of(records, codec, base)
    theirs = list(MemoryRecords(data).next_batch() or ())
    ours = list(PackedBatch(data))
    assert [each.offset for each in ours] == list(range(base, base + len(records)))
    for raw, mine, other in zip(records, ours, theirs, strict=True):
        value_bytes, together = sizes(raw)
        too_large = value_bytes > VALUE_MAX_BYTES or together > RECORD_MAX_BYTES
        assert (outcome_of(READER, mine) is Refusal.TOO_LARGE) == too_large
        if not too_large:
            assert seen([mine]) == seen([other])
            assert list(getattr(mine, "headers", ())) == other.headers
            continue
        (dead_letter,) = read_batch(READER, 1, iter([mine])).dead_letters
        cut_key, cut_value = (raw.key or b"")[:CUT_KEY_BYTES], (raw.value or b"")[:CUT_VALUE_BYTES]
        assert dead_letter == DeadLetter(
            mine.offset,
            NOW,
            None if raw.key is None else cut_key,
            None if raw.value is None else cut_value,
            Refusal.TOO_LARGE,
            value_bytes,
        )


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("codec", PACKED)
def test_where_too_large_begins(codec: int, more: int) -> None:
    """At 1 MiB of value, and at 1 MiB + 64 KiB together, a record is read; a byte more, and it is not."""
    room = RECORD_MAX_BYTES - VALUE_MAX_BYTES
    at_limits = [
        Raw(b"v" * (VALUE_MAX_BYTES + more)),
        Raw(b"v" * VALUE_MAX_BYTES, b"k" * (room + more)),
        Raw(None, b"k" * (RECORD_MAX_BYTES + more)),
        Raw(b"v", None, ((b"name", b"h" * (RECORD_MAX_BYTES - 5 + more)),)),
        Raw(b"v", None, ((b"n" * (RECORD_MAX_BYTES - 1 + more), None),)),
    ]
    for raw in at_limits:
        (found,) = PackedBatch(batch_of([raw], codec))
        assert (outcome_of(READER, found) is Refusal.TOO_LARGE) == bool(more)


def test_a_header_whose_name_is_no_utf8_is_no_matter() -> None:
    """Its record is read like any other, in a small batch and in a large one."""
    for size in (1, VALUE_MAX_BYTES):
        value = b" " * size
        records = [Raw(value, b"key", ((b"\xff\xfe", b"x"),)), Raw(b"next")]
        first, second = PackedBatch(batch_of(records, ZSTD))
        assert (first.key, first.value, second.value) == (b"key", value, b"next")


@settings(max_examples=100)
@given(
    st.lists(small, min_size=1, max_size=5),
    st.sampled_from(CODECS),
    st.booleans(),
    st.data(),
)
def test_a_damaged_batch_is_unreadable_as_a_whole(
    records: list[Raw], codec: int, large: bool, data: st.DataObject
) -> None:
    """Bytes cut off, changed or too many: a record for each offset, or for each a dead letter."""
    if large:
        records = [*records, Raw(b"\0" * (VALUE_MAX_BYTES + 9))]
    count = len(records)
    payload = batch_of(records, codec)[HEADER_BYTES:]
    at = data.draw(st.integers(0, len(payload) - 1))
    damage = data.draw(st.sampled_from(["cut", "change", "more", "count"]))
    if damage == "cut":
        payload = payload[:at]
    elif damage == "change":
        payload = payload[:at] + bytes([payload[at] ^ data.draw(st.integers(1, 255))]) + payload[at + 1 :]
    elif damage == "more":
        payload += data.draw(st.binary(min_size=1, max_size=9))
    else:
        count += 1
    found = list(PackedBatch(wire.sealed(payload, codec=codec, count=count, last_ms=NOW, base=70)))
    assert [each.offset for each in found] == list(range(70, 70 + count))
    lost = [each for each in found if each == DeadLetter(each.offset, NOW, None, None, Refusal.UNREADABLE)]
    assert lost in ([], found)
    if damage == "count" or (damage == "cut" and codec == PLAIN):
        assert lost


@pytest.mark.parametrize("codec", PACKED)
def test_a_batch_far_larger_than_memory_may_be(codec: int) -> None:
    """However much a small batch unpacks to, no more than some pieces of it are held at a time."""
    size = 24 * 1024 * 1024 if codec == SNAPPY else 256 * 1024 * 1024
    data = wire.huge(size, codec=codec, time_ms=NOW)
    before = peak_of(lambda: None)
    assert list(PackedBatch(data)) == [
        DeadLetter(0, NOW, None, bytes(CUT_VALUE_BYTES), Refusal.TOO_LARGE, size)
    ]
    assert peak_of(lambda: list(PackedBatch(data))) - before < 64 * 1024 * 1024


def peak_of(work: Callable[[], object]) -> int:
    """The most that Python and its libraries hold while it is done, as the kernel counts it."""
    reset_peak(os.getpid())
    work()
    return peak_bytes(os.getpid())
