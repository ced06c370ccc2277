"""The pace of a rebuild: beside a service it gives way, and without one it takes what the machine has.

A rebuild is batch work. While Redis runs a script it serves nobody, so what the API waits for at worst is the
calls that stand before its own. Therefore, beside a live generation (`GIVING_WAY`):
- calls are smaller than those of live counting;
- all processes of a rebuild take turns, so that no two calls of theirs stand in line;
- after a call nothing is asked of Redis for as long again. What a call took includes its waiting, so a Redis
  that is busy with others is asked less;
- its processes have the processor only when nobody else wants it.
Where there is nothing live, as in a Redis that was wiped, nobody is served until the rebuild has ended
(`ALONE`).
"""

import os
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final

from aggregator.applying import apply_calls, packed
from aggregator.fences import FACTS_A_CALL, Backlog
from aggregator.store import Store
from schemas.counters import Generation


def give_way() -> None:
    """From now on, this thread and those it starts run only where a processor has nothing else to do."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


@dataclass(frozen=True, slots=True)
class Pace:
    """How a rebuild calls Redis.

    facts_a_call: at most so many; fewer cost Redis more in all, as each call reads the counts it adds to.
    pause: how long Redis is left alone after a call, as a multiple of what the call took; then calls are in
        turns too. idle: whether the processes `give_way`.
    """

    facts_a_call: int
    pause: float
    idle: bool

    def apply(
        self, store: Store, generation: Generation, backlog: Backlog, turn: AbstractContextManager[object]
    ) -> None:
        """Count a backlog.

        turn: entered for each call; shared by all that must not call at the same time.
        Raises: StoreUnavailableError, GoneError, RolledBackError; any of the calls may or may not have been
        done.
        """
        for call in map(packed, backlog.calls(self.facts_a_call)):
            with turn if self.pause else nullcontext():
                began = time.monotonic()
                apply_calls(store, generation, [call])
                time.sleep(self.pause * (time.monotonic() - began))


GIVING_WAY: Final = Pace(facts_a_call=250, pause=1.0, idle=True)
ALONE: Final = Pace(facts_a_call=FACTS_A_CALL, pause=0.0, idle=False)
