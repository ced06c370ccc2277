"""`dead-letters`: list, show, redrive and purge what could not be read.

A begin may have written a letter twice; letters are counted by key. A redrive puts the original bytes back on
the events topic, with the original key and record time, as the rules judge a record by its time.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from aggregator.bulk import BulkReader, Row
from aggregator.errors import KafkaUnavailableError, UndeliveredError
from schemas import topics
from schemas.kafka_causes import Causes
from schemas.settings import TopicsSettings

OLD_MS: Final = 14 * 24 * 3_600_000
"""Dedupe state may be gone for records that are older: a redrive of them takes a rebuild afterwards."""

_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter. timestamp: the record's own time, in ms since 1970."""

    key: str
    reason: str
    timestamp: int
    source_key: bytes | None
    value: bytes | None


class OldLettersError(Exception):
    """Some letters are too old to redrive unless told so."""


class Letters:
    """The dead-letter topic, as an operator sees it."""

    def __init__(self, settings: TopicsSettings) -> None:
        """Prepare.

        settings: where Kafka is and what the topics are called.
        """
        self._settings = settings
        self._causes = Causes()
        self._client: dict[str, Any] = {**settings.librdkafka(), "error_cb": self._causes.hear}
        self._admin = AdminClient(self._client)

    def read(self, reason: str | None = None) -> Iterator[Letter]:
        """All letters, each once, in the order in which they were written; of one reason only, if asked.

        Raises: KafkaUnavailableError.
        """
        seen: set[str] = set()
        topic = self._settings.dead_letter_topic
        with BulkReader(self._settings, topic) as bulk:
            ranges = bulk.ranges(self._partitions(topic))
            start = {number: first for number, (first, _) in ranges.items()}
            for _, rows in bulk.until(start, {number: end for number, (_, end) in ranges.items()}):
                for letter in map(_letter, rows):
                    if letter.key not in seen and reason in (None, letter.reason):
                        seen.add(letter.key)
                        yield letter

    def count(self) -> Counter[str]:
        """How many letters there are of each reason. Raises: KafkaUnavailableError."""
        return Counter(letter.reason for letter in self.read())

    def redrive(self, *, reason: str | None, now_ms: int, old: bool) -> tuple[int, int]:
        """Put letters back on the events topic. Doing it twice counts once.

        reason: only these. old: also records of more than 14 days ago.
        Returns: how many, and how many of them were old.
        Raises: OldLettersError, before anything is written; UndeliveredError; KafkaUnavailableError.
        """
        letters = list(self.read(reason))
        too_old = sum(now_ms - letter.timestamp > OLD_MS for letter in letters)
        if too_old and not old:
            raise OldLettersError(
                f"{too_old} of {len(letters)} records are more than 14 days old: facts of theirs that were"
                " counted may count again. --old redrives them all the same, and a `rebuild` must follow"
            )
        failed: list[KafkaError] = []

        def delivered(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failed.append(error)

        producer = Producer(
            {
                **self._client,
                "acks": "all",
                "enable.idempotence": True,
                "compression.type": "lz4",
                "message.max.bytes": topics.EVENT_MAX_BYTES,
            }
        )
        try:
            for letter in letters:
                producer.produce(
                    self._settings.events_topic,
                    value=letter.value,
                    key=letter.source_key,
                    timestamp=letter.timestamp,
                    on_delivery=delivered,
                )
                producer.poll(0)
        except (KafkaException, BufferError) as error:
            raise UndeliveredError(str(error)) from error
        waiting = producer.flush(_TIMEOUT_S)
        if failed or waiting:
            topic = self._settings.events_topic
            why = f": {self._causes.why(failed[0], f'WRITE on {topic}')}" if failed else ""
            number = len(failed) + waiting
            raise UndeliveredError(f"{number} of {len(letters)} records were not acknowledged{why}")
        return len(letters), too_old

    def purge(self) -> int:
        """Delete all letters there are now. Returns: how many records. Raises: KafkaUnavailableError."""
        topic = self._settings.dead_letter_topic
        with BulkReader(self._settings, topic) as bulk:
            ranges = bulk.ranges(self._partitions(topic))
        upto = [TopicPartition(topic, number, end) for number, (start, end) in ranges.items() if end > start]
        try:
            for answer in self._admin.delete_records(upto, request_timeout=_TIMEOUT_S).values():
                answer.result()
        except KafkaException as error:
            why = self._causes.why(error, f"DELETE on {topic}")
            raise KafkaUnavailableError(f"topic {topic}: {why}") from error
        return sum(end - start for start, end in ranges.values())

    def _partitions(self, topic: str) -> int:
        try:
            found = self._admin.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
        except KafkaException as error:
            self._admin.poll(0)  # hands over what was told to `error_cb`
            raise KafkaUnavailableError(f"topic {topic}: {self._causes.why(error)}") from error
        if found.error is not None:
            why = self._causes.why(found.error, f"READ on {topic}")
            raise KafkaUnavailableError(f"topic {topic}: {why}")
        return len(found.partitions)


def _letter(row: Row) -> Letter:
    headers = dict(row.headers)
    return Letter(
        key=(row.key or b"").decode(),
        reason=(headers.get(topics.REASON) or b"").decode(),
        timestamp=int(headers.get(topics.SOURCE_TIMESTAMP) or row.timestamp),
        source_key=headers.get(topics.SOURCE_KEY),
        value=row.value,
    )
