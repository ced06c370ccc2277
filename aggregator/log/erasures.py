"""The topic of erasures: read to its end by everybody who counts, and written to by operators."""

import time
from typing import Any, Final
from uuid import uuid4

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition

from aggregator.counting.rules import Erasures
from aggregator.errors import KafkaUnavailableError, OtherLogError, UndeliveredError
from schemas.shared.kafka_causes import Causes
from schemas.shared.settings import TopicsSettings
from schemas.topics import ErasureRecord

TIMEOUT_S: Final = 5.0
"""Of a question; and how long nothing may come while the topic is read."""

_POLL_S: Final = 0.5


class ErasureTopic:
    """Reads the topic, each time from where it stood to the end. Blocking; for one thread.

    A topic that is not there is no empty one: whoever took it for that would count the past of tenants that
    were erased. `ses-metrics-topics` makes it.
    """

    def __init__(self, settings: TopicsSettings) -> None:
        """Prepare; the connection is made with the first query.

        settings: where Kafka is and what the topic is called.
        """
        self._topic = settings.erasures_topic
        self._causes = Causes()
        self._config: dict[str, Any] = {
            **settings.librdkafka(),
            "socket.timeout.ms": int(TIMEOUT_S * 1000),
            "error_cb": self._hear,
        }
        self._consumer: Consumer | None = None
        self._told: list[tuple[int, str, int]] = []
        self._position = 0

    def read(self) -> Erasures:
        """All erasures that there are now.

        Raises: KafkaUnavailableError; OtherLogError where the topic was made anew, or cannot be understood.
        """
        try:
            end = self._end()
            if self._position < end:
                self._read_to(end)
        except BaseException:
            self.close()
            raise
        return Erasures(self._told, self._position)

    def end(self) -> int:
        """The offset after the last erasure. Raises: as `read`."""
        try:
            return self._end()
        except BaseException:
            self.close()
            raise

    def write(self, erased: ErasureRecord) -> None:
        """Erase a tenant: from here on whoever reads the topic knows.

        Raises: UndeliveredError where Kafka has not acknowledged it in time; it may be written all the same.
        """
        refused: list[KafkaError] = []
        delivered: list[object] = []

        def heard(error: KafkaError | None, message: object) -> None:
            if error is not None:
                refused.append(error)
            else:
                delivered.append(message)

        config = {**self._config, "acks": "all", "message.timeout.ms": int(2 * TIMEOUT_S * 1000)}
        producer = Producer(config)
        producer.produce(
            self._topic, key=erased.key, value=msgspec.json.encode(erased), partition=0, on_delivery=heard
        )
        producer.flush(2 * TIMEOUT_S + 1)
        if refused:
            why = self._causes.why(refused[0], f"WRITE on {self._topic}")
            raise UndeliveredError(f"topic {self._topic}: {why}")
        if not delivered:
            raise UndeliveredError(f"topic {self._topic}: Kafka did not acknowledge the erasure")

    def close(self) -> None:
        """Drop the connection, and forget what was read."""
        self._told, self._position = [], 0
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _hear(self, error: KafkaError) -> None:
        if not _is_of_the_group(error):
            self._causes.hear(error)

    def _end(self) -> int:
        try:
            if self._consumer is None:
                self._consumer = self._connected()
            found = self._consumer.get_watermark_offsets(TopicPartition(self._topic, 0), TIMEOUT_S)
        except KafkaException as error:
            raise self._unavailable(error) from error
        if found is None:
            raise KafkaUnavailableError(f"topic {self._topic}: Kafka does not answer")
        end = int(found[1])
        if end < self._position:
            raise OtherLogError(f"topic {self._topic} ends at {end} and was read up to {self._position}")
        return end

    def _connected(self) -> Consumer:
        consumer = Consumer(
            {
                **self._config,
                "group.id": f"erasures-reader-{uuid4()}",  # librdkafka wants a name; no group is ever joined
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
            }
        )
        try:
            topic = consumer.list_topics(self._topic, timeout=TIMEOUT_S).topics[self._topic]
            if topic.error is not None:
                raise KafkaException(topic.error)  # noqa: TRY301  # as if it had been raised
        except KafkaException:
            consumer.poll(0)  # delivers what librdkafka has for `error_cb`
            consumer.close()
            raise
        return consumer

    def _read_to(self, end: int) -> None:
        assert self._consumer is not None
        begin = self._position or OFFSET_BEGINNING
        self._consumer.assign([TopicPartition(self._topic, 0, begin)])
        while self._position < end:
            self._take_next(self._consumer)
        self._consumer.unassign()  # else it would go on fetching while nobody reads

    def _take_next(self, consumer: Consumer) -> None:
        """Take in what comes next: a record, or that there are none before the end."""
        until = time.monotonic() + TIMEOUT_S
        while (message := consumer.poll(_POLL_S)) is None or _is_of_the_group(message.error()):
            if time.monotonic() >= until:
                raise KafkaUnavailableError(f"topic {self._topic}: nothing comes")
        error, offset = message.error(), message.offset()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise self._unavailable(KafkaException(error))
        assert offset is not None
        if error is not None:  # what lies before the end is gone by compaction
            self._position = max(self._position, offset)
            return
        self._position = offset + 1
        value = message.value()
        if value is not None:
            try:
                erased = msgspec.json.decode(value, type=ErasureRecord)
            except msgspec.DecodeError as damaged:
                raise OtherLogError(f"topic {self._topic}, offset {offset}: {damaged}") from damaged
            self._told.append((offset, erased.tenant, erased.through_ms))

    def _unavailable(self, error: KafkaException) -> KafkaUnavailableError:
        why = self._causes.why(error, f"READ on {self._topic}")
        return KafkaUnavailableError(f"topic {self._topic}: {why}")


def _is_of_the_group(error: KafkaError | None) -> bool:
    """A client asks about a group, as librdkafka wants a name for one; no right to any is needed."""
    return error is not None and error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED
