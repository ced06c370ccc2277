"""The worker: begin, batch, tick.

Begin: drop what is in flight, read the checkpoints of all lanes, seek each partition to its least one. It
follows every assignment and every doubt: an error of any kind, a lost answer, a checkpoint that stands where
it should not. As the checkpoints say exactly what is counted, beginning is always right and costs only time.
Batch: read it, a part at a time where much comes of it, and no further while too much waits to be counted.
Whenever the Redis thread has nothing to do, all that was read meanwhile is folded and given
to it, and the next ones are read while it counts: so calls grow with the backlog, and are small without one.
Tick: each second, lanes without events are moved along, so that silence cannot hide a rollback; the tick
also stores up to when a partition is complete and tells Kafka how far we are.
Check: with each tick, in a thread of its own, whether counting is still right (`checking`). Counting and
moves do not wait for it; complete-through does.

Kafka's committed offsets decide nothing here.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, NamedTuple, TypeVar

import structlog
from faust.types import TP

from aggregator import metrics
from aggregator.counters.apply import Applied, Applier, packed
from aggregator.counters.store import LaneCall
from aggregator.counting.checkpoints import Partition
from aggregator.counting.facts import Reader
from aggregator.counting.pack import pack
from aggregator.counting.reading import FloodWatch, read_batch
from aggregator.errors import (
    GoneError,
    KafkaUnavailableError,
    NoVerdictError,
    OtherLogError,
    OtherRulesError,
    PostponedError,
    RolledBackError,
)
from aggregator.log.faust_transport import Batch, Consumer
from aggregator.log.packed_fetch import unpacked
from aggregator.worker.checking import Checker
from aggregator.worker.lag import Lags
from aggregator.worker.pending import Pending
from schemas.counters import Generation
from schemas.instants import DAY_MS

log = structlog.get_logger(__name__)

TICK_S: Final = 1.0
CHECK_S: Final = 1.0
"""A tick waits no longer for a check; what is slower is heard by a later tick."""
ABOVE_END_S: Final = 30.0
"""A checkpoint above the log's end is a lost log only then: ends read low just after a leader change."""
BEHIND_WARNING_MS: Final = 7 * DAY_MS
STALLED_TICKS: Final = 3
"""Records are there, nothing is under way, and no batch has come for so many ticks: the last one was lost."""
REMINDER_S: Final = 60.0
FLOOD_STATUS: Final = 3
WEIGHT_MAX: Final = 48 * 1024 * 1024
"""Bytes of memory of what is read and not counted, beyond which no more is read until some of it is."""
_T = TypeVar("_T")


class Probe(NamedTuple):
    """What a tick asked for: up to `asked_ms` all is read once the partition is read up to `end`."""

    tick: int
    asked_ms: int
    end: int

    def is_met(self, position: int, vouched: int) -> bool:
        """Whether it may be told. vouched: the last tick that a good check came after."""
        return position >= self.end and self.tick <= vouched


class Check(NamedTuple):
    """A check under way: the tick that began it after it had asked, and the resync that it is about."""

    tick: int
    epoch: int
    job: "asyncio.Future[None]"


