"""Follows the topic `api-keys` into a table, in a thread of its own, and writes when keys were used.

The topic is read from its start each time, so nothing is committed. Until it has been read to its end once,
nobody can say whether a key is valid; the API is then unavailable.

When a key was last used is written by the API, at most once an hour for a key, over all APIs that have read
what the others wrote. It is approximate: a write that Kafka does not take is not repeated.
"""

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec
import structlog
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, Message, TopicPartition

from api.keys.table import KeyTable
from api.keys.topic import (
    KAFKA_TIMEOUT_S,
    WANTS_READ,
    WANTS_WRITE,
    KeyTopicError,
    key_consumer,
    key_producer,
)
from schemas.keys import LAST_USED_SUFFIX, LastUsed
from schemas.shared.kafka_errors import describe, detail, is_cause
from schemas.shared.settings import KafkaSettings
from schemas.topics import API_KEYS_TOPIC

log = structlog.get_logger(__name__)

POLL_S: Final = 0.1
WAIT_PAUSE_S: Final = 0.01
REPORT_EVERY_S: Final = 60.0
REPORT_AFTER_S: Final = 3.0
"""How often it is reported that the keys cannot be read; how often, while they cannot, Kafka is asked why."""

LOOK_EVERY_S: Final = 1.0
"""How often it is noted how much of the topic is not read."""

UNREADABLE_REPORTED: Final = 10
"""How many records that cannot be read are reported one by one."""

LAST_USED_EVERY_MS: Final = 3_600_000

_PARTITION: Final = TopicPartition(API_KEYS_TOPIC, 0)


def _nothing() -> None:
    """Nobody waits for a failure."""


