"""The topic `api-keys`: following it into a table, and writing to it.

The keys live in Kafka and in the API's memory, and never in Redis: a Redis that went back in time must not
revive a revoked key. The topic is read from its start each time, so nothing is committed. Until it has
been read to its end once, nobody can say whether a key is valid; the API is then unavailable.

When a key was last used is written by the API, at most once an hour for a key, over all APIs that have read
what the others wrote. It is approximate: a write that Kafka does not take is not repeated.
"""

import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Final
from uuid import uuid4

import msgspec
import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from api.keys import KeyTable
from schemas.keys import LAST_USED_SUFFIX, ApiKeyRecord, LastUsed
from schemas.settings import KafkaSettings
from schemas.topics import API_KEYS_TOPIC

log = structlog.get_logger(__name__)

KAFKA_TIMEOUT_S: Final = 10.0
"""How long a command waits for Kafka before it gives up."""

REPORT_EVERY_S: Final = 60.0
REPORT_AFTER_S: Final = 3.0
"""How often it is told that the keys cannot be read, and how long after the start for the first time."""

LAST_USED_EVERY_MS: Final = 3_600_000

QUIET: Final[dict[str, Any]] = {"log_level": 2, "reconnect.backoff.ms": 500, "reconnect.backoff.max.ms": 2000}
"""librdkafka's own lines go to stderr in a shape of their own; its errors come to us and are told by us."""


class KeyTopicError(Exception):
    """Kafka does not give or take the keys; the words say what to do about it."""


def check_topic(settings: KafkaSettings) -> None:
    """Make sure that Kafka answers and has the topic.

    Raises: KeyTopicError where it does not.
    """
    consumer = _consumer(settings, lambda _error: None)
    try:
        topic = consumer.list_topics(API_KEYS_TOPIC, timeout=KAFKA_TIMEOUT_S).topics[API_KEYS_TOPIC]
    except KafkaException as error:
        raise KeyTopicError(
            f"Kafka at {settings.kafka_bootstrap_servers} does not answer: {error.args[0].str()}"
        ) from error
    finally:
        consumer.close()
    if topic.error is not None:
        raise KeyTopicError(f"Kafka has no topic {API_KEYS_TOPIC}: {topic.error.str()}. Create it first.")


def write_record(settings: KafkaSettings, record: ApiKeyRecord) -> int:
    """Write a key record and wait until Kafka has it for certain.

    Returns: its offset in the topic.
    Raises: KeyTopicError where Kafka does not acknowledge it in time. It may have been written all the same.
    """
    producer = Producer(
        {
            **settings.librdkafka(),
            **QUIET,
            "acks": "all",
            "delivery.timeout.ms": int(KAFKA_TIMEOUT_S * 1000),
        }
    )
    outcomes: list[tuple[KafkaError | None, Message]] = []
    producer.produce(
        API_KEYS_TOPIC,
        key=record.id,
        value=msgspec.json.encode(record),
        partition=0,
        on_delivery=lambda error, message: outcomes.append((error, message)),
    )
    producer.flush(KAFKA_TIMEOUT_S)
    if not outcomes:
        raise KeyTopicError(f"Kafka at {settings.kafka_bootstrap_servers} did not acknowledge the record.")
    error, message = outcomes[0]
    offset = message.offset()
    if error is not None or offset is None:
        raise KeyTopicError(f"Kafka did not take the record: {error.str() if error else 'it gave no offset'}")
    return offset