class Worker:
    """Counts the partitions that Faust assigns, until it has to leave."""

    def __init__(
        self,
        *,
        topic: str,
        reader: Reader,
        applier: Applier,
        checker: Checker,
        clock_ms: Callable[[], int],
    ) -> None:
        """Prepare.

        topic: the events topic. reader: of the worker's rules. applier, checker: each runs in a thread of
        this worker.
        clock_ms: now, in ms since 1970, for complete-through and warnings.
        """
        self._topic = topic
        self._reader = reader
        self._applier = applier
        self._checker = checker
        self._clock_ms = clock_ms
        self._flood = FloodWatch()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="redis")
        self._checks = ThreadPoolExecutor(1, thread_name_prefix="checks")
        self._check: Check | None = None
        self._servers: frozenset[str] = frozenset()
        self._tick_number = 0
        self._vouched = 0
        self._consumer: Consumer | None = None
        self._generation: Generation | None = None
        self._partitions: dict[int, Partition] = {}
        self._probes: dict[int, Probe] = {}
        self._still: dict[int, tuple[int, int]] = {}
        self._lags = Lags(clock_ms)
        self._jobs = 0
        self._pending = Pending()
        self._weight = 0
        self._counted = asyncio.Event()
        self._log_read: tuple[str, str] | None = None
        self._failed_epoch = -1
        self._above_since: float | None = None
        self._due = asyncio.Event()
        self._said: tuple[str, float] = ("", 0.0)
        self._warned_at = -REMINDER_S
        self._resyncs: list[float] = []
        self.not_ready: str | None = "starting"
        """Why the worker is not ready; none where it counts, or has no partition to count."""
        self.leaving: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        """Set when the worker must leave the group: to its exit status, or none to wait outside."""

    def bind(self, consumer: Consumer) -> None:
        """Meet the driver, which asks for the first resync.

        consumer: of the Faust app that delivers to this worker.
        """
        self._consumer = consumer

    # What the driver calls

    def resync_is_due(self, why: metrics.Why, detail: str = "") -> None:
        """Drop what is in flight and begin at the checkpoints, soon.

        why: for the metric. detail: for the log.
        """
        if not self._due.is_set():
            log.info("resync is due", why=why, detail=detail)
            metrics.RESYNCS.labels(why).inc()
        self._stop(detail or why)
        self._due.set()

    def forget(self) -> None:
        """The partitions are taken away."""
        self._stop("rebalancing")
        self._lags.hold(())

    def _stop(self, why: str) -> None:
        self._generation = None
        self._partitions = {}
        self._probes = {}
        self._still = {}
        self._pending = Pending()
        self._vouched = 0
        self._counted.set()
        self._not_ready(why)
        if self._consumer is not None:
            self._consumer.drop()

    # Begin

    async def keep_synced(self) -> None:
        """Begin whenever it is due, until the worker leaves."""
        while not self.leaving.done():
            await self._due.wait()
            self._due.clear()
            await asyncio.sleep(self._pause())
            try:
                await self._begin()
            except OtherRulesError as error:
                self._leave(None, str(error))
            except PostponedError as error:
                self._postpone(error)
                await asyncio.sleep(TICK_S)
                self._due.set()

    def _pause(self) -> float:
        """Begin at once, but not over and over: seconds to wait, more with each begin of the last 10 s."""
        now = time.monotonic()
        self._resyncs = [*(at for at in self._resyncs if now - at < 10), now]
        return 0.0 if len(self._resyncs) < 3 else min(2.0, 0.1 * 2 ** len(self._resyncs))

    async def _begin(self) -> None:
        consumer = self._driver()
        consumer.drop()
        epoch = consumer.epoch
        assigned = {tp.partition: tp for tp in consumer.assignment() if tp.topic == self._topic}
        self._lags.hold(assigned)  # before all that may fail: what is not counted is told too
        generation, checkpoints, servers = await self._in_thread(self._applier.look)
        self._servers = servers
        if not assigned:
            self._generation = generation
            self._ready("no partition is assigned to this worker")
            return
        ranges = await consumer.log_ranges(assigned.values())
        partitions = {
            number: Partition(number, [lane.get(number, 0) for lane in checkpoints]) for number in assigned
        }
        self._check_log(checkpoints, {tp.partition: both for tp, both in ranges.items()})
        await consumer.rewind({tp: partitions[number].position for number, tp in assigned.items()})
        if consumer.epoch == epoch:
            if self._log_read != (generation.cluster_id, generation.topic_id):
                self._log_read = generation.cluster_id, generation.topic_id
                self._flood = FloodWatch()  # what it has seen are offsets of one log
            self._generation, self._partitions = generation, partitions
            self._ready("counting", positions={p.partition: p.position for p in partitions.values()})

    def _check_log(self, checkpoints: list[dict[int, int]], ranges: dict[int, tuple[int, int]]) -> None:
        """Raise where the log cannot go on from the checkpoints."""
        for number, (start, end) in ranges.items():
            least, most = (f([lane.get(number, 0) for lane in checkpoints]) for f in (min, max))
            if least < start:
                raise OtherLogError(
                    f"partition {number} is counted up to offset {least} and its log starts at {start}:"
                    " records are lost to counting, run `python -m aggregator rebuild`"
                )
            if most > end:
                now = time.monotonic()
                self._above_since = self._above_since or now
                if now - self._above_since < ABOVE_END_S:
                    raise KafkaUnavailableError(
                        f"partition {number} ends at {end}, below the checkpoint {most}"
                    )
                raise OtherLogError(
                    f"partition {number} is counted up to offset {most} and its log ends at {end}:"
                    " records that were counted are gone, run `python -m aggregator rebuild`"
                )
        self._above_since = None

    # Batch

    async def take(self, batch: Batch) -> None:
        """Read a batch and see to it that it is counted.

        batch: as the driver delivered it.
        """
        submitted = False
        try:
            submitted = await self._take(batch)
        except Exception as error:  # noqa: BLE001  # of any kind: Faust restarts an agent that raises after 5 s
            self._failed(error, batch.epoch)
        finally:
            if not submitted:
                self._driver().release(batch)
                if batch.epoch == self._driver().epoch and not self.leaving.done():
                    self.resync_is_due("agent", "a batch was not submitted")
        await self._room()

    async def _take(self, batch: Batch) -> bool:
        """Returns: whether all of it was read, and will be released by what counts it."""
        partition, generation = self._partitions.get(batch.partition), self._generation
        if batch.epoch != self._driver().epoch or partition is None or generation is None:
            return False
        if batch.after != partition.position:
            self.resync_is_due("lost batch", f"at {partition.position}, batch begins after {batch.after}")
            return False
        self._warn_if_behind(batch)
        records = unpacked(batch.packed)
        while True:
            reading = read_batch(self._reader, generation.lanes, records)
            end = batch.next if reading.end is None else reading.end
            if self._flood.is_flood(batch.partition, partition.position, end, reading.unreadable):
                self._leave(
                    FLOOD_STATUS, "more than half of the last 1,000 records could not be read: a bad deploy?"
                )
                return False
            partition.read(reading.by_lane, end, self._pending.backlog)
            self._pending.add(batch, reading)
            if self._jobs == 0:
                self._submit(generation)
            if reading.end is None:
                return True
            await self._room()
            if batch.epoch != self._driver().epoch:
                return False

    async def _room(self) -> None:
        """Let the loop do other things, and wait while too much is read and not counted."""
        await asyncio.sleep(0)
        while self._jobs and self._weight + self._pending.weight > WEIGHT_MAX:
            self._counted.clear()
            await self._counted.wait()

    def _submit(self, generation: Generation) -> None:
        """Give the Redis thread all that was read since it was last given something."""
        pending, self._pending = self._pending, Pending()
        if not pending.outcomes:
            return
        epoch = self._driver().epoch
        count = partial(
            self._applier.count,
            generation,
            list(pending.dead_letters.items()),
            list(map(packed, pending.backlog.calls())),
        )
        job = asyncio.get_running_loop().run_in_executor(self._thread, self._in_order, epoch, count)
        self._jobs += 1
        self._weight += pending.weight
        job.add_done_callback(partial(self._applied, pending, epoch, time.monotonic()))

    def _warn_if_behind(self, batch: Batch) -> None:
        behind_ms = self._clock_ms() - batch.last_ms
        now = time.monotonic()
        if behind_ms > BEHIND_WARNING_MS and now - self._warned_at >= REMINDER_S:
            self._warned_at = now
            log.warning(
                "far behind, from 14 days on duplicates may count twice",
                partition=batch.partition,
                days=behind_ms // DAY_MS,
            )

    def _in_order(self, epoch: int, function: Callable[[], _T]) -> _T | None:
        """In the thread: do it, where the resync it belongs to still holds and all before it was done.

        After a failure no checkpoint may move until the next resync, not even one that could: it might pass a
        record whose dead letter Kafka has not taken.
        Returns: none where it was not done.
        """
        if epoch != self._driver().epoch or epoch == self._failed_epoch:
            return None
        try:
            return function()
        except Exception:
            self._failed_epoch = epoch
            raise

    def _applied(
        self, pending: Pending, epoch: int, since: float, job: "asyncio.Future[Applied | None]"
    ) -> None:
        """On the loop: what became of what was submitted."""
        self._jobs -= 1
        self._weight -= pending.weight
        self._counted.set()
        for batch in pending.batches:
            self._driver().release(batch)
        if job.cancelled():
            return
        error = job.exception()
        if error is not None:
            self._failed(error, epoch)
        elif (applied := job.result()) is not None:
            metrics.APPLY_SECONDS.observe(time.monotonic() - since)
            pending.meter(applied)
        if self._jobs == 0 and self._generation is not None:
            self._submit(self._generation)

    def _failed(self, error: BaseException, epoch: int) -> None:
        """A call did not come through: begin, once for all that fail with it."""
        if epoch != self._driver().epoch:
            return
        if isinstance(error, RolledBackError):
            metrics.ROLLBACKS.inc()
            log.warning("Redis went back in time, reading further back", detail=str(error))
            self.resync_is_due("gap", str(error))
        elif isinstance(error, PostponedError):
            self.resync_is_due("gone" if isinstance(error, GoneError) else "error", str(error))
        else:
            log.error("counting a batch failed", exc_info=error)
            self.resync_is_due("error", repr(error))

    # Tick

    async def keep_ticking(self) -> None:
        """Tick each second, until the worker leaves."""
        while not self.leaving.done():
            await asyncio.sleep(TICK_S)
            generation = self._generation
            if self._due.is_set() or generation is None:
                continue
            epoch = self._driver().epoch
            try:
                await self._tick(generation, epoch)
            except PostponedError as error:
                self._failed(error, epoch)

    async def _tick(self, generation: Generation, epoch: int) -> None:
        consumer = self._driver()
        self._tick_number += 1
        asked_ms = self._clock_ms()
        ranges = await consumer.log_ranges(TP(self._topic, number) for number in self._partitions)
        if consumer.epoch != epoch:
            return
        for tp, (_, end) in ranges.items():
            position = self._partitions[tp.partition].position
            if end < position:
                self.resync_is_due("log", f"partition {tp.partition} ends at {end}, below {position}")
                return
            if self._is_stalled(tp.partition, position, end):
                self.resync_is_due("stalled", f"partition {tp.partition} stands at {position}, below {end}")
                return
            self._lags.unread(tp.partition, end - position)
        await self._vouch(generation, epoch)
        if consumer.epoch != epoch:
            return
        throughs = {
            tp.partition: self._through(tp.partition, asked_ms, end, self._partitions[tp.partition].position)
            for tp, (_, end) in ranges.items()
        }
        positions = {tp: self._partitions[tp.partition].position for tp in ranges}
        self._submit(generation)  # moves come after what was read before them
        moves = {
            lane: [self._partitions[number].move(lane, through) for number, through in throughs.items()]
            for lane in range(generation.lanes)
        }
        calls = [LaneCall(lane, pack(each)[0]) for lane, each in moves.items() if each]
        await self._in_thread(self._in_order, epoch, partial(self._applier.move, generation, calls))
        if positions and consumer.epoch == epoch:
            try:
                await consumer.commit_hint(positions)
            except KafkaUnavailableError as error:
                log.info("Kafka took no commit, which only lag tools will miss", error=str(error))

    async def _vouch(self, generation: Generation, epoch: int) -> None:
        """Have it checked that counting is still right, and wait a moment for the verdict.

        A tick asks for the end offsets first and has this checked then; it tells of what it asked only when a
        check that began after it has come out well. The check reads the topic's id and the live generation:
        an id never comes back, so where it is right at the check, it was right when the ends were asked for,
        and the ends are those of the log that is counted. Whether the lanes are still those of the live
        generation they say themselves when they are moved (`GONE`), as they are retired before another is
        live. And what is told stands on the server that was counted into, beside the counts: where the check
        saw another one, that is no verdict.
        Raises: PostponedError of any kind where counting is no longer right.
        """
        if self._check is None:
            call = partial(self._checker.check, generation, self._servers)
            job = asyncio.get_running_loop().run_in_executor(self._checks, call)
            self._check = Check(self._tick_number, epoch, job)
        check = self._check
        await asyncio.wait([check.job], timeout=CHECK_S)
        if not check.job.done():
            return  # the moves go on; a later tick hears of it
        self._check = None
        error = check.job.exception()
        if check.epoch != epoch:
            return  # of what was counted before the last resync
        if isinstance(error, NoVerdictError):
            self._remind(str(error), "counting goes on, complete-through waits")
        elif error is not None:
            raise error
        else:
            self._vouched = check.tick

    def _is_stalled(self, partition: int, position: int, end: int) -> bool:
        """Whether the last batch of a partition was lost inside Faust, where no later one shows it."""
        before, ticks = self._still.get(partition, (position, 0))
        ticks = ticks + 1 if before == position < end and self._jobs == 0 else 0
        self._still[partition] = position, ticks
        return ticks > STALLED_TICKS

    def _through(self, partition: int, asked_ms: int, end: int, position: int) -> int:
        """Up to when the partition is read and vouched for, -1 for nothing new; remembers what was asked."""
        asked = Probe(self._tick_number, asked_ms, end)
        probe = self._probes.pop(partition, asked)
        through = -1
        if asked.is_met(position, self._vouched):
            through = asked_ms
        elif probe.is_met(position, self._vouched):
            through = probe.asked_ms
            self._probes[partition] = asked
        else:
            self._probes[partition] = probe
        if through >= 0:
            self._lags.complete(partition, through)
        return through

    # Small things

    async def _in_thread(self, function: Callable[..., _T], *args: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(function, *args))

    def _driver(self) -> Consumer:
        if self._consumer is None:
            raise RuntimeError("bind() comes first")
        return self._consumer

    def _leave(self, status: int | None, why: str) -> None:
        log.error("leaving the consumer group", why=why, status=status)
        self._stop(why)
        self._lags.hold(())
        if not self.leaving.done():
            self.leaving.set_result(status)

    def _ready(self, what: str, **more: object) -> None:
        log.info(what, **more)
        self._said = ("", 0.0)
        self.not_ready = None
        metrics.READY.set(1)

    def _not_ready(self, why: str) -> None:
        self.not_ready = why
        metrics.READY.set(0)

    def _postpone(self, error: PostponedError) -> None:
        self._not_ready(str(error))
        self._remind(str(error))

    def _remind(self, what: str, then: str = "counting waits") -> None:
        """Say something that lasts: at once, then once a minute."""
        now = time.monotonic()
        if what != self._said[0] or now - self._said[1] >= REMINDER_S:
            self._said = (what, now)
            log.warning(then, why=what)

    def close(self) -> None:
        """Wait for the calls in flight and drop the connections."""
        self._lags.hold(())
        for thread in (self._thread, self._checks):
            thread.shutdown(wait=True, cancel_futures=True)
        self._applier.close()
        self._checker.close()
