"""The pace of a rebuild: throttled beside a service, and without one as fast as the machine.

A rebuild is batch work. While Redis runs a script it serves nobody, so what the API waits for at worst is the
calls that stand before its own. Therefore, beside a live generation (`THROTTLED`):
- calls are short, however much work a fact makes: they hold as many facts as the ones before had time for;
- all processes of a rebuild share a lock, so that no two calls of theirs stand in line;
- after a call nothing is asked of Redis for some times as long. What a call took includes its waiting, so a
  Redis that is busy with others is asked less;
- its processes have the processor only when nobody else wants it, and never all processors
  (`lower_priority`).
Where there is nothing live, as in a Redis that was wiped, nobody is served until the rebuild has ended
(`ALONE`).
"""

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Final

from aggregator.counters.apply import apply_calls, packed
from aggregator.counters.store import Store
from aggregator.counting.checkpoints import Backlog
from schemas.counters import Generation

FACTS_A_CALL_MIN: Final = 50
"""Fewer make a call no shorter: what a call does before its first fact weighs more."""

FACTS_A_CALL_MAX: Final = 3000
"""More save nothing, and what a script's arguments may hold is bounded."""


def lower_priority() -> None:
    """From now on, this thread and what it starts run on half of its processors, when those are idle.

    The idle class alone is not enough: Linux takes waiting work over from another processor when one falls
    idle, and one with a batch job never does. Two idle loops on two cores doubled the API's p99; on one of
    them they did not change it.
    """
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, processors[len(processors) // 2 :])
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


@dataclass(frozen=True, slots=True)
class Pace:
    """How a rebuild calls Redis.

    facts_a_call: to begin with. call_s: how long a call is meant to take, none for any time: then there are
    always so many facts. pause: how long Redis is left alone after a call, as a multiple of what the call
    took; where there is one, each call is made under a lock too.
    """

    facts_a_call: int
    call_s: float | None
    pause: float

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Call Redis in the block; then it is left alone."""
        began = time.monotonic()
        yield
        time.sleep(self.pause * (time.monotonic() - began))

    def facts_next(self, facts_a_call: int, took_s: float) -> int:
        """How many facts the next calls may hold.

        facts_a_call: how many the last ones might. took_s: how long one of them took in the mean, in s.
        """
        if self.call_s is None:
            return facts_a_call
        return round(min(max(facts_a_call * self.call_s / took_s, FACTS_A_CALL_MIN), FACTS_A_CALL_MAX))


THROTTLED: Final = Pace(facts_a_call=100, call_s=0.002, pause=3.0)
ALONE: Final = Pace(facts_a_call=FACTS_A_CALL_MAX, call_s=None, pause=0.0)


class Caller:
    """Counts one backlog after the other, at a pace."""

    def __init__(
        self, store: Store, generation: Generation, pace: Pace, lock: AbstractContextManager[object] | None
    ) -> None:
        """Prepare.

        store, generation: to count into. lock: entered for each call where there are pauses; shared by all
        that must not call at the same time, none where nobody else does.
        """
        self._store = store
        self._generation = generation
        self._pace = pace
        self._lock = lock if lock is not None and pace.pause else nullcontext()
        self._facts_a_call = pace.facts_a_call

    def count(self, backlog: Backlog) -> None:
        """Count a backlog.

        Raises: StoreUnavailableError, GoneError, RolledBackError; any of the calls may or may not have been
        done.
        """
        calls, took_s = 0, 0.0
        for call in map(packed, backlog.calls(self._facts_a_call)):
            with self._lock, self._pace.resting():
                began = time.monotonic()
                apply_calls(self._store, self._generation, [call])
                calls, took_s = calls + 1, took_s + time.monotonic() - began
        if calls:
            self._facts_a_call = self._pace.facts_next(self._facts_a_call, took_s / calls)
