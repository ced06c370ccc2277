"""The live generation as a rebuild follows it: its checkpoints move on, stand still, or go away.

Which one is gone is known by its name: a live one that was wiped is replaced all the same; the new
one that was wiped ends the rebuild.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from aggregator.counters.keyspace import Keyspace
from aggregator.errors import GoneError
from aggregator.rebuild.catch_up import Tail
from schemas.counters import Generation

log = structlog.get_logger(__name__)

LIVE_CATCHES_UP_S: Final = 60.0


class LiveBehindError(Exception):
    """The checkpoints of a live lane stay below those of the new one: nobody counts there."""


@contextmanager
def unless_gone(live: Generation) -> Iterator[None]:
    """Leave the block where the live generation is gone.

    Raises: GoneError, where it is another one that is gone.
    """
    try:
        yield
    except GoneError as error:
        if error.generation != live.name:
            raise
        log.warning("the live generation is not there as a whole", generation=live.name)


def wait_for(keys: Keyspace, live: Generation, lane: int, tail: Tail, *, say: Callable[[str], None]) -> None:
    """Wait until a live lane is at or above the new ones that share tenants with it.

    say: shows a line to a person.
    Raises: LiveBehindError after a minute; GoneError, StoreUnavailableError.
    """
    deadline: float | None = None
    while True:
        checkpoints = keys.checkpoints(live, lane)
        if all(checkpoints.get(number, 0) >= at for number, at in tail.reached(lane).items()):
            return
        if deadline is None:
            deadline = time.monotonic() + LIVE_CATCHES_UP_S
            say(
                f"lane {lane} of the live generation is behind: waiting up to {LIVE_CATCHES_UP_S:.0f} s"
                " for a worker to count on; without one nothing is compared"
            )
        if time.monotonic() > deadline:
            raise LiveBehindError
        time.sleep(0.2)


def follow(keys: Keyspace, live: Generation, tail: Tail) -> None:
    """Count each new lane up to the live checkpoints, and take over how complete it is there.

    Where a lane's tenants come from several live lanes, it is counted up to the furthest of these: nothing is
    compared with the others any more, and then nothing in it lies at or above its checkpoint. A live one that
    is gone is not followed.
    Raises: PostponedError of any kind.
    """
    with unless_gone(live):
        complete, checkpoints = {}, {}
        for lane in range(live.lanes):
            # In this order: what is complete is so below the checkpoints that are read after it.
            complete[lane], checkpoints[lane] = keys.completes(live, lane), keys.checkpoints(live, lane)
        for group in range(tail.groups.number):
            lanes = tail.groups.live_lanes(group)
            furthest: dict[int, int] = {}
            for lane in lanes:
                for number, at in checkpoints[lane].items():
                    furthest[number] = max(at, furthest.get(number, 0))
            tail.read_to(furthest)
            tail.count_to(dict.fromkeys(lanes, furthest))
        tail.carry(complete)
