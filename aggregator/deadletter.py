"""Dead letters: what could not be read, kept with its reason and where it came from.

A letter is acknowledged by Kafka before any fence passes its record, so none is lost; a begin may repeat
one, and whoever reads them counts by key (topic, partition, offset).
"""

from collections.abc import Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from aggregator.errors import UndeliveredError
from aggregator.facts import Refusal
from aggregator.reading import KafkaRecord
from schemas import topics
from schemas.kafka_causes import Causes
from schemas.settings import TopicsSettings

ACKNOWLEDGED_WITHIN_S: Final = 10.0
_AT_ONCE: Final = 500
Letter = tuple[KafkaRecord, Refusal]
"""A record that was refused, and why."""


def letter_key(topic: str, partition: int, offset: int) -> str:
    """The key of a dead letter."""
    return f"{topic}:{partition}:{offset}"


class DeadLetters:
    """Writes to the dead-letter topic."""

    def __init__(self, settings: TopicsSettings) -> None:
        """Prepare; the connection is made with the first letter.

        settings: where Kafka is and what the topics are called.
        """
        self._source = settings.events_topic
        self._topic = settings.dead_letter_topic
        self._causes = Causes()
        self._config: dict[str, Any] = {
            **settings.librdkafka(),
            "error_cb": self._causes.hear,
            "acks": "all",
            "enable.idempotence": True,
            "compression.type": "lz4",
            "message.max.bytes": topics.DEAD_LETTER_MAX_BYTES,
            "message.timeout.ms": int(ACKNOWLEDGED_WITHIN_S * 1000),
        }
        self._producer: Producer | None = None

    def write(self, partition: int, letters: Sequence[Letter]) -> None:
        """Write letters and wait until Kafka has them.

        partition: of the events topic. letters: the records that were refused, and why.
        Raises: UndeliveredError where Kafka has not acknowledged all of them in time.
        """
        for first in range(0, len(letters), _AT_ONCE):
            self._write(partition, letters[first : first + _AT_ONCE])

    def _write(self, partition: int, letters: Sequence[Letter]) -> None:
        producer = self._producer or Producer(self._config)
        self._producer = None  # kept only where all went well: a failed one may be failed for good
        failed: list[KafkaError] = []

        def delivered(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failed.append(error)

        try:
            for record, reason in letters:
                headers: list[tuple[str, str | bytes | None]] = [
                    (topics.REASON, str(reason)),
                    (topics.SOURCE_TOPIC, self._source),
                    (topics.SOURCE_PARTITION, str(partition)),
                    (topics.SOURCE_OFFSET, str(record.offset)),
                    (topics.SOURCE_TIMESTAMP, str(record.timestamp)),
                ]
                if record.key is not None:
                    headers.append((topics.SOURCE_KEY, record.key))
                producer.produce(
                    self._topic,
                    value=record.value,
                    key=letter_key(self._source, partition, record.offset),
                    headers=headers,
                    on_delivery=delivered,
                )
        except (KafkaException, BufferError) as error:
            raise UndeliveredError(str(error)) from error
        waiting = producer.flush(ACKNOWLEDGED_WITHIN_S + 1)
        if failed:
            why = self._causes.why(failed[0], f"WRITE on {self._topic}")
            raise UndeliveredError(f"topic {self._topic}: {why}")
        if waiting:
            raise UndeliveredError(f"{waiting} dead letters without an answer")
        self._producer = producer
