"""Checks with each tick whether counting is still right (`checking`), and waits a moment for the verdict.

A tick asks for the end offsets first and has this checked then; it tells of what it asked only when a check
that began after it has come out well. The check reads the topic's id and the live generation: an id never
comes back, so where it is right at the check, it was right when the ends were asked for, and the ends are
those of the log that is counted. Whether the lanes are still those of the live generation they say themselves
when they are moved (`GONE`), as they are retired before another is live. And what is reported stands on the
server that was counted into, beside the counts: where the check saw another one, that is no verdict.

Counting and moves do not wait for a check, which has a thread of its own; complete-through does.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, NamedTuple

from aggregator.worker.assignment import Assignment
from aggregator.worker.checking import Checker

CHECK_S: Final = 1.0
"""A tick waits no longer for a check; what is slower is heard by a later tick."""


class Check(NamedTuple):
    """A check under way: the tick that began it after it had asked, and the epoch of what is checked."""

    tick: int
    epoch: int
    job: "asyncio.Future[None]"


class Vouching:
    """The checks of one worker, one at a time."""

    def __init__(self, checker: Checker, thread: ThreadPoolExecutor) -> None:
        """Prepare.

        checker: used by this object alone. thread: a single one, which nothing that counts waits for.
        """
        self._checker = checker
        self._thread = thread
        self._check: Check | None = None

    async def verdict(self, tick: int, assignment: Assignment) -> int | None:
        """Begin a check where none is under way, and wait a moment for what is.

        tick: the number of this one. assignment: what is counted.
        Returns: the last tick that a good check came after; none where that is not known.
        Raises: NoVerdictError; PostponedError of any other kind where counting is no longer right.
        """
        if self._check is None:
            counted = assignment.generation, assignment.servers, assignment.erasures.end
            call = partial(self._checker.check, *counted)
            job = asyncio.get_running_loop().run_in_executor(self._thread, call)
            self._check = Check(tick, assignment.epoch, job)
        check = self._check
        await asyncio.wait([check.job], timeout=CHECK_S)
        if not check.job.done():
            return None  # the moves go on; a later tick hears of it
        self._check = None
        error = check.job.exception()
        if check.epoch != assignment.epoch:
            return None  # of what was counted before the last resync
        if error is not None:
            raise error
        return check.tick

    def close(self) -> None:
        """Wait for the check under way and drop the connection."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._checker.close()
