"""Reading a topic in bulk, outside any consumer group: for `rebuild`, `verify`, `audit` and `dead-letters`.

It reads record batches as the worker does (`packed_fetch`), from aiokafka's consumer in a thread with a
loop of its own; they are unpacked in the caller's, a bounded part at a time. Fetching waits while what was
fetched is not read. `read_committed` as everywhere.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as LateError
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import BrokerResponseError, KafkaError
from aiokafka.structs import TopicPartition
from confluent_kafka import KafkaError as ErrorCode

from aggregator.counting.reading import KafkaRecord
from aggregator.errors import KafkaUnavailableError
from aggregator.log.packed_fetch import RecordBatch, keep_fetches_packed
from schemas.shared.kafka_errors import describe
from schemas.shared.settings import EventsSettings

BATCH: Final = 20_000
BYTES_A_POLL: Final = 8 * 1024 * 1024
"""A poll returns once its records' values are so long, with the one that makes them longer."""

SILENCE_S: Final = 60.0
_POLL_MS: Final = 200
_ASK_S: Final = 10.0
_FETCH_MAX_BYTES: Final = 32 * 1024 * 1024
_PARTITION_FETCH_MAX_BYTES: Final = 8 * 1024 * 1024
_T = TypeVar("_T")
log = structlog.get_logger(__name__)


