"""The worker: resync, batch, tick.

Resync: drop what is in flight, read the checkpoints of all lanes, rewind each partition to its least one. It
follows every assignment and every doubt: an error of any kind, a lost answer, a checkpoint that stands where
it should not. As the checkpoints say exactly what is counted, beginning there is always right and costs only
time. All that it makes is one object (`assignment`), and what makes it due drops that as a whole.
Batch: read it, a part at a time where much comes of it, and no further while too much waits to be counted.
Tick: each second (`ticking`), with a check whether counting is still right (`vouching`).

Kafka's committed offsets decide nothing here.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from aggregator import metrics
from aggregator.counting.decode import Decoder
from aggregator.counting.reading import FloodWatch, read_all
from aggregator.errors import ErasedError, GoneError, OtherRulesError, PostponedError, RolledBackError
from aggregator.log.source import Batch, Source
from aggregator.reminder import Reminder
from aggregator.worker.assignment import Assignment
from aggregator.worker.checking import Checker
from aggregator.worker.known_ids import KnownIds
from aggregator.worker.lag import Lags
from aggregator.worker.live import Live
from aggregator.worker.log_check import LogCheck
from aggregator.worker.readiness import Readiness
from aggregator.worker.ticking import Ticks
from aggregator.worker.vouching import Vouching
from schemas.instants import DAY_MS

log = structlog.get_logger(__name__)

TICK_S: Final = 1.0
BEHIND_WARNING_MS: Final = 7 * DAY_MS
FLOOD_STATUS: Final = 3


class Worker:
    """Counts the partitions that its source assigns, until it has to leave. A `Subscriber`."""

    def __init__(
        self,
        *,
        decoder: Decoder,
        live: Live,
        checker: Checker,
        known_ids: KnownIds,
        clock_ms: Callable[[], int],
    ) -> None:
        """Prepare.

        decoder: of the worker's rules. live, checker: of this worker alone; each has a thread.
        known_ids: of the process.
        clock_ms: now, in ms since 1970, for complete-through and warnings.
        """
        self._decoder = decoder
        self._live = live
        self._known_ids = known_ids
        self._clock_ms = clock_ms
        self._lags = Lags(clock_ms)
        self._readiness = Readiness()
        self._vouching = Vouching(checker, ThreadPoolExecutor(1, thread_name_prefix="checks"))
        self._ticks = Ticks(
            worker=self,
            vouching=self._vouching,
            lags=self._lags,
            readiness=self._readiness,
            clock_ms=clock_ms,
        )
        self._log_check = LogCheck()
        self._bound: Source | None = None
        self._assignment: Assignment | None = None
        self._due = asyncio.Event()
        self._resyncs: list[float] = []
        self._flood = FloodWatch()
        self._log_read: tuple[str, str] | None = None
        self._reminder = Reminder()
        self.leaving: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        """Set when the worker must leave the group: to its exit status, or none to wait outside."""

    def bind(self, source: Source) -> None:
        """Meet the source, which asks for the first resync.

        source: that delivers to this worker.
        """
        self._bound = source

    @property
    def not_ready(self) -> str | None:
        """Why the worker is not ready; none where it counts, or has no partition to count."""
        return self._readiness.why_not

    # What the source calls

    def resync_is_due(self, why: metrics.Why, detail: str = "") -> None:
        """Drop what is in flight and begin at the checkpoints, soon.

        why: for the metric. detail: for the log.
        """
        if not self._due.is_set():
            log.info("resync is due", why=why, detail=detail)
            metrics.RESYNCS.labels(why).inc()
        self._drop(detail or why)
        self._due.set()

    def forget(self) -> None:
        """The partitions are taken away."""
        self._drop("rebalancing")
        self._lags.hold(())

    async def take(self, batch: Batch) -> None:
        """Read a batch and see to it that it is counted.

        batch: as the source delivered it.
        """
        taken = False
        try:
            taken = await self._take(batch)
        except Exception as error:  # noqa: BLE001  # of any kind: Faust restarts an agent that raises after 5 s
            self._failed(error, batch.epoch)
        finally:
            if not taken:
                self._source.release(batch)
                if batch.epoch == self._source.epoch and not self.leaving.done():
                    self.resync_is_due("agent", "a batch was not submitted")
        await (asyncio.sleep(0) if self._assignment is None else self._assignment.room())

    # Resync

    async def keep_synced(self) -> None:
        """Begin at the checkpoints whenever it is due, until the worker leaves."""
        while not self.leaving.done():
            await self._due.wait()
            self._due.clear()
            await asyncio.sleep(self._pause())
            try:
                await self._resync()
            except OtherRulesError as error:
                self._leave(None, str(error))
            except PostponedError as error:
                self._readiness.postponed(str(error))
                await asyncio.sleep(TICK_S)
                self._due.set()

    def _pause(self) -> float:
        """At once, but not over and over: seconds to wait, more with each resync of the last 10 s."""
        now = time.monotonic()
        self._resyncs = [*(at for at in self._resyncs if now - at < 10), now]
        return 0.0 if len(self._resyncs) < 3 else min(2.0, 0.1 * 2 ** len(self._resyncs))

    async def _resync(self) -> None:
        source = self._source
        source.drop()
        epoch = source.epoch
        assigned = source.assigned()
        self._lags.hold(assigned)  # before all that may fail: what is not counted is reported too
        found = await asyncio.wrap_future(self._live.look())
        assignment = Assignment(
            found,
            assigned,
            epoch=epoch,
            sink=self._live.sink(found),
            known_ids=self._known_ids,
            release=source.release,
            failed=self._failed,
        )
        if assigned:
            self._log_check.check(found.checkpoints, await source.log_ranges(assigned))
            await source.rewind(assignment.positions)
        if source.epoch != epoch:
            return  # another resync is due
        log_read = found.generation.cluster_id, found.generation.topic_id
        if assigned and self._log_read != log_read:
            self._log_read = log_read
            self._flood = FloodWatch()  # what it has seen are offsets of one log
        self._decoder = self._decoder.knowing(found.erasures)
        self._assignment = assignment
        if assigned:
            self._readiness.ready("counting", positions=assignment.positions)
        else:
            self._readiness.ready("no partition is assigned to this worker")

    # Batch

    async def _take(self, batch: Batch) -> bool:
        """Returns: whether all of it was read, and will be released by what counts it."""
        assignment = self._assignment
        if assignment is None or batch.epoch != assignment.epoch:
            return False
        position = assignment.partitions[batch.partition].position
        if batch.after != position:
            self.resync_is_due("lost batch", f"at {position}, batch begins after {batch.after}")
            return False
        self._warn_if_behind(batch)
        for reading in read_all(self._decoder, assignment.generation.lanes, batch.records()):
            end = batch.next if reading.end is None else reading.end
            if self._flood.is_flood(batch.partition, position, end, reading.unreadable):
                self._leave(
                    FLOOD_STATUS, "more than half of the last 1,000 records could not be read: a bad deploy?"
                )
                return False
            assignment.read(batch, reading, end)
            position = end
            if reading.end is not None:
                await assignment.room()
                if assignment.is_over:
                    return False
        return True

    def _warn_if_behind(self, batch: Batch) -> None:
        behind_ms = self._clock_ms() - batch.last_ms
        if behind_ms > BEHIND_WARNING_MS and self._reminder.is_due("behind"):
            log.warning(
                "far behind, from 14 days on duplicates may count twice",
                partition=batch.partition,
                days=behind_ms // DAY_MS,
            )

    # Tick

    async def keep_ticking(self) -> None:
        """Tick each second, until the worker leaves."""
        while not self.leaving.done():
            await asyncio.sleep(TICK_S)
            assignment = self._assignment
            if assignment is None:
                continue
            try:
                await self._ticks.tick(self._source, assignment)
            except PostponedError as error:
                self._failed(error, assignment.epoch)

    # What ends an assignment

    def _drop(self, why: str) -> None:
        if self._assignment is not None:
            self._assignment.drop()
            self._assignment = None
        self._readiness.not_ready(why)
        if self._bound is not None:
            self._bound.drop()

    def _failed(self, error: BaseException, epoch: int) -> None:
        """Something of an epoch did not come through: a resync is due, once for all that fail with it."""
        if epoch != self._source.epoch:
            return
        if isinstance(error, RolledBackError):
            metrics.ROLLBACKS.inc()
            log.warning("Redis went back in time, reading further back", detail=str(error))
            self.resync_is_due("gap", str(error))
        elif isinstance(error, ErasedError):
            self.resync_is_due("erased", str(error))
        elif isinstance(error, PostponedError):
            self.resync_is_due("gone" if isinstance(error, GoneError) else "error", str(error))
        else:
            log.error("counting a batch failed", exc_info=error)
            self.resync_is_due("error", repr(error))

    def _leave(self, status: int | None, why: str) -> None:
        log.error("leaving the consumer group", why=why, status=status)
        self._drop(why)
        self._lags.hold(())
        if not self.leaving.done():
            self.leaving.set_result(status)

    @property
    def _source(self) -> Source:
        if self._bound is None:
            raise RuntimeError("bind() comes first")
        return self._bound

    def close(self) -> None:
        """Wait for the calls in flight and drop the connections."""
        self._lags.hold(())
        self._live.close()
        self._vouching.close()
