"""The Faust driver: one message for each fetched batch, read from where Redis says.

Faust spends some 80 microseconds on each message before an agent sees it. This transport hands it one
message a fetch and partition, whose value is a `Batch` of records, and keeps the rest of Faust: app,
agents, rebalancing. Three more things differ from Faust's own driver:

- Where to begin is the worker's word (`Source.rewind`), never Kafka's committed offsets. Faust's own seek is
  only the sign that a resync is due.
- A batch holds Kafka's record batches as they were fetched (`packed_fetch`), not a list of records.
- Batches can vanish between aiokafka and the agent (a fetch in the air while the flow is suspended). The
  driver knows which offset comes next, and the agent checks that a batch begins where it stands.

It leans on private names of Faust and aiokafka, so both are pinned and the names are tested.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import structlog
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from aggregator.errors import KafkaUnavailableError
from aggregator.log.packed_fetch import RecordBatch, keep_fetches_packed
from aggregator.log.source import Batch, LogRange, Subscriber

log = structlog.get_logger(__name__)

RECORDS_IN_FLIGHT: Final = 120_000
"""Fetching waits while more than this are fetched and not applied. They are held compressed until they are
read, and as facts from then on."""

RECORDS_A_BATCH: Final = 10_000
"""About so many go to the agent at once; while it reads them, the loop does nothing else."""

FETCH_MAX_WAIT_MS: Final = 200
"""Faust's driver asks for 1500; a seek waits behind a fetch on the same connection."""

