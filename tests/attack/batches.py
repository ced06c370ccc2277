"""Record batches packed by hand, and written over a bare socket: what no producer would send.

A client library refuses most of it (a record larger than it would fetch, a payload that does not unpack), so
this is Kafka's own format, as far as it takes to write: record batches of version 2 and Produce of version 8.
Source: kafka.apache.org, "Record Batch" and "Protocol: Produce API".
"""

import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from aiokafka import codec
from aiokafka.record.util import calc_crc32c

CODECS: Final[Mapping[str, tuple[int, Callable[[bytes], bytes]]]] = {
    "none": (0, bytes),
    "gzip": (1, lambda body: bytes(codec.gzip_encode(body, 6))),
    "snappy": (2, lambda body: bytes(codec.snappy_encode(body))),
    "lz4": (3, lambda body: bytes(codec.lz4_encode(body, 3))),
    "zstd": (4, lambda body: bytes(codec.zstd_encode(body, 3))),
}
"""The number of a codec in a batch's attributes, and what packs with it."""

ANSWER_S: Final = 60.0
LEADER_S: Final = 30.0
NOT_YET: Final = frozenset({3, 5, 6})
"""The error codes of a topic that was made a moment ago: it is not known yet, or has no leader yet."""


class Rec(NamedTuple):
    """A record to be written. time_ms: its own Kafka time."""

    value: bytes | None
    time_ms: int
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class RefusedByKafkaError(Exception):
    """Kafka did not take a batch. code: its error code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Kafka refused the batch with error {code}")
        self.code = code


def varint(number: int) -> bytes:
    """A signed number as Kafka writes it in a record: zigzag, seven bits a byte, the low ones first."""
    rest = (number << 1) ^ (number >> 63)
    written = bytearray()
    while rest > 0x7F:
        written.append(rest & 0x7F | 0x80)
        rest >>= 7
    written.append(rest)
    return bytes(written)


def _counted(part: bytes | None) -> bytes:
    return varint(-1) if part is None else varint(len(part)) + part


def body_of(records: Sequence[Rec]) -> bytes:
    """The records of one batch, one after the other and not compressed."""
    first_ms = records[0].time_ms
    parts: list[bytes] = []
    for number, record in enumerate(records):
        headers = b"".join(_counted(name.encode()) + _counted(value) for name, value in record.headers)
        body = b"".join(
            (
                b"\0",
                varint(record.time_ms - first_ms),
                varint(number),
                _counted(record.key),
                _counted(record.value),
                varint(len(record.headers)),
                headers,
            )
        )
        parts += (varint(len(body)), body)
    return b"".join(parts)


def batch(records: Sequence[Rec], packed_by: str = "none", payload: bytes | None = None) -> bytes:
    """A record batch whose checksum is right.

    packed_by: a name of `CODECS`. payload: what stands in it where that is not the packed records.
    """
    number, pack = CODECS[packed_by]
    times = [record.time_ms for record in records]
    last = len(records) - 1
    head = struct.pack(">hiqqqhii", number, last, times[0], max(times), -1, -1, -1, len(records))
    checked = head + (pack(body_of(records)) if payload is None else payload)
    crc = struct.pack(">iBI", 0, 2, calc_crc32c(checked))
    return struct.pack(">qi", 0, len(crc) + len(checked)) + crc + checked


class Writer:
    """Writes batches to one topic of a Kafka that is one broker, and waits for the answer of each."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        """Connect. bootstrap: `host:port`."""
        self._topic = topic
        host, _, port = bootstrap.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), ANSWER_S)

    def close(self) -> None:
        """Drop the connection."""
        self._socket.close()

    def write(self, partition: int, packed: bytes) -> int:
        """Write a batch. Returns: the offset of its first record. Raises: RefusedByKafkaError."""
        until = time.monotonic() + LEADER_S
        while True:
            code, offset = self._write(partition, packed)
            if not code:
                return offset
            if code not in NOT_YET or time.monotonic() > until:
                raise RefusedByKafkaError(code)
            time.sleep(0.1)

    def _write(self, partition: int, packed: bytes) -> tuple[int, int]:
        """Returns: Kafka's error code, 0 for none, and the offset."""
        name = self._topic.encode()
        topics = struct.pack(f">ih{len(name)}siii", 1, len(name), name, 1, partition, len(packed)) + packed
        request = struct.pack(">hhihhhi", 0, 8, 1, -1, -1, -1, int(ANSWER_S * 1000)) + topics
        self._socket.sendall(struct.pack(">i", len(request)) + request)
        answer = self._read(struct.unpack(">i", self._read(4))[0])
        code, offset = struct.unpack_from(">hq", answer, 4 + 4 + 2 + len(name) + 4 + 4)
        return int(code), int(offset)

    def _read(self, number: int) -> bytes:
        read = bytearray()
        while len(read) < number:
            part = self._socket.recv(number - len(read))
            if not part:
                raise ConnectionError("Kafka closed the connection")
            read += part
        return bytes(read)


def in_batches(records: Iterable[Rec], most: int) -> Iterator[list[Rec]]:
    """Records as lists of at most so many."""
    left = iter(records)
    while some := list(islice(left, most)):
        yield some
