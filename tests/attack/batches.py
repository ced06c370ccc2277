"""Writing record batches over a bare socket: what no producer would send, and where each of them lies then.

A client library refuses most of it (a record larger than it would fetch, a payload that does not unpack).
`tests.wire` packs it. Source: kafka.apache.org, "Protocol: Produce API", version 8.
"""

import socket
import struct
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from tests import wire

CODECS: Final[Mapping[str, int]] = {
    "none": wire.PLAIN,
    "gzip": wire.GZIP,
    "snappy": wire.SNAPPY,
    "lz4": wire.LZ4,
    "zstd": wire.ZSTD,
}

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


def body_of(records: Sequence[Rec]) -> bytes:
    """The records of one batch, one after the other and not compressed."""
    first_ms = records[0].time_ms
    raws = (
        wire.Raw(each.value, each.key, tuple((k.encode(), v) for k, v in each.headers), each.time_ms)
        for each in records
    )
    return b"".join(wire.record(raw, number, first_ms) for number, raw in enumerate(raws))


def batch(records: Sequence[Rec], packed_by: str = "none", payload: bytes | None = None) -> bytes:
    """A record batch whose checksum is right.

    packed_by: a name of `CODECS`. payload: what stands in it where that is not the packed records.
    """
    times = [record.time_ms for record in records]
    codec = CODECS[packed_by]
    inside = wire.packed(codec, [body_of(records)]) if payload is None else payload
    return wire.sealed(inside, codec=codec, count=len(records), first_ms=times[0], last_ms=max(times))


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
