"""Counting the history into a generation: some partitions up to given offsets.

The same law, folding, script and checkpoints as live counting. It begins at the generation's own
checkpoints, so one that was killed goes on, and two at once are harmless. Dead letters are written only of
records that no worker is known to have passed: the others were written when those were counted first. Of
records that only the archive has none can be written; that is counted.
"""

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from typing import Final

from aggregator.config import AggregatorSettings
from aggregator.counters.apply import Applied
from aggregator.counters.sink import Sink
from aggregator.counters.store import Store
from aggregator.counters.throttle import Caller, Pace
from aggregator.counting.checkpoints import Partition
from aggregator.counting.reading import Pending
from aggregator.erasure.take_in import Eraser
from aggregator.errors import ErasedError, RolledBackError
from aggregator.history.reader import History
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
    pace: Pace,
    lock: AbstractContextManager[object],
    leave: Callable[[], bool],
) -> int:
    """Count partitions up to given offsets.

    generation: to count into. stop: the offset to end at, for each partition to count.
    dead_lettered: for each partition, the offset below which dead letters are written already.
    pace, lock: as in `throttle.Caller`. leave: called often, must be quick: whether to end once what was read
    by then is counted.
    Returns: how many records are refused of which no dead letter is known, nor can be written.
    Raises: PostponedError of any kind; RolledBackError where Redis went back again and again, ErasedError
    where tenants were erased again and again.
    """
    attempt = 1
    while True:
        try:
            return _count_once(
                settings,
                generation,
                stop,
                dead_lettered=dead_lettered,
                pace=pace,
                lock=lock,
                leave=leave,
            )
        except (RolledBackError, ErasedError):
            if attempt == RESYNCS_MAX:
                raise
            attempt += 1


def _count_once(
    settings: AggregatorSettings,
    generation: Generation,
    stop: Mapping[int, int],
    *,
    dead_lettered: Mapping[int, int],
    pace: Pace,
    lock: AbstractContextManager[object],
    leave: Callable[[], bool],
) -> int:
    store = Store(settings)
    store.open()
    with closing(Eraser(settings, store)) as eraser:
        erasures, checkpoints = eraser.checkpoints(generation)
    partitions = {number: Partition(number, [lane.get(number, 0) for lane in checkpoints]) for number in stop}
    if all(partition.position >= stop[number] for number, partition in partitions.items()):
        store.close()
        return 0
    waiting: deque[Future[Applied]] = deque()

    def submit(pending: Pending) -> None:
        waiting.append(sink.count(pending))
        if len(waiting) > IN_FLIGHT:
            waiting.popleft().result()

    history = History(settings, generation.topic_id, erasures)
    with closing(store), history, ThreadPoolExecutor(1) as thread:
        caller = Caller(store, generation, pace, lock, erasures)
        sink = Sink(thread, caller, DeadLetterWriter(settings))
        start = {number: partition.position for number, partition in partitions.items()}
        pending = Pending()
        for number, next_, reading in history.readings(generation.lanes, start, stop, dead_lettered):
            counted = partitions[number].read(reading.by_lane, next_, pending.backlog)
            pending.add(number, reading, counted, dead_lettered[number])
            if pending.outcomes.total() >= AT_ONCE or pending.weight >= WEIGHT_AT_ONCE:
                submit(pending)
                pending = Pending()
            if leave():
                break
        else:
            for number, partition in partitions.items():
                partition.read({}, max(partition.position, stop[number]), pending.backlog)
        submit(pending)
        lanes = range(generation.lanes)
        moved = sink.move({lane: [each.move(lane, -1) for each in partitions.values()] for lane in lanes})
        for job in waiting:
            job.result()
        moved.result()
        return history.without_dead_letter