class KeyFollower:
    """Keeps a table of all keys up to date, in a thread of its own.

    Start it once, stop it once. All else may be asked from any thread and never blocks.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        self._read_to_end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="api-keys", daemon=True)
        self._next_offset = 0
        self._quiet_until = 0.0
        self._ask_why_at = 0.0
        self._noted_ms: dict[str, int] = {}
        self._uses: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        self.table = KeyTable()

    @property
    def loaded(self) -> bool:
        """Whether the topic was read to its end, and is still followed."""
        return self._read_to_end.is_set() and self._thread.is_alive()

    @property
    def next_offset(self) -> int:
        """The offset below which every record of the topic is in the table."""
        return self._next_offset

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def note_use(self, key_id: str, now_ms: int) -> None:
        """A key was used: have that written, unless it was within the last hour."""
        last_ms = max(self.table.last_used_ms(key_id) or 0, self._noted_ms.get(key_id, 0))
        if now_ms - last_ms >= LAST_USED_EVERY_MS:
            self._noted_ms[key_id] = now_ms
            self._uses.put((key_id, now_ms))

    def wait_until_loaded(self, timeout_s: float) -> bool:
        """Wait until the topic was read to its end; whether it was within the time. Blocks."""
        return self._read_to_end.wait(timeout_s)

    def stop(self) -> None:
        """End the thread. Blocks for about a second at most."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        consumer = _consumer(self._settings, self._report)
        producer = Producer({**self._settings.librdkafka(), **QUIET, "error_cb": self._report})
        self._ask_why_at = time.monotonic() + REPORT_AFTER_S
        try:
            self._begin(consumer)
            while not self._stopping.is_set():
                message = consumer.poll(0.5)
                if message is not None:
                    self._take(consumer, message)
                elif not self._read_to_end.is_set():
                    self._ask_why(consumer)
                self._write_uses(producer)
        finally:
            producer.flush(0.5)
            consumer.close()

    def _ask_why(self, consumer: Consumer) -> None:
        """Say what is waited for, now and then: a topic that is not there yet is no error to librdkafka."""
        now = time.monotonic()
        if now < self._ask_why_at:
            return
        self._ask_why_at = now + REPORT_EVERY_S
        try:
            topics = consumer.list_topics(timeout=1.0).topics
        except KafkaException as error:
            self._report(error.args[0])
            return
        reason = "it is read" if API_KEYS_TOPIC in topics else "the topic does not exist, create it"
        log.warning("waiting for the api keys", topic=API_KEYS_TOPIC, reason=reason)

    def _write_uses(self, producer: Producer) -> None:
        while not self._uses.empty():
            key_id, used_ms = self._uses.get()
            producer.produce(
                API_KEYS_TOPIC,
                key=key_id + LAST_USED_SUFFIX,
                value=msgspec.json.encode(LastUsed(used_ms=used_ms)),
                partition=0,
                on_delivery=_tell_if_lost,
            )
        producer.poll(0)

    def _begin(self, consumer: Consumer) -> None:
        self._read_to_end.clear()
        self._next_offset = 0
        self.table = KeyTable()
        consumer.assign([TopicPartition(API_KEYS_TOPIC, 0, OFFSET_BEGINNING)])

    def _take(self, consumer: Consumer, message: Message) -> None:
        error, offset = message.error(), message.offset()
        if error is None and offset is not None:
            if not self.table.apply(_bytes(message.key()), _bytes(message.value())):
                log.warning("unreadable api key record, its key is refused", offset=offset)
            self._next_offset = offset + 1
        elif error is not None and error.code() == KafkaError._PARTITION_EOF and offset is not None:
            self._next_offset = max(self._next_offset, offset)
            if not self._read_to_end.is_set():
                log.info("api keys read", keys=len(self.table.records()), next_offset=self._next_offset)
                self._read_to_end.set()
        elif error is not None and error.code() == KafkaError._AUTO_OFFSET_RESET:
            # The topic was made anew or cut: what we hold is no longer what it says.
            log.warning("the api keys topic went back, reading it again", error=error.str())
            self._begin(consumer)
        elif error is not None:
            self._report(error)

    def _report(self, error: KafkaError) -> None:
        """Say that Kafka is in trouble, once a minute: librdkafka tries again by itself, and often."""
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + REPORT_EVERY_S
            log.warning("api keys cannot be read from kafka, trying again", error=error.str())


def _consumer(settings: KafkaSettings, on_error: Callable[[KafkaError], None]) -> Consumer:
    config: dict[str, Any] = {
        **settings.librdkafka(),
        **QUIET,
        "error_cb": on_error,
        "group.id": f"api-keys-reader-{uuid4()}",  # librdkafka wants a name; no group is ever joined
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
    }
    return Consumer(config)


def _tell_if_lost(error: KafkaError | None, _message: Message) -> None:
    if error is not None:
        log.warning("the last use of a key was not written", error=error.str())


def _bytes(part: bytes | str | None) -> bytes | None:
    return part.encode() if isinstance(part, str) else part
