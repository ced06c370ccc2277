"""The health of one tenant after the other, over the last days of UTC.

A day of a tenant is two packed counters, of which nothing is kept, so that memory does not grow with tenants
and what answers are made of stays where it is.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final

from api.counters.lanes import all_tenants
from api.counters.reader import CounterReader
from api.query.query import Needs
from api.query.rollup import families_of
from api.sender_health import COUNTED, Health, Status, health_of
from schemas.instants import DAY_MS

AT_ONCE: Final = 20
"""Tenants that are read together: few enough that requests beside them do not wait."""

WORST: Final[tuple[Status, ...]] = ("critical", "warning", "healthy", "insufficient_data")


@dataclass(frozen=True, slots=True)
class Sender:
    """A tenant, its counts of the fields that health follows from, and its health."""

    tenant: str
    counts: Mapping[str, int]
    health: Health

    @property
    def sent(self) -> int:
        """How big it is."""
        return self.counts["sent"]

    @property
    def status(self) -> Status:
        """The worse of its two."""
        both = self.health["bounce"]["status"], self.health["complaint"]["status"]
        return min(both, key=WORST.index)


def last_days(now_ms: int, days: int) -> range:
    """The day that runs and those before it, so many in all, since 1970."""
    today = now_ms // DAY_MS
    return range(today - days + 1, today + 1)


async def sender(reader: CounterReader, tenant: str, days: range) -> Sender:
    """One tenant. Raises: ApiError UNAVAILABLE."""
    totals = await reader.totals(tenant, Needs(days=[days], families=families_of(COUNTED)))
    counts = {field: totals[field] for field in COUNTED}
    return Sender(tenant, counts, health_of(**counts))


async def senders(reader: CounterReader, days: range) -> AsyncIterator[list[Sender]]:
    """All tenants that have counters, some at a time, in no order. Raises: ApiError UNAVAILABLE."""
    async for tenants in all_tenants(reader):
        for at in range(0, len(tenants), AT_ONCE):
            some = tenants[at : at + AT_ONCE]
            yield list(await asyncio.gather(*(sender(reader, tenant, days) for tenant in some)))
