"""Fetches that stay packed until they are read say just what aiokafka's own unpacking of them says."""

import struct
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED, READ_UNCOMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from aggregator.reading import KafkaRecord
from aggregator.record_batches import PackedRecords, RecordBatch, unpacked

PLAIN, LZ4 = 0, 3
ABORT, COMMIT = b"\x00\x00\x00\x00", b"\x00\x00\x00\x01"
CRC_AT, ATTRIBUTES_AT = 17, 21
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
    Sent, st.integers(1, 5), st.sampled_from([PLAIN, LZ4]), st.none() | st.sampled_from([7, 8]), st.none()
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
    found = kind(
        TopicPartition("t", 0), MemoryRecords(fetch.data), fetch.aborted, offset, None, None, True, isolation
    )
    every = list(found)
    assert found.next_fetch_offset == fetch.end
    return every


def told(records: list[KafkaRecord]) -> list[tuple[int, int, bytes | None, bytes | None]]:
    return [(each.offset, each.timestamp, each.key, each.value) for each in records]


@given(fetches(), st.data(), st.sampled_from([READ_COMMITTED, READ_UNCOMMITTED]))
def test_the_same_records_as_aiokafka_unpacks(fetch: Fetch, data: st.DataObject, isolation: int) -> None:
    """From any offset of its first batch on; aborted transactions and Kafka's own records in between."""
    offset = data.draw(st.integers(fetch.begin, fetch.middle - 1))
    batches: list[RecordBatch] = iterated(PackedRecords, fetch, offset, isolation)
    assert batches[0].first == offset
    assert all(before.next == after.first for before, after in pairwise(batches)), "no offset is left out"
    ours = told(list(unpacked(list(batches))))
    assert ours == told(iterated(PartitionRecords, fetch, offset, isolation))
    assert not ours or max(at for _, at, _, _ in ours) <= max(batch.last_ms for batch in batches)


@given(fetches(), st.data())
def test_a_batch_may_begin_at_any_of_its_offsets(fetch: Fetch, data: st.DataObject) -> None:
    """Cut once or twice, it gives the records from there on."""
    batches: list[RecordBatch] = iterated(PackedRecords, fetch, fetch.begin, READ_COMMITTED)
    first = data.draw(st.integers(fetch.begin, fetch.end - 1))
    second = data.draw(st.integers(first, fetch.end - 1))
    left = [b.starting_at(first).starting_at(second) for b in batches if b.next > second]
    every = told(iterated(PartitionRecords, fetch, fetch.begin, READ_COMMITTED))
    assert told(list(unpacked(left))) == [row for row in every if row[0] >= second]
    assert not left, "what is unpacked is no longer held"


def test_a_wrong_checksum_is_an_error() -> None:
    """A bit that turned in transit is never read as an event."""
    data = bytearray(packed(Sent(3, PLAIN, None, None), 0))
    data[-2] ^= 1
    with pytest.raises(CorruptRecordException):
        iterated(PackedRecords, Fetch(bytes(data), [], 0, 3, 3), 0, READ_COMMITTED)
