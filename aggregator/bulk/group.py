"""Which partitions are this process's own: Kafka hands them out among the members of a consumer group.

Nothing is read through the group and nothing committed to it: where a partition is counted up to stands in
Redis. So whom Kafka believes to have a partition decides only who works, never what is counted: two who
count the same one, as after a pause that Kafka took for death, are told apart by the checkpoints
(`counters.apply`). In good order it does not come to that: a member that has to give a partition away does
so once what it has read is counted (`Membership.held`). One that died is missed after `SESSION_S`.

The group goes by itself: Kafka forgets one without members that has committed nothing.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from aggregator.errors import KafkaUnavailableError
from schemas.shared.kafka_causes import Causes
from schemas.shared.settings import EventsSettings

SESSION_S: Final = 10.0
"""A member of which Kafka hears nothing for so long is dead: as long as the lease of a rebuild lasts."""

LETTING_GO_S: Final = 120.0
"""What was read is counted within this time, or is counted by two."""

_POLL_S: Final = 0.2
_REFUSED: Final = (KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED)


class Membership:
    """One member of a group, from `with` to its end."""

    def __init__(self, settings: EventsSettings, group: str) -> None:
        """Prepare.

        settings: where Kafka is; the partitions are those of the events topic. group: its id.
        """
        self._group = group
        self._topic = settings.events_topic
        self._causes = Causes()
        self._consumer = Consumer(
            {
                **settings.librdkafka(),
                "group.id": group,
                "partition.assignment.strategy": "cooperative-sticky",  # others go on meanwhile
                "session.timeout.ms": int(SESSION_S * 1000),
                "heartbeat.interval.ms": 500,  # so soon a member hears that it has others
                "enable.auto.commit": False,
                "auto.offset.reset": "latest",
                "error_cb": self._causes.hear,
            }
        )
        self._state = threading.Condition()
        self._numbers: frozenset[int] = frozenset()
        self._has_changed = False
        self._is_busy = False
        self._refused: KafkaException | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="group", daemon=True)

    def __enter__(self) -> Self:
        self._consumer.subscribe(
            [self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave: the others have the partitions at once."""
        self._done.set()
        self._thread.join()

    @property
    def has_changed(self) -> bool:
        """Whether the partitions are others than those that were last given by `held`."""
        return self._has_changed

    def wait(self, wait_s: float) -> bool:
        """Wait until they are others, for so many seconds at most. Returns: `has_changed`.

        Raises: KafkaUnavailableError where Kafka refuses the group.
        """
        with self._state:
            self._state.wait_for(lambda: self._has_changed or self._refused is not None, wait_s)
        if self._refused is not None:
            why = self._causes.why(self._refused, f"READ on group {self._group}")
            raise KafkaUnavailableError(f"consumer group {self._group}: {why}")
        return self._has_changed

    @contextmanager
    def held(self) -> Iterator[frozenset[int]]:
        """The partitions that are this process's own; none of them is given away in good order in the block.

        So the block is to be left soon where `has_changed`.
        """
        with self._state:
            self._has_changed, self._is_busy = False, True
            numbers = self._numbers
        try:
            yield numbers
        finally:
            with self._state:
                self._is_busy = False
                self._state.notify_all()

    # In the thread

    def _follow(self) -> None:
        """Take part in the group; what Kafka may mend by itself, librdkafka tries again."""
        try:
            while not self._done.is_set():
                _check(self._consumer.poll(_POLL_S))
        except KafkaException as error:
            with self._state:
                self._refused = error
                self._state.notify_all()
        with suppress(KafkaException):
            self._consumer.close()

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Some more; they are paused, as nothing is read through the group."""
        consumer.incremental_assign(
            [TopicPartition(each.topic, each.partition, OFFSET_END) for each in partitions]
        )
        consumer.pause(partitions)
        self._change(self._numbers | {each.partition for each in partitions})

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Some fewer: another one has them when this has returned."""
        self._lost(consumer, partitions)
        with self._state:
            self._state.wait_for(lambda: not self._is_busy, LETTING_GO_S)

    def _lost(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Some fewer, and another one may have them already."""
        self._change(self._numbers - {each.partition for each in partitions})

    def _change(self, numbers: frozenset[int]) -> None:
        with self._state:
            self._has_changed |= numbers != self._numbers
            self._numbers = numbers
            self._state.notify_all()


def _check(message: Any) -> None:
    """Raise KafkaException for what a consumer got where it says that Kafka does not let it go on."""
    error = None if message is None else message.error()
    if error is not None and (error.fatal() or error.code() in _REFUSED):
        raise KafkaException(error)
