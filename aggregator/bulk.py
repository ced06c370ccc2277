"""Reading a topic in bulk, outside any consumer group: for `rebuild`, `verify` and `dead-letters`.

librdkafka delivers a partition's records in order from the offset that it was assigned; `read_committed`
as everywhere.
"""

import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import structlog
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from aggregator.errors import KafkaUnavailableError
from schemas.kafka_errors import describe
from schemas.settings import EventsSettings

BATCH: Final = 20_000
_POLL_S: Final = 0.2
_ASK_S: Final = 10.0
_SILENCE_S: Final = 60.0
_PASSING: Final = frozenset(
    {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE, KafkaError._TIMED_OUT}
)
log = structlog.get_logger(__name__)


class Row(NamedTuple):
    """A record (`reading.KafkaRecord`)."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class BulkReader:
    """Reads partitions of a topic. To be closed, or used in `with`."""

    def __init__(self, settings: EventsSettings, topic: str | None = None) -> None:
        """Prepare; nothing is read yet.

        settings: where Kafka is. topic: none for that of events.
        """
        self._topic = topic or settings.events_topic
        self._with_headers = topic is not None  # those of events say nothing that is counted
        self.positions: dict[int, int] = {}
        """For each assigned partition, the offset that comes next; past records of control at the end."""
        self._consumer = Consumer(
            {
                **settings.librdkafka(),
                "group.id": "ses-metrics-bulk",  # librdkafka asks for one; nothing is committed or joined
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "fetch.max.bytes": 64 * 1024 * 1024,
                "max.partition.fetch.bytes": 8 * 1024 * 1024,
                "queued.max.messages.kbytes": 128 * 1024,
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connection."""
        self._consumer.close()

    def ranges(self, partitions: int) -> dict[int, tuple[int, int]]:
        """The first offset and the end of each partition's log.

        partitions: how many there are. Raises: KafkaUnavailableError.
        """
        try:
            return {
                number: self._consumer.get_watermark_offsets(
                    TopicPartition(self._topic, number), timeout=_ASK_S, cached=False
                )
                for number in range(partitions)
            }
        except KafkaException as error:
            raise KafkaUnavailableError(str(error)) from error

    def offsets_since(self, partitions: int, since_ms: int) -> dict[int, int]:
        """For each partition, the first offset of which no earlier record is of `since_ms` or later.

        Raises: KafkaUnavailableError.
        """
        asked = [TopicPartition(self._topic, number, since_ms) for number in range(partitions)]
        ends = self.ranges(partitions)
        try:
            found = self._consumer.offsets_for_times(asked, timeout=_ASK_S)
        except KafkaException as error:
            raise KafkaUnavailableError(str(error)) from error
        return {
            each.partition: ends[each.partition][1] if each.offset == OFFSET_END else each.offset
            for each in found
        }

    def assign(self, positions: Mapping[int, int]) -> None:
        """Read these partitions from these offsets on, and no others."""
        self.positions = dict(positions)
        self._consumer.assign([TopicPartition(self._topic, number, at) for number, at in positions.items()])

    def poll(self, most: int = BATCH) -> dict[int, list[Row]]:
        """What has come, by partition and in order; nothing where nothing has come for a moment.

        most: as soon as so many records have come they are returned, and no later than after that moment.
        Raises: KafkaUnavailableError, also where an offset is no longer in the log.
        """
        rows: dict[int, list[Row]] = {}
        for message in self._consumer.consume(most, _POLL_S):
            error, partition, offset = message.error(), message.partition(), message.offset()
            if partition is None or offset is None:
                continue  # librdkafka's hint; a message that was consumed has both
            if error is None:
                rows.setdefault(partition, []).append(self._row(offset, message))
                self.positions[partition] = offset + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                self.positions[partition] = max(offset, self.positions.get(partition, 0))
            elif error.code() in _PASSING:
                log.warning("Kafka is out of reach, waiting", error=error.str())
            else:
                why = describe(error, wants=f"READ on {self._topic}")
                raise KafkaUnavailableError(f"topic {self._topic}: {why}")
        return rows

    def _row(self, offset: int, message: Message) -> Row:
        headers: Any = message.headers() if self._with_headers else None  # a list of pairs, or nothing
        return Row(offset, message.timestamp()[1], message.key(), message.value(), tuple(headers or ()))

    def until(self, start: Mapping[int, int], stop: Mapping[int, int]) -> Iterator[tuple[int, list[Row]]]:
        """All records from `start` up to `stop` (not included) of each partition, in order.

        Raises: KafkaUnavailableError, also where nothing has come for a minute.
        """
        left = {number: stop[number] for number in start if start[number] < stop[number]}
        self.assign({number: start[number] for number in left})
        heard = time.monotonic()
        while left:
            for number, rows in self.poll().items():
                heard = time.monotonic()
                yield number, [row for row in rows if row.offset < left[number]]
            done = [number for number, end in left.items() if self.positions[number] >= end]
            for number in done:
                del left[number]
            if done:
                self._consumer.incremental_unassign([TopicPartition(self._topic, number) for number in done])
            if time.monotonic() - heard > _SILENCE_S:
                raise KafkaUnavailableError(
                    f"no record for {_SILENCE_S:.0f} s, partitions {sorted(left)} unread"
                )