_ASK_TIMEOUT_S: Final = 10.0


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread in which aiokafka runs."""

    def _create_worker_consumer(self, transport: driver.Transport) -> Any:
        keep_fetches_packed()
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS  # Faust hard-codes both
        consumer._isolation_level = "read_committed"
        return consumer


class _NoOffsets(dict[TP, int | None]):
    """Faust drops messages below the last offset it saw; after a rewind those are the wanted ones."""

    def __getitem__(self, key: TP) -> int | None:
        return None

    def __setitem__(self, key: TP, value: int | None) -> None:
        return None


class Consumer(driver.Consumer):
    """A `Source`: delivers batches; begins where it is told to."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._subscriber: Subscriber = self.app.subscriber  # type: ignore[attr-defined]  # faust_app.App
        self._topic: str = self.app.events_topic  # type: ignore[attr-defined]
        self._read_offset = _NoOffsets()
        self._expect: dict[TP, int] = {}
        self._hole: dict[TP, tuple[int, int]] = {}
        self._epoch = 0
        self._in_flight = 0
        self._changed = asyncio.Event()

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # What Faust calls

    async def perform_seek(self) -> None:
        """Faust calls it after every rebalance: the resync is due."""
        self.drop()
        self._subscriber.resync_is_due("assigned")

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Faust calls it when a rebalance starts."""
        self.drop()
        self._subscriber.forget()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Faust calls it when a rebalance ends; without partitions it asks for no seek."""
        await super().on_partitions_assigned(assigned, generation_id)
        if not assigned:
            self._subscriber.resync_is_due("assigned")

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109 Faust's
        """Fetch; yields one message for each partition that has records."""
        if not self._expect or self._in_flight > RECORDS_IN_FLIGHT:
            self._changed.clear()
            await self.wait(self._changed.wait(), timeout=timeout)
            return
        records, _ = await self._wait_next_records(timeout)
        for tp, fetched in (records or {}).items():
            for batch in await self._batches(tp, fetched):
                self._in_flight += len(batch)
                yield tp, self._message(tp, batch)

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002
        """Faust's own commits do nothing: see `commit_hint`."""
        return False

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust warns of partitions that stand still; the worker's tick knows why they do."""

    # What the worker calls

    def drop(self) -> None:
        """Deliver nothing until the next `rewind`."""
        self._expect.clear()
        self._epoch += 1
        self._in_flight = 0

    def release(self, batch: Batch) -> None:
        """A batch that was delivered is done with, whatever became of it."""
        if batch.epoch == self._epoch:
            self._in_flight -= len(batch)
            self._changed.set()

    @property
    def epoch(self) -> int:
        """The resync that batches are fetched under now."""
        return self._epoch

    def assigned(self) -> frozenset[int]:
        """The partitions of the events topic that are this worker's."""
        return frozenset(tp.partition for tp in self.assignment() if tp.topic == self._topic)

    async def rewind(self, positions: Mapping[int, int]) -> None:
        """Deliver from these offsets on.

        positions: of every assigned partition.
        Raises: KafkaUnavailableError.
        """
        epoch = self._epoch
        offsets = {TP(self._topic, number): at for number, at in positions.items()}
        await self._ask(self._seek_all, offsets)
        if epoch == self._epoch:
            self._expect = offsets
            self._hole.clear()
            self._changed.set()

    async def log_ranges(self, partitions: Iterable[int]) -> dict[int, LogRange]:
        """What each partition's log holds, asked at the broker.

        Raises: KafkaUnavailableError.
        """
        return dict(await self._ask(self._ranges, [TP(self._topic, number) for number in partitions]))

    async def commit_hint(self, positions: Mapping[int, int]) -> None:
        """Tell Kafka how far we are, for tools that show lag. Nothing of ours reads it to begin.

        Raises: KafkaUnavailableError.
        """
        offsets = {
            TopicPartition(self._topic, number): OffsetAndMetadata(at, "") for number, at in positions.items()
        }
        await self._ask(self._commit_all, offsets)

    # In aiokafka's thread

    async def _seek_all(self, positions: dict[TP, int]) -> None:
        consumer = self._thread._ensure_consumer()
        for tp, offset in positions.items():
            consumer.seek(tp, offset)

    async def _ranges(self, tps: list[TP]) -> dict[int, LogRange]:
        consumer = self._thread._ensure_consumer()
        starts, ends = await asyncio.gather(consumer.beginning_offsets(tps), consumer.end_offsets(tps))
        return {tp.partition: LogRange(starts[tp], ends[tp]) for tp in tps}

    async def _commit_all(self, offsets: dict[TopicPartition, OffsetAndMetadata]) -> None:
        await self._thread._ensure_consumer().commit(offsets)

    async def _ask(self, function: Any, argument: Any) -> Any:
        try:
            return await asyncio.wait_for(self._thread.call_thread(function, argument), _ASK_TIMEOUT_S)
        except (TimeoutError, KafkaError, AssertionError) as error:
            # aiokafka asserts that a partition is still assigned: a rebalance came in between
            raise KafkaUnavailableError(f"{type(error).__name__}: {error}") from error

    # Between a fetch and the agent

    async def _batches(self, tp: TP, fetched: Sequence[RecordBatch]) -> list[Batch]:
        """What is new in a fetch; nothing where it is not what comes next."""
        want = self._expect.get(tp)
        if want is None or not self.flow_active:
            return []
        new = [each.starting_at(want) for each in fetched if each.next > want]
        if not new:
            return []
        first = new[0].first
        if first > want and self._hole.get(tp) != (want, first):
            self._hole[tp] = (want, first)
            log.warning(
                "fetch begins too far on, fetching again", partition=tp.partition, want=want, first=first
            )
            await self._seek_again(tp, want)
            return []
        if first > want:
            # Twice the same: no fetch was lost. Compaction leaves such holes, and retention.
            held = await self._range_or_none(tp.partition)
            if held is None or held.start > want:
                self._subscriber.resync_is_due(
                    "log", f"partition {tp.partition} has no records from {want} to {first}"
                )
                return []
            log.warning("no records at these offsets", partition=tp.partition, first=want, end=first)
        self._expect[tp] = new[-1].next
        return list(self._cut(tp.partition, new, want))

    def _cut(self, partition: int, new: list[RecordBatch], after: int) -> Iterator[Batch]:
        """Batches of about `RECORDS_A_BATCH`. after: where the first one begins."""
        packed: list[RecordBatch] = []
        for each in new:
            packed.append(each)
            if each.next - after >= RECORDS_A_BATCH or each is new[-1]:
                last_ms = max(one.last_ms for one in packed)
                yield Batch(partition, packed, after, each.next, last_ms, self._epoch)
                packed, after = [], each.next

    async def _seek_again(self, tp: TP, offset: int) -> None:
        try:
            await self._ask(self._seek_all, {tp: offset})
        except KafkaUnavailableError as error:
            self._subscriber.resync_is_due("error", f"seek failed: {error}")

    async def _range_or_none(self, partition: int) -> LogRange | None:
        try:
            return (await self.log_ranges([partition]))[partition]
        except KafkaUnavailableError as error:
            log.warning("cannot ask for the log's range", partition=partition, error=str(error))
            return None

    def _message(self, tp: TP, batch: Batch) -> ConsumerMessage:
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            batch.next - 1,
            batch.last_ms / 1000,
            0,
            [],
            None,
            batch,  # type: ignore[arg-type]  # Faust hands it through
            None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )


class Transport(driver.Transport):
    """Faust's transport with the batch consumer."""

    Consumer = Consumer
