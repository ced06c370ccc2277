"""What the aggregator asks of Kafka beside records: which cluster and topic this is, and who committed."""

import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from aggregator.errors import KafkaUnavailableError, TopicMissingError
from schemas.shared.kafka_causes import Causes
from schemas.shared.settings import EventsSettings

log = structlog.get_logger(__name__)

_TIMEOUT_S: Final = 5.0

_MOVING: Final = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)
"""What a broker says of a group while its coordinator is still being chosen, or reads what the group was."""

_AGAIN_S: Final = 0.2


class Log(NamedTuple):
    """Which log it is: a topic made anew under the same name has another id."""

    cluster_id: str
    topic_id: str
    partitions: int


class Cluster:
    """Asks Kafka. Blocking calls of at most some seconds."""

    def __init__(self, settings: EventsSettings) -> None:
        """Prepare; the connection is made with the first query.

        settings: where Kafka is and what the topics are called.
        """
        self._topic = settings.events_topic
        self._causes = Causes()
        self._config: dict[str, Any] = {
            **settings.librdkafka(),
            "socket.timeout.ms": int(_TIMEOUT_S * 1000),
            "error_cb": self._causes.hear,
        }
        self._admin = AdminClient(self._config)

    def log(self) -> Log:
        """Which cluster and events topic this is.

        Raises: KafkaUnavailableError where Kafka does not answer, TopicMissingError where it has no such
        topic.
        """
        try:
            cluster = self._admin.describe_cluster(request_timeout=_TIMEOUT_S).result()
            found = self._admin.describe_topics(TopicCollection([self._topic]), request_timeout=_TIMEOUT_S)
            topic = found[self._topic].result()
        except KafkaException as error:
            self._admin.poll(0)  # delivers what librdkafka has for `error_cb`
            # A client waits for the controller that it knows, also where that broker is dead and others have
            # long taken over; one that is new asks any broker who it is.
            self._admin = AdminClient(self._config)
            why = f"topic {self._topic}: {self._causes.why(error, f'READ on {self._topic}')}"
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise TopicMissingError(why) from error
            raise KafkaUnavailableError(why) from error
        return Log(str(cluster.cluster_id), str(topic.topic_id), len(topic.partitions))

    def has_commits(self, group: str, partitions: int) -> bool:
        """Whether a consumer group ever committed an offset of the events topic. Otherwise as `commits`."""
        return bool(self.commits(group, partitions))

    def commits(self, group: str, partitions: int) -> dict[int, int]:
        """The offset that a consumer group committed last, for each partition where it committed one.

        group: its id. partitions: how many the topic has.
        Raises: KafkaUnavailableError.
        """
        # A consumer that never joins: the admin client's query crashes librdkafka 2.16 where the
        # coordinator is still loading, as it is when a group is asked for the first time.
        config = {**self._config, "group.id": group, "enable.auto.commit": False}
        consumer = Consumer(config)
        try:
            asked = [TopicPartition(self._topic, number) for number in range(partitions)]
            found = _committed(consumer, asked)
            return {each.partition: each.offset for each in found if each.offset >= 0}
        except KafkaException as error:
            self.check_group(group)
            why = self._causes.why(error, f"READ on group {group}")
            raise KafkaUnavailableError(f"consumer group {group}: {why}") from error
        finally:
            consumer.close()

    def delete_below(self, offsets: Mapping[int, int]) -> None:
        """Delete the records of the events topic below these offsets, by partition.

        Raises: KafkaUnavailableError.
        """
        delete_below(self._admin, self._causes, self._topic, offsets, _TIMEOUT_S)

    def check_group(self, group: str) -> None:
        """Raise KafkaUnavailableError where Kafka does not let us read a consumer group.

        Nothing else reports who may not: librdkafka and aiokafka look for the coordinator again and again.
        """
        asked = self._admin.describe_consumer_groups([group], request_timeout=_TIMEOUT_S)
        try:
            asked[group].result()
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
                why = self._causes.why(error, f"READ on group {group}")
                raise KafkaUnavailableError(f"consumer group {group}: {why}") from error


def delete_below(
    admin: AdminClient, causes: Causes, topic: str, offsets: Mapping[int, int], timeout_s: float
) -> None:
    """Delete the records of a topic below these offsets, by partition.

    admin, causes: the client, and what it hears. timeout_s: of the request.
    Raises: KafkaUnavailableError.
    """
    upto = [TopicPartition(topic, number, offset) for number, offset in offsets.items()]
    try:
        for answer in admin.delete_records(upto, request_timeout=timeout_s).values():
            answer.result()
    except KafkaException as error:
        why = causes.why(error, f"DELETE on {topic}")
        raise KafkaUnavailableError(f"topic {topic}: {why}") from error


def _committed(consumer: Consumer, asked: list[TopicPartition]) -> list[TopicPartition]:
    """What a group has committed, asked again for `_TIMEOUT_S` while its coordinator comes up.

    A Kafka that nobody has asked for a group yet has no coordinator for a moment. Raises: KafkaException.
    """
    until = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            return consumer.committed(asked, timeout=_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() not in _MOVING or time.monotonic() > until:
                raise
            log.info("the group has no coordinator yet, and is asked again", error=str(error))
        time.sleep(_AGAIN_S)
