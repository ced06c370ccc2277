"""The topic `api-keys`: the clients that read and write it, whether it is there, and writing to it.

The keys live in Kafka and in the API's memory, and never in Redis: a Redis that went back in time must not
revive a revoked key.
"""

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final
from uuid import uuid4

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer

from schemas.shared.kafka_causes import Causes
from schemas.shared.settings import KafkaSettings
from schemas.topics import API_KEYS_TOPIC

KAFKA_TIMEOUT_S: Final = 10.0
"""How long a command waits for Kafka before it gives up."""

WRITE_AT_ONCE: Final = 10_000
"""Records that are given to librdkafka before it is waited for; it refuses above 100,000."""

QUIET: Final[dict[str, Any]] = {"log_level": 2, "reconnect.backoff.ms": 500, "reconnect.backoff.max.ms": 2000}
"""librdkafka's own lines go to stderr in a shape of their own; its errors come to us, and we report them."""

WANTS_READ: Final = f"READ on {API_KEYS_TOPIC}"
WANTS_WRITE: Final = f"WRITE on {API_KEYS_TOPIC}"


class KeyTopicError(Exception):
    """Kafka does not give or take the keys; the words say what to do about it."""


def key_consumer(settings: KafkaSettings, on_error: Callable[[KafkaError], None]) -> Consumer:
    """A consumer for the topic, which joins no group and commits nothing.

    on_error: called in the thread that polls, with each error that librdkafka reports.
    Raises: KafkaException where librdkafka can't make sense of the settings.
    """
    return Consumer(
        {
            **settings.librdkafka(),
            **QUIET,
            "error_cb": on_error,
            "group.id": f"api-keys-reader-{uuid4()}",  # librdkafka wants a name; no group is ever joined
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
        }
    )


def key_producer(
    settings: KafkaSettings, on_error: Callable[[KafkaError], None], more: Mapping[str, Any]
) -> Producer:
    """A producer for the topic. more: settings of librdkafka beside ours; otherwise as `key_consumer`."""
    return Producer({**settings.librdkafka(), **QUIET, **more, "error_cb": on_error})


def check_topic(settings: KafkaSettings) -> None:
    """Make sure that Kafka answers and has the topic.

    Raises: KeyTopicError where it does not; KafkaException where librdkafka can't make sense of the settings.
    """
    causes = Causes()
    consumer = key_consumer(settings, causes.hear)
    try:
        topic = consumer.list_topics(API_KEYS_TOPIC, timeout=KAFKA_TIMEOUT_S).topics[API_KEYS_TOPIC]
    except KafkaException as error:
        consumer.poll(0)  # calls `error_cb` with what librdkafka has to say
        raise KeyTopicError(
            f"Kafka at {settings.kafka_bootstrap_servers} does not answer: {causes.why(error)}"
        ) from error
    finally:
        consumer.close()
    if topic.error is not None:
        raise KeyTopicError(f"{API_KEYS_TOPIC}: {causes.why(topic.error, WANTS_READ)}")


def write_records(settings: KafkaSettings, records: Mapping[str, msgspec.Struct]) -> int:
    """Write records and wait until Kafka has them for certain.

    records: of `schemas.keys`, at least one, each by its key.
    Returns: the offset of the last of them in the topic.
    Raises: KeyTopicError where Kafka does not acknowledge one in time. They may be written all the same.
    """
    causes = Causes()
    producer = key_producer(
        settings, causes.hear, {"acks": "all", "delivery.timeout.ms": int(KAFKA_TIMEOUT_S * 1000)}
    )
    offsets: list[int] = []
    refused: list[KafkaError] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        offset = message.offset()
        if error is not None:
            refused.append(error)
        elif offset is not None:
            offsets.append(offset)

    each = iter(records.items())
    while at_once := list(islice(each, WRITE_AT_ONCE)):
        for key, record in at_once:
            producer.produce(
                API_KEYS_TOPIC,
                key=key,
                value=msgspec.json.encode(record),
                partition=0,
                on_delivery=delivered,
            )
        producer.flush(KAFKA_TIMEOUT_S + 1)
        if refused:
            why = causes.why(refused[0], WANTS_WRITE)
            raise KeyTopicError(f"Kafka did not take the record: {why}")
    if len(offsets) < len(records):
        raise KeyTopicError(f"Kafka at {settings.kafka_bootstrap_servers} did not acknowledge the record.")
    return max(offsets)
