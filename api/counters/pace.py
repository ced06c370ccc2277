"""When the steps of an answer are taken: a promise to whoever reads, kept by `api.sharing.work`."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final, Protocol, TypeVar

T = TypeVar("T")


class Pace(Protocol):
    """How the work for one answer goes on beside that for others."""

    def step(self) -> AbstractAsyncContextManager[None]:
        """Wait until something may be read from Redis; it is read within the block."""

    def run(self, work: Callable[[], T]) -> Awaitable[T]:
        """Run what takes a while and does no I/O, when it may be. Returns, or raises, what the work does."""


class AtOnce:
    """The pace of what is short: nothing waits."""

    def step(self) -> AbstractAsyncContextManager[None]:
        """See `Pace`."""
        return nullcontext()

    async def run(self, work: Callable[[], T]) -> T:
        """See `Pace`. It holds up all others meanwhile."""
        return work()


AT_ONCE: Final = AtOnce()
