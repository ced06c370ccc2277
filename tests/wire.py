"""Record batches made by hand, byte for byte as the wire has them, for what no client library would send."""

import asyncio
import struct
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from typing import NamedTuple

import cramjam
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition
from backports import zstd
from lz4.frame import LZ4FrameCompressor

PLAIN, GZIP, SNAPPY, LZ4, ZSTD = CODECS = range(5)
CRC_AT, ATTRIBUTES_AT, HEADER_BYTES = 17, 21, 61


class Raw(NamedTuple):
    """A record to pack. headers: names as bytes, which need not be UTF-8."""

    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[bytes, bytes | None], ...] = ()
    time_ms: int = 0


def varint(value: int) -> bytes:
    """In Kafka's zigzag encoding."""
    left, out = (value << 1) ^ (value >> 63), bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out)


def field(content: bytes | None) -> bytes:
    """Bytes after their length."""
    return varint(-1) if content is None else varint(len(content)) + content


def record(raw: Raw, number: int, first_ms: int) -> bytes:
    """A record as it stands in a batch, the `number`-th."""
    headers = b"".join(field(name) + field(content) for name, content in raw.headers)
    body = b"\0" + varint(raw.time_ms - first_ms) + varint(number)
    body += field(raw.key) + field(raw.value) + varint(len(raw.headers)) + headers
    return varint(len(body)) + body


def packed(codec: int, parts: Iterable[bytes], *, checksum: bool = False) -> bytes:
    """The parts, compressed together; however many they are, only what they are packed to is held.

    checksum: of the content, at the end, where the codec is LZ4.
    """
    match codec:
        case 1:
            gzip = zlib.compressobj(9, wbits=31)
            return b"".join([*map(gzip.compress, parts), gzip.flush()])
        case 2:
            return bytes(cramjam.snappy.compress_raw(b"".join(parts)))
        case 3:
            lz4 = LZ4FrameCompressor(block_linked=False, content_checksum=checksum)
            begun = lz4.begin()
            return b"".join([begun, *map(lz4.compress, parts), lz4.flush()])
        case 4:
            compressor = zstd.ZstdCompressor(level=3)
            return b"".join([*map(compressor.compress, parts), compressor.flush()])
        case _:
            return b"".join(parts)


def sealed(
    payload: bytes, *, codec: int, count: int, first_ms: int = 0, last_ms: int = 0, base: int = 0
) -> bytes:
    """A batch of a payload, with the right checksum whatever the payload is."""
    counted = struct.pack(">hiqqqhii", codec, count - 1, first_ms, last_ms, -1, -1, -1, count)
    body = counted + payload
    head = struct.pack(">qiibI", base, len(body) + 9, 0, 2, calc_crc32c(body))
    return head + body


def batch(records: Iterable[Raw], *, count: int, time_ms: int, codec: int, base: int = 0) -> bytes:
    """A batch of so many records, the time of each is that of the batch or its own."""
    timed = (each if each.time_ms else each._replace(time_ms=time_ms) for each in records)
    parts = (record(each, number, time_ms) for number, each in enumerate(timed))
    return sealed(
        packed(codec, parts), codec=codec, count=count, first_ms=time_ms, last_ms=time_ms, base=base
    )


def huge(size: int, *, codec: int, time_ms: int) -> bytes:
    """A batch of one record whose value is so many zeros, which nobody has to hold. size: of whole MiB."""
    body = b"\0" + varint(0) + varint(0) + varint(-1) + varint(size)
    head = varint(len(body) + size + 1) + body
    zeros = bytes(1024 * 1024)
    payload = packed(codec, chain([head], repeat(zeros, size // len(zeros)), [varint(0)]))
    return sealed(payload, codec=codec, count=1, first_ms=time_ms, last_ms=time_ms)


def send(bootstrap: str, topic: str, partition: int, batches: Iterable[bytes]) -> list[int]:
    """Write batches as they are, one after the other. Returns: Kafka's code for each, 0 where it took it."""
    return asyncio.run(_send(bootstrap, topic, partition, iter(batches)))


async def _send(bootstrap: str, topic: str, partition: int, batches: Iterator[bytes]) -> list[int]:
    client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=120_000)
    await client.bootstrap()
    try:
        await client._wait_on_metadata(topic)
        node = client.cluster.leader_for_partition(TopicPartition(topic, partition))
        codes = []
        for each in batches:
            request = ProduceRequest(None, -1, 120_000, [(topic, [(partition, each)])])
            answer = await client.send(node, request)
            codes.append(answer.topics[0][1][0][1])
        return codes
    finally:
        await client.close()
