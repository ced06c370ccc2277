"""The embedded Kafka and Valkey: what was acknowledged is there after a stop and after a crash."""

from collections.abc import Callable

import redis
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from deploy.kafka import Kafka
from deploy.processes import Waiting
from deploy.valkey import Valkey
from schemas.topics import EVENTS
from tests.services import LIMIT_S, create_topics

WAITING = Waiting(limit_s=LIMIT_S)


def produce(kafka: Kafka, topic: str, values: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "enable.idempotence": True})
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(60) == 0


def read_all(kafka: Kafka, topic: str) -> list[bytes | None]:
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap, "group.id": "reader", "enable.partition.eof": True}
    )
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        values = []
        while (message := consumer.poll(60)) is not None and message.error() is None:
            values.append(message.value())
        return values
    finally:
        consumer.close()


def cluster_id(kafka: Kafka) -> str:
    return str(AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=30).cluster_id)


def test_kafka_keeps_its_records_and_its_cluster_id(kafka_factory: Callable[[], Kafka]) -> None:
    """Stopped or killed and started again: same port, same cluster, every acknowledged record."""
    kafka = kafka_factory()
    create_topics(kafka.bootstrap, {"events": EVENTS})
    identity = cluster_id(kafka)
    expected: list[bytes | None] = []
    for end in (kafka.stop, kafka.kill, lambda: None):
        value = f"record {len(expected)}".encode()
        produce(kafka, "events", [value])
        expected.append(value)
        end()
        if not kafka.child.running:
            kafka.start(WAITING)
        assert read_all(kafka, "events") == expected
        assert cluster_id(kafka) == identity


def test_valkey_keeps_what_it_flushed(valkey_factory: Callable[[], Valkey]) -> None:
    """SIGTERM loses nothing; a process that is killed leaves its writes with the kernel."""
    valkey = valkey_factory()
    for number, end in enumerate((valkey.stop, valkey.kill)):
        with redis.Redis.from_url(valkey.url) as client:
            client.rpush("numbers", number)
        end()
        valkey.start(WAITING)
    with redis.Redis.from_url(valkey.url, decode_responses=True) as client:
        assert client.lrange("numbers", 0, -1) == ["0", "1"]
        assert client.config_get("appendonly", "appendfsync", "maxmemory-policy", "save") == {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "save": "",
        }
