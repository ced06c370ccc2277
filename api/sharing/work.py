"""How much of us one tenant may have: what all its keys have under way, and the order of what is long.

A query has a cost (`api.sharing.costs`). Short work is done at once, by the event loop. Long work is done
step by step beside it, in a thread, and each step waits for its turn (`api.sharing.turns`), so that tenants
have steps one after the other, however much one of them asks. What is very long has turns of its own, as one
step of it may take as long as all steps of another answer.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeVar

from anyio import to_thread

from api.counters.pace import AT_ONCE, Pace
from api.errors import RATE_LIMITED, ApiError
from api.sharing.costs import UNDER_WAY
from api.sharing.turns import Turns

T = TypeVar("T")

SHORT: Final = 2
"""The cost up to which a query is answered within a few milliseconds of the processor."""

LONG: Final = 20
"""The cost up to which it is answered within some twenty."""

WAIT_S: Final = 1.0
"""For how long a query waits for room. Who is refused at once and asks again at once would cost us more."""

AGAIN_S: Final = 1
"""After how many seconds it is worth to ask again."""

POLICY: Final = '"tenant"'
"""The name of the policy: all keys of a tenant share it."""


class _InTurn:
    """The pace of a tenant's long work."""

    def __init__(self, turns: Turns, tenant: str) -> None:
        self._turns = turns
        self._tenant = tenant

    def step(self) -> AbstractAsyncContextManager[None]:
        """See `Pace`."""
        return self._turns.turn(self._tenant)

    async def run(self, work: Callable[[], T]) -> T:
        """See `Pace`."""
        async with self._turns.turn(self._tenant):
            return await to_thread.run_sync(work)


class Work:
    """What is under way in one process."""

    def __init__(self) -> None:
        self._costs: dict[str, int] = {}
        self._waiting: dict[str, deque[tuple[int, asyncio.Future[None]]]] = {}
        self._long = Turns()
        self._very_long = Turns()

    async def understand(self, tenant: str, read: Callable[[], T]) -> T:
        """Read a query that takes long to understand, in a turn of its tenant; its cost is not known yet."""
        return await _InTurn(self._very_long, tenant).run(read)

    async def enter(self, tenant: str, cost: int) -> Pace:
        """Take a query in, which is under way until `leave`.

        Where the tenant has too much under way it waits for room, behind the others of its tenant. A tenant
        that has nothing under way always has room: who asks one thing at a time is never refused.
        Returns: the pace of the work for it.
        Raises: ApiError RATE_LIMITED where there was no room for `WAIT_S`.
        """
        if tenant in self._waiting or not self._has_room(tenant, cost):
            await self._room(tenant, cost)
        else:
            self._count(tenant, cost)
        return self._pace(tenant, cost)

    def leave(self, tenant: str, cost: int) -> None:
        """A query that was taken in is answered, or never will be: what it cost is room again."""
        left = self._costs.pop(tenant) - cost
        if left:
            self._costs[tenant] = left
        self._let_in(tenant)

    def _has_room(self, tenant: str, cost: int) -> bool:
        before = self._costs.get(tenant, 0)
        return not before or before + cost <= UNDER_WAY

    def _count(self, tenant: str, cost: int) -> None:
        self._costs[tenant] = self._costs.get(tenant, 0) + cost

    async def _room(self, tenant: str, cost: int) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append((cost, mine))
        try:
            await asyncio.wait((mine,), timeout=WAIT_S)
        except asyncio.CancelledError:
            if mine.cancel():
                self._let_in(tenant)
            else:  # it had just been let in
                self.leave(tenant, cost)
            raise
        if mine.cancel():
            self._let_in(tenant)
            raise _refusal(cost, self._costs.get(tenant, 0))

    def _let_in(self, tenant: str) -> None:
        """Let in those of a tenant who wait and have room now; who is gone is forgotten."""
        waiting = self._waiting.get(tenant, deque())
        while waiting and (waiting[0][1].done() or self._has_room(tenant, waiting[0][0])):
            cost, who = waiting.popleft()
            if not who.done():
                self._count(tenant, cost)
                who.set_result(None)
        if not waiting:
            self._waiting.pop(tenant, None)

    def _pace(self, tenant: str, cost: int) -> Pace:
        if cost <= SHORT:
            return AT_ONCE
        return _InTurn(self._long if cost <= LONG else self._very_long, tenant)


def _refusal(cost: int, before: int) -> ApiError:
    return ApiError(
        RATE_LIMITED,
        f"This query costs {cost}, and those of this tenant that are being answered cost {before}: at most "
        f"{UNDER_WAY} together are taken. Ask less at the same time, or again in {AGAIN_S} s.",
        headers={
            "RateLimit-Policy": f"{POLICY};q={UNDER_WAY}",
            "RateLimit": f"{POLICY};r={max(0, UNDER_WAY - before)};t={AGAIN_S}",
            "Retry-After": str(AGAIN_S),
        },
    )
