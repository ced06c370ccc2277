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
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Final

from aggregator.counters.apply import Applied, Packed, apply_calls, apply_moves, packed
from aggregator.counters.store import LaneCall, Store
from aggregator.counting.checkpoints import FACTS_A_CALL, Backlog
from aggregator.counting.rules import NO_ERASURES, Erasures
from aggregator.counting.states import Identities
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
        if self.pause:
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
LIVE: Final = Pace(facts_a_call=FACTS_A_CALL, call_s=None, pause=0.0)
"""Of a worker."""


class Caller:
    """Calls the script for one generation, at a pace. Blocking; used from one thread, but for `fold`."""

    def __init__(
        self,
        store: Store,
        generation: Generation,
        pace: Pace,
        lock: AbstractContextManager[object] | None = None,
        erasures: Erasures = NO_ERASURES,
    ) -> None:
        """Prepare.

        store, generation: to count into. lock: entered for each call where there are pauses; shared by all
        that must not call at the same time, none where nobody else does. erasures: by which it is read.
        """
        self._store = store
        self._generation = generation
        self._erasures = erasures
        self._identities = Identities(generation.identity_key, erasures)
        self._pace = pace
        self._lock = lock if lock is not None and pace.pause else nullcontext()
        self._facts_a_call = pace.facts_a_call

    def fold(self, backlog: Backlog) -> Iterable[Packed]:
        """The calls that count a backlog.

        Where what a call may hold is fixed they are folded now, by whoever asks, so that the thread that
        calls has nothing to do but that. Else not before they are called: how long the calls before them
        took decides how much they hold.
        """
        if self._pace.call_s is None:
            return [packed(call, self._identities) for call in backlog.calls(self._facts_a_call)]
        return self._folded_later(backlog)

    def _folded_later(self, backlog: Backlog) -> Iterator[Packed]:
        for call in backlog.calls(self._facts_a_call):
            yield packed(call, self._identities)

    def count(self, calls: Iterable[Packed]) -> Applied:
        """Count what `fold` made of a backlog. Raises: as `apply_calls`."""
        applied = Applied()
        number, took_s = 0, 0.0
        for call in calls:
            with self._lock, self._pace.resting():
                began = time.monotonic()
                applied.add(apply_calls(self._store, self._generation, self._identities, [call]))
                number, took_s = number + 1, took_s + time.monotonic() - began
        if number:
            self._facts_a_call = self._pace.facts_next(self._facts_a_call, took_s / number)
        return applied

    def move(self, calls: Sequence[LaneCall]) -> None:
        """Move checkpoints without events. Raises: as `apply_calls`."""
        lanes = self._generation.lanes
        known = [each._replace(erased=self._erasures.of_lane(each.lane, lanes)) for each in calls]
        apply_moves(self._store, self._generation, known)
