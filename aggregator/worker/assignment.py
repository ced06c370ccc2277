"""What one resync made: where each partition is read, what is read and not counted, and how complete it is.

Each resync makes it anew, and what ends it drops it as a whole: nothing of one is taken for another's.

Whenever the sink has nothing to do, all that was read meanwhile is folded and submitted, and the next batches
are read while it counts: so calls grow with the backlog, and are small without one.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from aggregator import metrics
from aggregator.counters.apply import Applied
from aggregator.counters.sink import Sink
from aggregator.counting.checkpoints import Partition
from aggregator.counting.reading import Pending, Reading
from aggregator.log.source import Batch
from aggregator.worker.complete import Complete
from aggregator.worker.known_ids import KnownIds
from aggregator.worker.live import Found

STALLED_TICKS: Final = 3
"""Records are there, nothing is under way, and no batch has come for so many ticks: the last one was lost."""
WEIGHT_MAX: Final = 48 * 1024 * 1024
"""Bytes of memory of what is read and not counted, beyond which no more is read until some of it is."""


class Assignment:
    """The partitions of one resync, counted into one generation."""

    def __init__(
        self,
        found: Found,
        partitions: Iterable[int],
        *,
        epoch: int,
        sink: Sink,
        known_ids: KnownIds,
        release: Callable[[Batch], None],
        failed: Callable[[BaseException, int], None],
    ) -> None:
        """Begin at the checkpoints.

        found: what the resync read. partitions: that are assigned. epoch: of the source, which their batches
        are fetched under. sink: into the generation, of this object alone. known_ids: of the process.
        release: called with each batch that is counted, or could not be. failed: called with each error and
        the epoch.
        """
        self.epoch = epoch
        self.generation = found.generation
        self.erasures = found.erasures
        self.servers = found.servers
        self.partitions = {
            number: Partition(number, [lane.get(number, 0) for lane in found.checkpoints])
            for number in partitions
        }
        self.complete = Complete()
        self.is_over = False
        """Whether it was dropped: nothing that is worked out from it matters any more."""
        self._sink = sink
        self._known_ids = known_ids
        self._release = release
        self._failed = failed
        self._pending = Pending()
        self._batches: list[Batch] = []
        """Read to their end, and to be released once that is counted."""
        self._jobs = 0
        self._weight = 0
        self._counted = asyncio.Event()
        self._still: dict[int, tuple[int, int]] = {}

    @property
    def positions(self) -> dict[int, int]:
        """The offset that is read next, of each partition."""
        return {number: partition.position for number, partition in self.partitions.items()}

    def drop(self) -> None:
        """End it: what is read and not counted is forgotten, and the resync that follows reads it again."""
        self.is_over = True
        self._sink.stop()
        self._pending, self._batches = Pending(), []
        self._counted.set()

    # From read to counted

    def read(self, batch: Batch, reading: Reading, end: int) -> None:
        """Take in what was read of a batch, up to an offset, and see to it that it is counted."""
        counted = self.partitions[batch.partition].read(reading.by_lane, end, self._pending.backlog)
        self._pending.add(batch.partition, reading, counted)
        if reading.end is None:
            self._batches.append(batch)
        if self._jobs == 0:
            self._submit()

    async def room(self) -> None:
        """Let the loop do other things, and wait while too much is read and not counted."""
        await asyncio.sleep(0)
        while not self.is_over and self._jobs and self._weight + self._pending.weight > WEIGHT_MAX:
            self._counted.clear()
            await self._counted.wait()

    def _submit(self) -> None:
        """Give the sink all that was read since it was last given something."""
        pending, batches = self._pending, self._batches
        if not pending.outcomes:
            return
        self._pending, self._batches = Pending(), []
        job = asyncio.wrap_future(self._sink.count(pending))
        self._jobs += 1
        self._weight += pending.weight
        job.add_done_callback(partial(self._applied, pending, batches, time.monotonic()))

    def _applied(
        self, pending: Pending, batches: list[Batch], since: float, job: "asyncio.Future[Applied]"
    ) -> None:
        """On the loop: what became of what was submitted."""
        self._jobs -= 1
        self._weight -= pending.weight
        self._counted.set()
        for batch in batches:
            self._release(batch)
        if job.cancelled():
            return
        error = job.exception()
        if error is not None:
            self._failed(error, self.epoch)
        else:
            metrics.APPLY_SECONDS.observe(time.monotonic() - since)
            _measure(pending, batches, job.result())
            self._known_ids.take(job.result().known, self.generation.scopes)
        if self._jobs == 0 and not self.is_over:
            self._submit()

    # Each tick

    def is_stalled(self, partition: int, end: int) -> bool:
        """Whether the last batch of a partition was lost inside Faust, where no later one shows it.

        end: of its log. Asked once a tick.
        """
        position = self.partitions[partition].position
        before, ticks = self._still.get(partition, (position, 0))
        ticks = ticks + 1 if before == position < end and self._jobs == 0 else 0
        self._still[partition] = position, ticks
        return ticks > STALLED_TICKS

    async def move(self, throughs: Mapping[int, int]) -> None:
        """Move all lanes along to where their partitions are read, behind what was read before.

        throughs: for each partition up to when it is complete, as in `Move`.
        Raises: PostponedError of any kind.
        """
        self._submit()
        moves = {
            lane: [self.partitions[number].move(lane, through) for number, through in throughs.items()]
            for lane in range(self.generation.lanes)
        }
        await asyncio.wrap_future(self._sink.move(moves))


def _measure(pending: Pending, batches: Iterable[Batch], applied: Applied) -> None:
    """It is counted. batches: those that it was the end of."""
    now_s = time.time()
    for batch in batches:
        metrics.FRESHNESS_SECONDS.observe(max(0.0, now_s - batch.last_ms / 1000))
    for outcome, number in pending.outcomes.items():
        metrics.RECORDS.labels(outcome).inc(number)
    for dead_letters in pending.dead_letters.values():
        for dead_letter in dead_letters:
            metrics.DEAD_LETTERS.labels(dead_letter.reason).inc()
    metrics.FACTS.labels("new").inc(applied.new)
    metrics.FACTS.labels("repeated").inc(applied.repeated)
    for field, number in pending.facts_by_kind().items():
        metrics.FACTS_BY_KIND.labels(field).inc(number)
    metrics.REFOLDS.inc(applied.refolds)
