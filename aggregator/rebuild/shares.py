"""Counting the bulk of a topic in several processes, its partitions shared out to them."""

import multiprocessing
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing
from typing import Any

from aggregator.config import AggregatorSettings
from aggregator.counters.throttle import Pace
from aggregator.errors import PostponedError
from aggregator.rebuild.bulk_count import count_until
from aggregator.rebuild.plan import RebuildRefusedError
from schemas.counters import Generation
from schemas.shared import logs

_LOOK_S = 0.2


def count_shares(
    settings: AggregatorSettings,
    generation: Generation,
    *,
    start: Mapping[int, int],
    stop: Mapping[int, int],
    dead_lettered: Mapping[int, int],
    processes: int,
    pace: Pace,
    watch: Callable[[int], None],
) -> int:
    """Count partitions from the generation's own checkpoints up to `stop`.

    start: where the generation began, for the progress. dead_lettered: for each partition, the offset below
    which dead letters are written already. processes: at most so many. pace: of each. watch: called several
    times a second with the number of records that are passed; what it raises ends the counting.
    Returns: as `count_until`, of all of them.
    Raises: RebuildRefusedError where a process failed, with its reason where it could tell one.
    """
    numbers = sorted(stop)
    context = multiprocessing.get_context("spawn")
    lock = context.Lock()
    reached: Any = context.Array("q", [start[number] for number in numbers], lock=False)
    reasons = context.SimpleQueue()
    shares = [share for n in range(processes) if (share := numbers[n::processes])]
    without_dead_letter: Any = context.Array("q", len(shares), lock=False)
    children = [
        context.Process(
            target=_count,
            args=(settings, generation),
            kwargs={
                "stop": {number: stop[number] for number in share},
                "dead_lettered": dict(dead_lettered),
                "pace": pace,
                "lock": lock,
                "reached": reached,
                "numbers": numbers,
                "reasons": reasons,
                "without_dead_letter": without_dead_letter,
                "place": place,
            },
            daemon=True,
        )
        for place, share in enumerate(shares)
    ]
    for child in children:
        child.start()
    try:
        # One that failed may have died with the lock in its hand: the others are not waited for.
        while any(child.is_alive() for child in children) and not any(child.exitcode for child in children):
            watch(sum(reached) - sum(start.values()))
            for child in children:
                child.join(_LOOK_S / len(children))
    finally:
        for child in children:
            child.terminate()
            child.join()
    with closing(reasons):
        if any(child.exitcode for child in children):
            why = "" if reasons.empty() else f" ({reasons.get()})"
            raise RebuildRefusedError(f"a counting process failed{why}: run again, it goes on from there")
    return sum(without_dead_letter)


def _count(
    settings: AggregatorSettings,
    generation: Generation,
    *,
    stop: Mapping[int, int],
    dead_lettered: Mapping[int, int],
    pace: Pace,
    lock: AbstractContextManager[object],
    reached: Any,
    numbers: list[int],
    reasons: Any,
    without_dead_letter: Any,
    place: int,
) -> None:
    """In a process of its own: count some partitions.

    reasons: a queue for why that cannot be. without_dead_letter: takes at `place` what `count_until` returns.
    """
    logs.configure()  # of the parent's it has nothing, and stdout is for the command's result
    places = {number: index for index, number in enumerate(numbers)}

    def progress(number: int, offset: int) -> None:
        reached[places[number]] = offset

    try:
        without_dead_letter[place] = count_until(
            settings, generation, stop, dead_lettered=dead_lettered, progress=progress, pace=pace, lock=lock
        )
    except PostponedError as error:
        reasons.put(str(error))
        sys.exit(1)
