"""How long Redis takes for the steps of an answer, beside whatever pace they go at."""

import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
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

    def step(self) -> AbstractAsyncContextManager[None]:
        """See `Pace`."""
        return _TimedStep(self._pace.step(), self._seconds)

    def run(self, work: Callable[[], T]) -> Awaitable[T]:
        """See `Pace`."""
        return self._pace.run(work)


class _TimedStep(AbstractAsyncContextManager[None]):
    """A turn, and how long it takes once it has come. A generator would cost more than all it does."""

    __slots__ = ("_began_s", "_seconds", "_span", "_turn")

    def __init__(self, turn: AbstractAsyncContextManager[None], seconds: Histogram) -> None:
        self._turn = turn
        self._seconds = seconds

    async def __aenter__(self) -> None:
        await self._turn.__aenter__()
        self._span = step("read redis")
        self._span.__enter__()
        self._began_s = time.perf_counter()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._seconds.observe(time.perf_counter() - self._began_s)
            self._span.__exit__(kind, error, trace)
        finally:
            await self._turn.__aexit__(kind, error, trace)
