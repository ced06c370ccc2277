"""A rebuild's calls of the script, in turns: Redis runs one at a time, and serves others in between.

A rebuild is batch work beside a service. While Redis runs a script it serves nobody, so what the API waits
for at worst is the calls that stand before its own. Therefore:
- calls are smaller than those of live counting (`FACTS_A_CALL`);
- all processes of a rebuild take turns, so that no two calls of theirs stand in line;
- after a call nothing is asked of Redis for as long again (`PAUSE`). What a call took includes its waiting,
  so a Redis that is busy with others is asked less;
- its processes have the processor only when nobody else wants it (`give_way`).
"""

import os
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Final

from aggregator.applying import apply_calls, packed
from aggregator.fences import Call
from aggregator.store import Store
from schemas.counters import Generation

FACTS_A_CALL: Final = 1000
"""Of a call of a rebuild; fewer cost Redis more in all, as each call reads the counts that it adds to."""

PAUSE: Final = 1.0
"""How long Redis is left alone after a call, as a multiple of what the call took."""


def give_way() -> None:
    """From now on, this thread and those it starts run only where a processor has nothing else to do."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def apply_in_turns(
    store: Store, generation: Generation, calls: Iterable[Call], turn: AbstractContextManager[object]
) -> None:
    """Count calls in their order, one in each turn.

    turn: entered for each call; shared by all that must not call at the same time.
    Raises: StoreUnavailableError, GoneError, RolledBackError; any of the calls may or may not have been done.
    """
    for call in calls:
        argument = packed(call)
        with turn:
            began = time.monotonic()
            apply_calls(store, generation, [argument])
            time.sleep(PAUSE * (time.monotonic() - began))