class KeyFollower:
    """Keeps a table of all keys up to date, in a thread of its own.

    Start it once, stop it once. All else may be called from any thread and never blocks, but for the waits.
    """

    def __init__(self, settings: KafkaSettings, on_failure: Callable[[], None] = _nothing) -> None:
        """Prepare; nothing is read yet.

        settings: where Kafka is. on_failure: called in the thread where that ends before `stop` was called:
        no revocation is heard of any more, so the program must not go on for long.
        Raises: KafkaException where librdkafka can't make sense of the settings.
        """
        self._on_failure = on_failure
        self._consumer = key_consumer(settings, self._report)
        self._producer = key_producer(settings, self._report, {})
        self._stopping = threading.Event()
        self._read_to_end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="api-keys", daemon=True)
        self._next_offset = 0
        self._end_offset = 0
        self._look_at = 0.0
        self._heard_ms = 0
        self._quiet_until = 0.0
        self._ask_why_at = 0.0
        self._noted_ms: dict[str, int] = {}
        self._uses: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        self.table = KeyTable()
        self.unreadable = 0
        """How many records of the topic could not be read."""
        self.trouble: str | None = None
        """Why the topic cannot be read now, without addresses; none where that is not known."""
        self.failed = False
        """Whether the thread ended before `stop` was called."""

    @property
    def loaded(self) -> bool:
        """Whether the topic was read to its end, and is still followed."""
        return self._read_to_end.is_set() and self._thread.is_alive() and not self.failed

    @property
    def next_offset(self) -> int:
        """The offset below which every record of the topic is in the table."""
        return self._next_offset

    @property
    def unread(self) -> int:
        """See `KeySource`."""
        return max(0, self._end_offset - self._next_offset)

    @property
    def heard_ms(self) -> int:
        """See `KeySource`."""
        return self._heard_ms

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def note_use(self, key_id: str, now_ms: int) -> None:
        """A key was used: have that written, unless it was within the last hour."""
        last_ms = max(self.table.last_used_ms(key_id) or 0, self._noted_ms.get(key_id, 0))
        if now_ms - last_ms >= LAST_USED_EVERY_MS:
            self._noted_ms[key_id] = now_ms
            self._uses.put((key_id, now_ms))

    def wait_until_read(self, offset: int = -1) -> None:
        """Wait until the topic was read to its end, and past an offset. Blocks.

        Raises: KeyTopicError where nothing more of it comes in time.
        """
        came, at = time.monotonic(), self._next_offset
        while not (self.loaded and self._next_offset > offset):
            now = time.monotonic()
            if self._next_offset != at:
                came, at = now, self._next_offset
            if self.failed or now - came >= KAFKA_TIMEOUT_S:
                why = self.trouble or "nothing comes, and Kafka does not say why"
                raise KeyTopicError(f"Kafka's topic {API_KEYS_TOPIC} was not read to its end: {why}")
            time.sleep(WAIT_PAUSE_S)

    def stop(self) -> None:
        """End the thread. Blocks for about a second at most."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._follow()
        except Exception:
            self.failed = True
            self.trouble = "the keys are not followed any more, start the API again"
            log.exception("the api keys are not followed any more")
            self._on_failure()
        finally:
            self._producer.flush(0.5)
            self._consumer.close()

    def _follow(self) -> None:
        self._ask_why_at = time.monotonic() + REPORT_AFTER_S
        self._begin()
        while not self._stopping.is_set():
            message = self._consumer.poll(POLL_S)
            self._look_at_the_end()
            if message is not None:
                self._take(message)
            elif not self._read_to_end.is_set() and self._is_time_to_ask():
                self._ask_why()
            elif self.trouble is not None and self._is_time_to_ask():
                self._ask_for_the_end()
            elif self._read_to_end.is_set() and self.trouble is None:
                self._heard_ms = time.time_ns() // 1_000_000
            self._write_uses()

    def _look_at_the_end(self) -> None:
        """Once a second, note where the topic ends, as its last answer said; nobody is asked.

        In this thread: any other would wait until none of its calls is under way, which is nearly never.
        """
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY_S
            self._end_offset = self._consumer.get_watermark_offsets(_PARTITION, cached=True)[1]

    def _is_time_to_ask(self) -> bool:
        now = time.monotonic()
        if now < self._ask_why_at:
            return False
        self._ask_why_at = now + REPORT_AFTER_S
        return True

    def _ask_for_the_end(self) -> None:
        """Have the end reported once more, which says that Kafka lets us read again."""
        with suppress(KafkaException):  # it does not read just now; it is asked again
            self._consumer.seek(TopicPartition(API_KEYS_TOPIC, 0, self._next_offset))

    def _ask_why(self) -> None:
        """Say what is waited for, now and then: a topic that is not there yet is no error to librdkafka."""
        try:
            topic = self._consumer.list_topics(API_KEYS_TOPIC, timeout=1.0).topics[API_KEYS_TOPIC]
        except KafkaException as error:
            self._report(error.args[0])
            return
        if topic.error is not None:
            self._report(topic.error)

    def _well(self) -> None:
        """Kafka was reached."""
        if self.trouble is not None:
            log.info("kafka is reached again, the api keys are read", after=self.trouble)
            self.trouble = None

    def _write_uses(self) -> None:
        while not self._uses.empty():
            key_id, used_ms = self._uses.get()
            self._producer.produce(
                API_KEYS_TOPIC,
                key=key_id + LAST_USED_SUFFIX,
                value=msgspec.json.encode(LastUsed(used_ms=used_ms)),
                partition=0,
                on_delivery=_report_if_lost,
            )
        self._producer.poll(0)

    def _begin(self) -> None:
        self._read_to_end.clear()
        self._next_offset = 0
        self.table = KeyTable()
        self.unreadable = 0
        self._consumer.assign([TopicPartition(API_KEYS_TOPIC, 0, OFFSET_BEGINNING)])

    def _take(self, message: Message) -> None:
        error, offset = message.error(), message.offset()
        if error is None and offset is not None:
            if not self.table.apply(_bytes(message.key()), _bytes(message.value())):
                self._skipped(offset)
            self._next_offset = offset + 1
            self._well()
        elif error is not None and error.code() == KafkaError._PARTITION_EOF and offset is not None:
            self._next_offset = max(self._next_offset, offset)
            self._well()
            if not self._read_to_end.is_set():
                log.info(
                    "api keys read",
                    keys=len(self.table),
                    unreadable=self.unreadable,
                    next_offset=self._next_offset,
                )
                self._read_to_end.set()
        elif error is not None and error.code() == KafkaError._AUTO_OFFSET_RESET:
            # The topic was made anew or cut: what we hold is no longer what it says.
            log.warning("the api keys topic went back, reading it again", error=error.str())
            self._begin()
        elif error is not None:
            self._report(error)

    def _skipped(self, offset: int) -> None:
        """Say that a record opens nothing, each of the first few, so that a flood does not fill the log."""
        self.unreadable += 1
        if self.unreadable <= UNREADABLE_REPORTED:
            log.warning("unreadable api key record, it opens nothing", offset=offset)

    def _report(self, error: KafkaError) -> None:
        """Say that Kafka is in trouble, once a minute: librdkafka tries again by itself, and often."""
        if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            return  # it asks about a group, as it wants a name for one; we need no right to any
        if self.trouble is None or is_cause(error):  # that nobody answers does not hide why
            self.trouble = describe(error, wants=WANTS_READ)
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + REPORT_EVERY_S
            log.warning(
                "api keys cannot be read from kafka, trying again",
                topic=API_KEYS_TOPIC,
                reason=self.trouble,
                error=detail(error),
            )


def _report_if_lost(error: KafkaError | None, _message: Message) -> None:
    if error is not None:
        log.warning("the last use of a key was not written", reason=describe(error, wants=WANTS_WRITE))


def _bytes(part: bytes | str | None) -> bytes | None:
    return part.encode() if isinstance(part, str) else part
