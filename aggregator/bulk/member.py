"""One counting process: it counts the partitions that are its own, until it is ended.

When they are others than before, what was read is counted and it begins anew, at the checkpoints. With all
of its own counted it stays: those of a member that dies become its own. It looks at the checkpoints again
every now and then, as Redis may have gone back in time.
"""

import fcntl
import multiprocessing
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final

from aggregator.bulk.count import count_until
from aggregator.bulk.group import Membership
from aggregator.config import AggregatorSettings
from aggregator.counters.throttle import Pace
from aggregator.errors import PostponedError
from aggregator.garbage import look_seldom
from schemas.counters import Generation
from schemas.shared import logs

LOOK_AGAIN_S: Final = 10.0
"""So often the checkpoints are looked at while nothing is left to count."""

WAIT_S: Final = 0.5
"""So soon it notices that it is to end."""

SETTLE_S: Final = 1.5
"""Processes that are started together are all in the group by then: else the first one would begin with all
partitions, and the others wait for most of them until what it has read is counted."""


@dataclass(frozen=True, slots=True)
class Work:
    """What the members of a group count together.

    generation: to count into. stop: the offset to end at, by partition. dead_lettered: for each partition,
    the offset below which dead letters are written already. pace: of each process. group: its id.
    """

    generation: Generation
    stop: Mapping[int, int]
    dead_lettered: Mapping[int, int]
    pace: Pace
    group: str


class FileLock(AbstractContextManager[None]):
    """A lock of the processes that have opened one file; the kernel opens it where its holder dies."""

    def __init__(self, file: BinaryIO) -> None:
        """file: open in this process alone."""
        self._file = file

    def __enter__(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)


def run(
    settings: AggregatorSettings,
    work: Work,
    *,
    lock: Path,
    reasons: Any,
    without_dead_letter: Any,
    place: int,
) -> None:
    """In a process of its own: count, until SIGTERM or until the parent is gone.

    lock: a file; no two calls are made at the same time by those who lock it. reasons: a queue for why it
    cannot go on. without_dead_letter: takes at `place` the sum of what `count_until` returns.
    Raises: SystemExit.
    """
    logs.configure()  # of the parent's it has nothing, and stdout is for the command's result
    look_seldom()
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the parent has it too, and ends this one
    parent = multiprocessing.parent_process()
    assert parent is not None, "it is started by `together`"

    def is_over() -> bool:
        return bool(ended) or not parent.is_alive()

    try:
        with lock.open("rb") as file, Membership(settings, work.group) as membership:
            again = time.monotonic() + LOOK_AGAIN_S
            while not is_over():
                if membership.wait(WAIT_S):
                    time.sleep(SETTLE_S)
                elif time.monotonic() < again:
                    continue
                with membership.held() as numbers:
                    stop = {number: end for number, end in work.stop.items() if number in numbers}
                    without_dead_letter[place] += count_until(
                        settings,
                        work.generation,
                        stop,
                        dead_lettered=work.dead_lettered,
                        pace=work.pace,
                        lock=FileLock(file),
                        leave=lambda: membership.has_changed or is_over(),
                    )
                again = time.monotonic() + LOOK_AGAIN_S
    except PostponedError as error:
        reasons.put(str(error))
        sys.exit(1)
