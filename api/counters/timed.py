"""How long Redis takes for the steps of an answer, beside whatever pace they go at."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from prometheus_client import Histogram

from api.counters.pace import Pace
from schemas.shared.traces.spans import step

T = TypeVar("T")


class Timed:
    """A pace of which it is noted how long Redis took, without the waiting for a turn."""

    def __init__(self, pace: Pace, seconds: Histogram) -> None:
        """seconds: takes how long each step took."""
        self._pace = pace
        self._seconds = seconds

    @asynccontextmanager
    async def step(self) -> AsyncIterator[None]:
        """See `Pace`."""
        async with self._pace.step():
            with step("read redis"), self._seconds.time():
                yield

    def run(self, work: Callable[[], T]) -> Awaitable[T]:
        """See `Pace`."""
        return self._pace.run(work)
