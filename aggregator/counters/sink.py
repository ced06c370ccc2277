"""Where what was read becomes counted: the one way from reading to Redis, of a worker and of a rebuild.

Law: in the order in which it was submitted, one call after the other, in one thread; dead letters before the
calls that pass their records; and after a call that failed nothing more is applied, not even what could be:
it might pass a record whose dead letter Kafka has not taken. A sink that has failed stays so. Whoever goes
on begins at the checkpoints, with a new one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from aggregator.counters.apply import Applied, Packed
from aggregator.counters.store import LaneCall
from aggregator.counters.throttle import Caller
from aggregator.counting.checkpoints import Move
from aggregator.counting.pack import pack_moves
from aggregator.counting.reading import Pending
from aggregator.errors import PostponedError
from aggregator.log.dead_letters import DeadLetterWriter

_T = TypeVar("_T")


class NotAppliedError(PostponedError):
    """It was submitted behind a call that failed, or to a sink that was stopped, and was not done."""


class Sink:
    """Counts into one generation, from one reading of the checkpoints on. None of it blocks."""

    def __init__(self, thread: ThreadPoolExecutor, caller: Caller, dead_letters: DeadLetterWriter) -> None:
        """Prepare.

        thread: a single one; what the sink before submitted there comes first. caller: of the generation.
        caller, dead_letters: used in that thread alone.
        """
        self._thread = thread
        self._caller = caller
        self._dead_letters = dead_letters
        self._over = False

    def count(self, pending: Pending) -> "Future[Applied]":
        """Write its dead letters, wait for Kafka's acknowledgement, then count it.

        Returns: what became of it, or PostponedError of any kind: NotAppliedError where nothing was done,
        else any of it may or may not have been.
        """
        return self._submit(partial(self._count, pending, self._caller.fold(pending.backlog)))

    def move(self, moves: Mapping[int, Sequence[Move]]) -> "Future[None]":
        """Move checkpoints without events. moves: by lane. Returns: when it is done, or as `count`."""
        calls = [LaneCall(lane, pack_moves(each)) for lane, each in moves.items() if each]
        return self._submit(partial(self._caller.move, calls))

    def stop(self) -> None:
        """From now on nothing is begun: what is in a call is finished, what waits is not done."""
        self._over = True

    def _submit(self, function: Callable[[], _T]) -> "Future[_T]":
        return self._thread.submit(self._in_order, function)

    def _in_order(self, function: Callable[[], _T]) -> _T:
        """In the thread: do it, where all before it was done."""
        if self._over:
            raise NotAppliedError("a call before it failed, or counting begins anew")
        try:
            return function()
        except Exception:
            self._over = True
            raise

    def _count(self, pending: Pending, calls: Iterable[Packed]) -> Applied:
        for partition, dead_letters in pending.dead_letters.items():
            self._dead_letters.write(partition, dead_letters)
        return self._caller.count(calls)
