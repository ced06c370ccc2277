"""The bulk of a generation counted by this command's processes and those of others: until all of it is.

What is counted is read where all of them write it: in the generation's checkpoints. So it does not matter who
has counted what, nor who died meanwhile.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import structlog

from aggregator.bulk.member import Work, run
from aggregator.config import AggregatorSettings
from aggregator.counters.store import Store
from aggregator.errors import RefusedError
from schemas.counters import Generation

log = structlog.get_logger(__name__)

END_S: Final = 10.0
"""A process that has not ended so long after it was told to is killed, which loses nothing."""

_LOOK_S: Final = 0.2
_REST: Final = 20
"""Redis is left alone for so many times as long as its last answer took."""


def group_of(settings: AggregatorSettings, generation: Generation, token: str) -> str:
    """The id of the consumer group of all who count under one lease, which no other lease has.

    token: of the lease.
    """
    return f"{settings.consumer_group}-rebuild-{generation.name}-{token}"


def count_together(
    settings: AggregatorSettings,
    work: Work,
    *,
    start: Mapping[int, int],
    processes: int,
    watch: Callable[[int], bool],
) -> int:
    """Count, with processes of our own, until all lanes are counted up to `work.stop`, by whomever.

    start: where the generation began, for the progress. processes: at most so many. watch: called several
    times a second with the number of records that are passed; says whether to go on.
    Returns: as `count_until`, of our own processes.
    Raises: RefusedError where none of our processes is left, with the reason where one could tell it;
    PostponedError of any kind.
    """
    with closing(Store(settings)) as store, tempfile.NamedTemporaryFile(prefix="ses-metrics-") as lock:
        store.open()
        progress = _Progress(store, work, start)
        if progress.look():
            return 0
        context = multiprocessing.get_context("spawn")
        reasons = context.SimpleQueue()
        number = min(processes, len(work.stop))
        without_dead_letter: Any = context.Array("q", number, lock=False)
        shared = {"lock": Path(lock.name), "reasons": reasons, "without_dead_letter": without_dead_letter}
        children = [
            context.Process(target=run, args=(settings, work), kwargs={**shared, "place": place}, daemon=True)
            for place in range(number)
        ]
        for child in children:
            child.start()
        with closing(reasons):
            try:
                while not progress.look() and watch(progress.passed):
                    _check(children, reasons)
                    time.sleep(_LOOK_S)
            finally:
                _end(children)
        return sum(without_dead_letter)


class _Progress:
    """How far all lanes are counted."""

    def __init__(self, store: Store, work: Work, start: Mapping[int, int]) -> None:
        self._store = store
        self._work = work
        self._start = start
        self._again = 0.0
        self._is_done = False
        self.passed = 0
        """How many records are passed."""

    def look(self) -> bool:
        """Whether every lane is at `stop`, as it was seen last. Raises: GoneError, StoreUnavailableError."""
        stop, generation = self._work.stop, self._work.generation
        began = time.monotonic()
        if began >= self._again:
            lanes = [self._store.lane(generation, lane).checkpoints for lane in range(generation.lanes)]
            least = {number: min(lane.get(number, 0) for lane in lanes) for number in stop}
            self.passed = sum(min(least[number], stop[number]) - self._start[number] for number in stop)
            now = time.monotonic()
            self._again = now + max(_LOOK_S, _REST * (now - began))
            self._is_done = all(least[number] >= stop[number] for number in stop)
        return self._is_done


def _check(children: list[Any], reasons: Any) -> None:
    """Go on without processes that have ended, but not without any. Raises: RefusedError."""
    ended = [child for child in children if not child.is_alive()]
    for child in ended:
        children.remove(child)
        child.join()
        if children:
            log.warning("a counting process failed, and the others go on", status=child.exitcode)
    if not children:
        why = "" if reasons.empty() else f" ({reasons.get()})"
        raise RefusedError(f"a counting process failed{why}: run again, it goes on from there")


def _end(children: list[Any]) -> None:
    for child in children:
        child.terminate()
    deadline = time.monotonic() + END_S
    for child in children:
        child.join(max(0.0, deadline - time.monotonic()))
        child.kill()
        child.join()
