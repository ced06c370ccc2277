"""Counting the topic into a generation without a consumer group: the engine of `rebuild`.

The same reading, folding, script and checkpoints as live counting. It begins at the generation's own
checkpoints, so one that was killed goes on, and two at once are harmless. Dead letters are written only of
records that no worker is known to have passed: the others were written when those were counted first.
"""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from types import TracebackType
from typing import Final, Self

from aggregator.config import AggregatorSettings
from aggregator.counters.apply import Applied
from aggregator.counters.sink import Sink
from aggregator.counters.store import Store
from aggregator.counters.throttle import THROTTLED, Caller, Pace
from aggregator.counting.checkpoints import Backlog, Events, Move, Partition, Span
from aggregator.counting.decode import Decoder
from aggregator.counting.pending import Pending
from aggregator.counting.reading import DeadLetter, read_batch
from aggregator.errors import KafkaUnavailableError, RolledBackError
from aggregator.log.bulk_reader import BATCH, SILENCE_S, BulkReader
from aggregator.log.dead_letters import DeadLetterWriter
from schemas.counters import Generation

AT_ONCE: Final = 40_000
"""About so many records are read before they are counted together: the more, the fewer calls they take."""

WEIGHT_AT_ONCE: Final = 16 * 1024 * 1024
"""Or so many bytes of memory, where much comes of them."""

IN_FLIGHT: Final = 2
"""So often as many are read and not applied yet: what bounds the memory."""

RESYNCS_MAX: Final = 10


def count_until(
    settings: AggregatorSettings,
    generation: Generation,
    stop: Mapping[int, int],
    *,
    dead_lettered: Mapping[int, int],
    progress: Callable[[int, int], None],
    pace: Pace,
    lock: AbstractContextManager[object],
) -> None:
    """Count partitions up to given offsets.

    generation: to count into. stop: the offset to end at, for each partition to count.
    dead_lettered: for each partition, the offset below which dead letters are written already.
    progress: called with a partition and the offset up to which it is submitted.
    pace, lock: as in `throttle.Caller`.
    Raises: PostponedError of any kind; RolledBackError where Redis went back again and again.
    """
    for attempt in range(1, RESYNCS_MAX + 1):
        try:
            _count_once(
                settings,
                generation,
                stop,
                dead_lettered=dead_lettered,
                progress=progress,
                pace=pace,
                lock=lock,
            )
        except RolledBackError:
            if attempt == RESYNCS_MAX:
                raise
        else:
            return


def _count_once(
    settings: AggregatorSettings,
    generation: Generation,
    stop: Mapping[int, int],
    *,
    dead_lettered: Mapping[int, int],
    progress: Callable[[int, int], None],
    pace: Pace,
    lock: AbstractContextManager[object],
) -> None:
    reader, store = Decoder(settings.rules), Store(settings)
    store.open()
    checkpoints = store.checkpoints(generation)
    partitions = {number: Partition(number, [lane.get(number, 0) for lane in checkpoints]) for number in stop}
    waiting: deque[Future[Applied]] = deque()

    def submit(pending: Pending) -> None:
        waiting.append(sink.count(pending))
        if len(waiting) > IN_FLIGHT:
            waiting.popleft().result()
        for number, partition in partitions.items():
            progress(number, partition.position)

    with closing(store), BulkReader(settings) as bulk, ThreadPoolExecutor(1) as thread:
        sink = Sink(thread, Caller(store, generation, pace, lock), DeadLetterWriter(settings))
        start = {number: partition.position for number, partition in partitions.items()}
        pending = Pending()
        for number, rows in bulk.until(start, stop):
            unread = iter(rows)
            end: int | None = 0
            while rows and end is not None:
                reading = read_batch(reader, generation.lanes, unread)
                end = reading.end
                position = rows[-1].offset + 1 if end is None else end
                partitions[number].read(reading.by_lane, position, pending.backlog)
                pending.add(number, reading, dead_lettered[number])
                if pending.outcomes.total() >= AT_ONCE or pending.weight >= WEIGHT_AT_ONCE:
                    submit(pending)
                    pending = Pending()
        submit(pending)
        for number, partition in partitions.items():
            partition.read({}, max(partition.position, stop[number]), Backlog())
        lanes = range(generation.lanes)
        moved = sink.move({lane: [each.move(lane, -1) for each in partitions.values()] for lane in lanes})
        for job in waiting:
            job.result()
        moved.result()


