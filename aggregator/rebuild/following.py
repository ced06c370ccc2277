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
    """Wait until the live lane is at or above the new one, which then can be moved to it.

    say: shows a line to a person.
    Raises: LiveBehindError after a minute; GoneError, StoreUnavailableError.
    """
    deadline: float | None = None
    while True:
        checkpoints = keys.checkpoints(live, lane)
        if all(checkpoints.get(number, 0) >= at for number, at in tail.checkpoints[lane].items()):
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
    """Count each lane up to its live checkpoints, and take over how complete it is there.

    live: has as many lanes as the new one. A live one that is gone in the middle is not followed further.
    Raises: PostponedError of any kind.
    """
    with unless_gone(live):
        for lane in range(live.lanes):
            complete, checkpoints = keys.completes(live, lane), keys.checkpoints(live, lane)
            tail.read_to(checkpoints)
            tail.count_to(lane, checkpoints)
            tail.carry(lane, complete)
