"""Few calls at a time, and none that hangs keeps a place from those that come after it.

Anybody who knows the ARN of a topic can ask for calls. So while others wait, a call that has had its
`patience` gives its place up, and the place goes to whom asked last: who asked before has had a chance, and a
line that strangers fill is no line to stand in. What is asked for again and again, as the certificate of all
true messages is, comes to the front each time.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class PreemptedError(Exception):
    """The call was ended, as it took longer than it may while others wait. A later one may do better."""


class Places:
    """A number of places. Used from one event loop."""

    def __init__(self, number: int, patience_s: float) -> None:
        """number: of calls at a time. patience_s: seconds for which one keeps its place while others wait."""
        self._number = number
        self._patience_s = patience_s
        self._held: dict[asyncio.Timeout, float] = {}
        self._line: dict[str, asyncio.Future[None]] = {}
        """Who waits, by what for; the last is the next."""

    @asynccontextmanager
    async def take(self, name: str) -> AsyncIterator[None]:
        """Hold a place, once there is one, for what is done inside.

        name: what for; not more than one at a time may wait for the same.
        Raises: PreemptedError out of what is done inside.
        """
        loop = asyncio.get_running_loop()
        while len(self._held) >= self._number:
            turn = loop.create_future()
            self._line[name] = turn
            self._hurry()
            try:
                await turn
            except asyncio.CancelledError:
                if self._line.get(name) is turn:
                    del self._line[name]
                else:  # called in the same moment
                    self._call_next()
                raise
        limit = asyncio.timeout(None)
        try:
            async with limit:
                self._held[limit] = loop.time()
                if self._line:
                    self._hurry()
                yield
        except TimeoutError:
            if limit.expired():
                raise PreemptedError from None
            raise
        finally:
            self._held.pop(limit, None)
            self._call_next()

    def ask_again(self, name: str) -> None:
        """Somebody else wants what waits under that name, if anything does: it is the next."""
        if name in self._line:
            self._line[name] = self._line.pop(name)

    def _hurry(self) -> None:
        """Somebody waits: bound the time of those who hold a place."""
        for limit, since in self._held.items():
            if limit.when() is None:
                limit.reschedule(since + self._patience_s)

    def _call_next(self) -> None:
        while self._line:
            _, turn = self._line.popitem()
            if not turn.done():
                turn.set_result(None)
                return