class Tail:
    """The end of the topic, counted into a generation lane by lane and exactly as far as is asked.

    What is read and not asked for yet is held in memory; it is as much as comes in while it is used.
    Partitions may be added to the topic meanwhile: they are taken in as soon as a live checkpoint tells of
    them.
    """

    def __init__(
        self, settings: AggregatorSettings, generation: Generation, dead_lettered: Mapping[int, int]
    ) -> None:
        """Begin at the generation's checkpoints.

        dead_lettered: for each partition, the offset below which dead letters are written already.
        Raises: PostponedError of any kind.
        """
        self._generation = generation
        self._reader = Decoder(settings.rules)
        self._store = Store(settings)
        self._store.open()
        stored = self._store.checkpoints(generation)
        self.checkpoints = [{number: lane.get(number, 0) for number in dead_lettered} for lane in stored]
        self._pending: defaultdict[tuple[int, int], Events] = defaultdict(list)
        self._thread = ThreadPoolExecutor(1)
        self._sink = Sink(
            self._thread, Caller(self._store, generation, THROTTLED), DeadLetterWriter(settings)
        )
        self._dead_lettered = dict(dead_lettered)
        self._refused: defaultdict[int, list[DeadLetter]] = defaultdict(list)
        self._bulk = BulkReader(settings)
        self._bulk.assign(
            {number: min(lane[number] for lane in self.checkpoints) for number in dead_lettered}
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bulk.close()
        self._thread.shutdown()
        self._store.close()

    def read_to(self, offsets: Mapping[int, int]) -> None:
        """Read on until every partition is read up to an offset that its log has.

        offsets: checkpoints of live counting, which wrote the dead letters before it passed them.
        Raises: KafkaUnavailableError where nothing has come for a minute.
        """
        self._take_in(offsets)
        self._are_dead_lettered(offsets)
        missing, heard = None, time.monotonic()
        while left := sum(max(0, at - self._bulk.positions[number]) for number, at in offsets.items()):
            if left != missing:
                missing, heard = left, time.monotonic()
            elif time.monotonic() - heard > SILENCE_S:
                raise KafkaUnavailableError(f"no record for {SILENCE_S:.0f} s, {left} are unread")
            self.read(min(left, BATCH))

    def _take_in(self, offsets: Mapping[int, int]) -> None:
        """Read partitions too that are new to this generation, from where its lanes stand: the beginning."""
        new = [number for number in offsets if number not in self._bulk.positions]
        if new:
            for number in new:
                self._dead_lettered[number] = 0
                for lane in self.checkpoints:
                    lane[number] = 0
            self._bulk.assign(self._bulk.positions | dict.fromkeys(new, 0))

    def read(self, most: int = BATCH) -> None:
        """Take in what has come. most: as in `BulkReader.poll`."""
        for number, rows in self._bulk.poll(most).items():
            unread = iter(rows)
            end: int | None = 0
            while end is not None:
                reading = read_batch(self._reader, self._generation.lanes, unread)
                end = reading.end
                dead_lettered = self._dead_lettered[number]
                self._refused[number] += [
                    each for each in reading.dead_letters if each.offset >= dead_lettered
                ]
                for lane, events in reading.by_lane.items():
                    checkpoint = self.checkpoints[lane][number]
                    self._pending[lane, number].extend(each for each in events if each[0] >= checkpoint)

    def count_all(self) -> None:
        """Count all that is read, in every lane, once its dead letters are written."""
        refused = Pending()
        refused.dead_letters, self._refused = self._refused, refused.dead_letters
        self._sink.count(refused).result()
        for lane in range(self._generation.lanes):
            self.count_to(lane, dict(self._bulk.positions))

    def count_to(self, lane: int, offsets: Mapping[int, int]) -> None:
        """Count a lane up to these offsets, which are read already; one that is passed stays passed.

        offsets: checkpoints of live counting, which wrote the dead letters before it passed them.
        Raises: StoreUnavailableError, GoneError, RolledBackError.
        """
        self._are_dead_lettered(offsets)
        for number, end in offsets.items():
            checkpoint = self.checkpoints[lane][number]
            if end <= checkpoint:
                continue
            pending = self._pending[lane, number]
            events = [each for each in pending if each[0] < end]
            del pending[: len(events)]
            if events:
                counted = Pending()
                counted.backlog.add(lane, Span(number, checkpoint, end, events))
                self._sink.count(counted).result()
            self._sink.move({lane: [Move(number, end if events else checkpoint, end)]}).result()
            self.checkpoints[lane][number] = end

    def _are_dead_lettered(self, offsets: Mapping[int, int]) -> None:
        """Forget the dead letters below these offsets: they are written."""
        for number, end in offsets.items():
            if end > self._dead_lettered[number]:
                self._dead_lettered[number] = end
                self._refused[number] = [each for each in self._refused[number] if each.offset >= end]

    def carry(self, lane: int, through_ms: Mapping[int, int]) -> None:
        """Take over up to when partitions are complete, by partition.

        It must have been told of a checkpoint that this lane has reached: then all that was complete there is
        counted here. Raises: as `count_to`.
        """
        checkpoints = self.checkpoints[lane]
        moves = [
            Move(number, checkpoints[number], checkpoints[number], ms) for number, ms in through_ms.items()
        ]
        self._sink.move({lane: moves}).result()
