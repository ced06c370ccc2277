"""The log as tests see it: sending records with a time of their own, and reading a topic from end to end."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from confluent_kafka import TIMESTAMP_CREATE_TIME, Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

LIMIT_S = 120.0
MAX_BYTES = 2_097_152


class Outgoing(NamedTuple):
    """A record to send.

    time_ms: its own Kafka time. partition: none leaves it to the key. headers: ingest writes some.
    """

    key: bytes | None
    value: bytes | None
    time_ms: int
    partition: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True)
class Stored:
    """A record as the topic holds it."""

    partition: int
    offset: int
    time_ms: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes] = field(default_factory=dict)


def send(bootstrap: str, topic: str, records: Iterable[Outgoing], linger_ms: int = 5) -> None:
    """Write records and return when Kafka has all of them. linger_ms: what comes within it is a batch."""
    with sending(bootstrap, topic, linger_ms) as more:
        more(records)


@contextmanager
def sending(bootstrap: str, topic: str, linger_ms: int = 5) -> Iterator[Callable[[Iterable[Outgoing]], None]]:
    """Yields what writes records, over one connection; at the end Kafka has all of them."""
    failed: list[KafkaError] = []

    def delivered(error: KafkaError | None, _record: object) -> None:
        if error is not None:
            failed.append(error)

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "compression.type": "lz4",
            "linger.ms": linger_ms,
            "message.max.bytes": MAX_BYTES,
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 1_000_000,
        }
    )

    # Known before the first record: those that wait for it reach their partition one by one, and a flush
    # sends what has arrived.
    producer.list_topics(topic, timeout=LIMIT_S)

    def write(records: Iterable[Outgoing]) -> None:
        for record in records:
            more = {} if record.partition is None else {"partition": record.partition}
            producer.produce(
                topic,
                key=record.key,
                value=record.value,
                timestamp=record.time_ms,
                headers=list(record.headers),
                on_delivery=delivered,
                **more,  # type: ignore[arg-type]  # the stub takes each keyword for its own type
            )
            producer.poll(0)

    yield write
    assert producer.flush(LIMIT_S) == 0
    assert not failed, failed[:3]


def ranges(bootstrap: str, topic: str) -> list[tuple[int, int]]:
    """Where each partition begins, and its end: the offset that comes next."""
    consumer = _consumer(bootstrap)
    try:
        partitions = sorted(consumer.list_topics(topic, timeout=LIMIT_S).topics[topic].partitions)
        return [_range(consumer, topic, number) for number in partitions]
    finally:
        consumer.close()


def ends(bootstrap: str, topic: str) -> list[int]:
    """The end of each partition."""
    return [end for _, end in ranges(bootstrap, topic)]


def begins(bootstrap: str, topic: str) -> list[int]:
    """The first offset that each partition still has, or its end."""
    return [begin for begin, _ in ranges(bootstrap, topic)]


def commits(bootstrap: str, topic: str, group: str) -> list[int]:
    """What a group has committed of each partition; -1001 where it has nothing."""
    consumer = _consumer(bootstrap, group)
    try:
        partitions = sorted(consumer.list_topics(topic, timeout=LIMIT_S).topics[topic].partitions)
        positions = [TopicPartition(topic, number) for number in partitions]
        return [each.offset for each in consumer.committed(positions, timeout=LIMIT_S)]
    finally:
        consumer.close()


def read(bootstrap: str, topic: str) -> list[Stored]:
    """All records that a topic holds now."""
    return list(each(bootstrap, topic))


def each(bootstrap: str, topic: str) -> Iterator[Stored]:
    """All records that a topic holds now, one after the other."""
    held = ranges(bootstrap, topic)
    missing = sum(end - begin for begin, end in held)
    consumer = _consumer(bootstrap)
    try:
        consumer.assign([TopicPartition(topic, number, begin) for number, (begin, _) in enumerate(held)])
        until = time.monotonic() + LIMIT_S
        while missing:
            assert time.monotonic() < until, f"{missing} records of {topic} did not come"
            for message in consumer.consume(100, timeout=0.2):
                assert message.error() is None, message.error()
                kind, time_ms = message.timestamp()
                assert kind == TIMESTAMP_CREATE_TIME
                partition, offset = message.partition(), message.offset()
                assert partition is not None
                assert offset is not None
                if offset < held[partition][1]:
                    pairs: Any = message.headers() or []  # the stub takes in what `produce` takes
                    headers = {name: _raw(part) or b"" for name, part in pairs}
                    key, value = _raw(message.key()), _raw(message.value())
                    missing -= 1
                    yield Stored(partition, offset, time_ms, key, value, headers)
    finally:
        consumer.close()


def commit(bootstrap: str, topic: str, group: str, offsets: Sequence[int]) -> None:
    """Commit offsets of a topic for a group, as a worker that counted so far has done."""
    consumer = _consumer(bootstrap, group)
    try:
        positions = [TopicPartition(topic, number, offset) for number, offset in enumerate(offsets)]
        consumer.commit(offsets=positions, asynchronous=False)
    finally:
        consumer.close()


def _consumer(bootstrap: str, group: str = "nobody") -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )


def _range(consumer: Consumer, topic: str, partition: int) -> tuple[int, int]:
    """Where a partition begins, and the offset that comes next."""
    found = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=LIMIT_S)
    assert found is not None
    return int(found[0]), int(found[1])


def _raw(part: bytes | str | None) -> bytes | None:
    return part.encode() if isinstance(part, str) else part


def forget_before(bootstrap: str, topic: str, offset: int, partitions: int) -> None:
    """Remove what lies before an offset in each partition."""
    forget_below(bootstrap, topic, [offset] * partitions)


def forget_below(bootstrap: str, topic: str, offsets: Sequence[int]) -> None:
    """Remove what lies below an offset of each partition. Raises: KafkaException."""
    below = [TopicPartition(topic, number, offset) for number, offset in enumerate(offsets)]
    admin = AdminClient({"bootstrap.servers": bootstrap})  # its answers never come once it is gone
    for answer in admin.delete_records(below).values():
        answer.result(LIMIT_S)