class BulkReader:
    """Reads partitions of a topic. To be closed, or used in `with`; by one thread at a time."""

    def __init__(self, settings: EventsSettings, topic: str | None = None) -> None:
        """Prepare; the connection is made with the first query.

        settings: where Kafka is. topic: none for that of events.
        """
        keep_fetches_packed()
        self._settings = settings
        self._topic = topic or settings.events_topic
        self.positions: dict[int, int] = {}
        """For each assigned partition, the offset that comes next; past records of control at the end."""
        self._fetched: deque[tuple[int, deque[RecordBatch]]] = deque()
        self._records: Iterator[KafkaRecord] | None = None
        self._consumer: Any = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bulk", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connection."""
        if not self._loop.is_closed():
            try:
                self._ask(self._stop(), connected=False)
            except (KafkaUnavailableError, CancelledError) as error:
                log.warning("the connection to Kafka did not end in good order", error=str(error))
            asyncio.run_coroutine_threadsafe(_cancel_the_rest(), self._loop).result(_ASK_S)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def ranges(self, partitions: int) -> dict[int, tuple[int, int]]:
        """The first offset and the end of each partition's log.

        partitions: how many there are. Raises: KafkaUnavailableError.
        """
        return self._ask(self._ranges([TopicPartition(self._topic, number) for number in range(partitions)]))

    def offsets_since(self, partitions: int, since_ms: int) -> dict[int, int]:
        """For each partition, the first offset of which no earlier record is of `since_ms` or later.

        Raises: KafkaUnavailableError.
        """
        ends = self.ranges(partitions)
        asked = {TopicPartition(self._topic, number): max(0, since_ms) for number in range(partitions)}
        found = self._ask(self._offsets_for(asked))
        return {tp.partition: ends[tp.partition][1] if at is None else at.offset for tp, at in found.items()}

    def assign(self, positions: Mapping[int, int]) -> None:
        """Read these partitions from these offsets on, and no others. Raises: KafkaUnavailableError."""
        self.positions = dict(positions)
        self._fetched.clear()
        self._records = None
        self._ask(self._assign({TopicPartition(self._topic, n): at for n, at in positions.items()}))

    def poll(self, most: int = BATCH) -> dict[int, list[KafkaRecord]]:
        """What has come, by partition and in order; nothing where nothing has come for a moment.

        most: as soon as so many records have come they are returned, or once they are long together.
        Raises: KafkaUnavailableError, also where an offset is no longer in the log.
        """
        if not self._fetched:
            found = self._ask(self._getmany())
            self._fetched.extend((tp.partition, deque(batches)) for tp, batches in found.items())
        rows: dict[int, list[KafkaRecord]] = {}
        left, bytes_left = most, BYTES_A_POLL
        while self._fetched and left > 0 and bytes_left > 0:
            number, batches = self._fetched[0]
            taken, long = self._take(batches[0], left, bytes_left)
            if taken:
                rows.setdefault(number, []).extend(taken)
                self.positions[number] = taken[-1].offset + 1
            left, bytes_left = left - len(taken), bytes_left - long
            if self._records is None:  # the batch is read to its end
                self.positions[number] = batches.popleft().next
                if not batches:
                    self._fetched.popleft()
        return rows

    def _take(self, batch: RecordBatch, most: int, most_bytes: int) -> tuple[list[KafkaRecord], int]:
        """Read on in a batch. Returns: records, and how long their values are together."""
        if self._records is None:
            self._records = iter(batch.records())
        taken: list[KafkaRecord] = []
        long = 0
        for record in self._records:
            taken.append(record)
            if record.value:
                long += len(record.value)
            if len(taken) >= most or long >= most_bytes:
                return taken, long
        self._records = None
        return taken, long

    def until(
        self, start: Mapping[int, int], stop: Mapping[int, int]
    ) -> Iterator[tuple[int, list[KafkaRecord]]]:
        """All records from `start` up to `stop` (not included) of each partition, in order.

        Raises: KafkaUnavailableError, also where nothing has come for a minute.
        """
        left = {number: stop[number] for number in start if start[number] < stop[number]}
        if not left:
            return
        self.assign({number: start[number] for number in left})
        heard = time.monotonic()
        before = dict(self.positions)
        while left:
            for number, rows in self.poll().items():
                if number in left:
                    yield number, [row for row in rows if row.offset < left[number]]
            done = [number for number, end in left.items() if self.positions[number] >= end]
            for number in done:
                del left[number]
            if done:
                self._ask(self._pause([TopicPartition(self._topic, number) for number in done]))
            if self.positions != before:
                before, heard = dict(self.positions), time.monotonic()
            elif time.monotonic() - heard > SILENCE_S:
                raise KafkaUnavailableError(
                    f"no record for {SILENCE_S:.0f} s, partitions {sorted(left)} unread"
                )

    def _ask(self, query: Coroutine[Any, Any, _T], *, connected: bool = True) -> _T:
        """Do it in the thread, and wait for it. Raises: KafkaUnavailableError."""
        job = asyncio.run_coroutine_threadsafe(self._answer(query, connected=connected), self._loop)
        try:
            return job.result(3 * _ASK_S)
        except (KafkaError, OSError, LateError) as error:
            job.cancel()
            raise KafkaUnavailableError(f"topic {self._topic}: {self._why(error)}") from error

    def _why(self, error: BaseException) -> str:
        """What went wrong. A code that the broker answered is the same whoever asked it."""
        if isinstance(error, BrokerResponseError):
            return describe(ErrorCode(error.errno), wants=f"READ on {self._topic}")
        return f"{type(error).__name__}: {error}"

    # In the thread

    async def _answer(self, query: Coroutine[Any, Any, _T], *, connected: bool) -> _T:
        try:
            if connected and self._consumer is None:
                await self._connect()
        except BaseException:
            query.close()
            raise
        return await query

    async def _connect(self) -> None:
        consumer = AIOKafkaConsumer(
            **self._settings.aiokafka(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            request_timeout_ms=int(_ASK_S * 1000),
            fetch_max_wait_ms=_POLL_MS,
            fetch_max_bytes=_FETCH_MAX_BYTES,
            max_partition_fetch_bytes=_PARTITION_FETCH_MAX_BYTES,
        )
        try:
            await consumer.start()
        except BaseException:
            await consumer.stop()
            raise
        self._consumer = consumer

    async def _stop(self) -> None:
        if self._consumer is not None:
            await self._consumer.stop()

    async def _ranges(self, tps: list[TopicPartition]) -> dict[int, tuple[int, int]]:
        starts = await self._consumer.beginning_offsets(tps)
        ends = await self._consumer.end_offsets(tps)
        return {tp.partition: (starts[tp], ends[tp]) for tp in tps}

    async def _offsets_for(self, times: dict[TopicPartition, int]) -> dict[TopicPartition, Any]:
        found: dict[TopicPartition, Any] = await self._consumer.offsets_for_times(times)
        return found

    async def _assign(self, positions: dict[TopicPartition, int]) -> None:
        self._consumer.assign(list(positions))
        for tp, at in positions.items():
            self._consumer.seek(tp, at)

    async def _pause(self, tps: list[TopicPartition]) -> None:
        self._consumer.pause(*tps)

    async def _getmany(self) -> dict[TopicPartition, list[RecordBatch]]:
        found: dict[TopicPartition, list[RecordBatch]] = await self._consumer.getmany(timeout_ms=_POLL_MS)
        return found


async def _cancel_the_rest() -> None:
    """End what aiokafka has left running in this loop: a closed loop would complain of each."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
