"""Dead letters: what could not be read, kept with its reason and where it came from.

A dead letter is acknowledged by Kafka before any checkpoint passes its record, so none is lost. A resync
reads its record again; the dead letter is not written again by a process that remembers the acknowledgement.
Another process may repeat it, and whoever reads dead letters counts by key (topic, partition, offset).

A dead letter always fits: a record that is larger than any may be is cut (`too_large`), and all others leave
room for the headers.
"""

from collections.abc import Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from aggregator.counting.reading import DeadLetter
from aggregator.errors import UndeliveredError
from schemas import topics
from schemas.shared.kafka_causes import Causes
from schemas.shared.settings import TopicsSettings

ACKNOWLEDGED_WITHIN_S: Final = 10.0
_AT_ONCE: Final = 500


def dead_letter_key(topic: str, partition: int, offset: int) -> str:
    """The key of a dead letter."""
    return f"{topic}:{partition}:{offset}"


class DeadLetterWriter:
    """Writes to the dead-letter topic."""

    def __init__(self, settings: TopicsSettings) -> None:
        """Prepare; the connection is made with the first dead letter.

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
        self._acknowledged: dict[int, tuple[int, int]] = {}
        self._log: object = None

    def of_log(self, log: object) -> None:
        """From now on dead letters are of this log; offsets of another one mean nothing here."""
        if log != self._log:
            self._log = log
            self._acknowledged.clear()

    def write(self, partition: int, dead_letters: Sequence[DeadLetter]) -> None:
        """Write dead letters and wait until Kafka has them, but those that this object saw acknowledged.

        partition: of the events topic. dead_letters: the records that were refused, by rising offset. As
        partitions are read in order, none is left out that lies between two that were given here.
        Raises: UndeliveredError where Kafka has not acknowledged all of them in time.
        """
        first, end = self._acknowledged.get(partition, (0, 0))
        new = [dead_letter for dead_letter in dead_letters if not first <= dead_letter.offset < end]
        for at in range(0, len(new), _AT_ONCE):
            part = new[at : at + _AT_ONCE]
            self._write(partition, part)
            # One that starts below is of a log that is read again from further back: remember that instead.
            begin = first if first <= part[0].offset and end else part[0].offset
            first, end = self._acknowledged[partition] = begin, part[-1].offset + 1

    def _write(self, partition: int, dead_letters: Sequence[DeadLetter]) -> None:
        producer = self._producer or Producer(self._config)
        self._producer = None  # kept only where all went well: a failed one may be failed for good
        failed: list[KafkaError] = []

        def delivered(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failed.append(error)

        try:
            for dead_letter in dead_letters:
                headers: list[tuple[str, str | bytes | None]] = [
                    (topics.REASON, str(dead_letter.reason)),
                    (topics.SOURCE_TOPIC, self._source),
                    (topics.SOURCE_PARTITION, str(partition)),
                    (topics.SOURCE_OFFSET, str(dead_letter.offset)),
                    (topics.SOURCE_TIMESTAMP, str(dead_letter.timestamp)),
                ]
                if dead_letter.key is not None:
                    headers.append((topics.SOURCE_KEY, dead_letter.key))
                if dead_letter.value_bytes is not None:
                    headers.append((topics.VALUE_BYTES, str(dead_letter.value_bytes)))
                producer.produce(
                    self._topic,
                    value=dead_letter.value,
                    key=dead_letter_key(self._source, partition, dead_letter.offset),
                    headers=headers,
                    on_delivery=delivered,
                )
            waiting = producer.flush(ACKNOWLEDGED_WITHIN_S + 1)
        except KafkaException as error:  # `flush` raises what has broken the producer for good
            why = self._causes.why_not_sent(producer, error, f"WRITE on {self._topic}")
            raise UndeliveredError(f"topic {self._topic}: {why}") from error
        except BufferError as error:
            raise UndeliveredError(str(error)) from error
        if failed:
            why = self._causes.why_not_sent(producer, failed[0], f"WRITE on {self._topic}")
            raise UndeliveredError(f"topic {self._topic}: {why}")
        if waiting:
            raise UndeliveredError(f"{waiting} dead letters without an answer")
        self._producer = producer
