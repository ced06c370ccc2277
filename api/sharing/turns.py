"""Whose turn it is: one at a time, and tenants one after the other, however many of one wait.

Law: who waits gets a turn after at most one of each other tenant for each of its own tenant that came before.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Who waits, in the order in which they get their turn. Pure."""

    def __init__(self) -> None:
        self._of_tenants: dict[str, deque[T]] = {}  # in the order of their turns

    def put(self, tenant: str, who: T) -> None:
        """One more waits, behind the others of its tenant; a tenant of whom nobody waited is the last."""
        self._of_tenants.setdefault(tenant, deque()).append(who)

    def get(self) -> T | None:
        """Who is next; none where nobody waits. Its tenant is the last then."""
        if not self._of_tenants:
            return None
        tenant = next(iter(self._of_tenants))
        waiting = self._of_tenants.pop(tenant)
        who = waiting.popleft()
        if waiting:
            self._of_tenants[tenant] = waiting
        return who


class Turns:
    """Has one coroutine at a time go on."""

    def __init__(self) -> None:
        self._is_taken = False
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()

    @asynccontextmanager
    async def turn(self, tenant: str) -> AsyncIterator[None]:
        """Wait for a turn of a tenant, and have it for as long as the block lasts."""
        if self._is_taken:
            mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.put(tenant, mine)
            try:
                await mine
            except asyncio.CancelledError:
                if not mine.cancelled():  # it had just been given
                    self._pass_on()
                raise
        self._is_taken = True
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        while (following := self._waiting.get()) is not None:
            if not following.done():  # else whoever waited is gone
                following.set_result(None)
                return
        self._is_taken = False
