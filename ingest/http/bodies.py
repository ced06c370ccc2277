"""The bodies in memory: how many bytes of them there may be, and which is dropped for others.

Law: a body's first `FREE_BYTES` are always taken (nearly every event of SES is shorter), so that nobody who
sends large bodies keeps small ones out; their sum is bounded by the number of connections. Beyond that, all
bodies together have `BUDGET_BYTES`, from their arrival until their delivery is answered. Where that is
spent, the body that has been arriving for the longest is dropped: SNS sends one in a moment, who holds one
back on purpose does not. Where none is arriving any more, the newcomer is answered 503.
"""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from ingest.errors import Busy, TooLarge, TooSlow

BODY_MAX_BYTES: Final = 1_048_576
BODY_SECONDS: Final = 5.0
"""For the whole body. The server bounds the time for headers (`schemas.shared.server`)."""

FREE_BYTES: Final = 16_384
BUDGET_BYTES: Final = 33_554_432


class Bodies:
    """The budget, and the bodies that have a share of it. Used from one event loop."""

    def __init__(self) -> None:
        """Nothing is spent yet."""
        self._spent = 0
        self._arriving: dict[Body, asyncio.Timeout] = {}
        """Bodies with a share that have not come whole yet, the one with the oldest share first."""

    def body(self) -> "Body":
        """Room for the body of one delivery, to be used within `with` until the delivery is answered."""
        return Body(self)

    def _spend(self, body: "Body", number: int, limit: asyncio.Timeout) -> None:
        self._arriving.setdefault(body, limit)
        while self._spent + number > BUDGET_BYTES:
            oldest, its_limit = next(iter(self._arriving.items()))
            if oldest is body:
                raise _busy()
            self._give_back(oldest)
            oldest.dropped = True
            its_limit.reschedule(asyncio.get_running_loop().time())
        self._spent += number
        body.share += number

    def _arrived(self, body: "Body") -> None:
        self._arriving.pop(body, None)

    def _give_back(self, body: "Body") -> None:
        self._arriving.pop(body, None)
        self._spent -= body.share
        body.share = 0


class Body:
    """The body of one delivery."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self.share = 0
        self.dropped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bodies._give_back(self)

    async def read(self, headers: Mapping[str, str], receive: Receive) -> bytearray:
        """The body, read no further than it may be long, and no longer than it may take.

        headers, receive: of the request (ASGI). A body that has its declared length is complete: the server
        is not asked again for an end that holds nothing, as each time that it is asked two threads have to
        be woken.
        Raises: TooLarge, TooSlow, Busy; ClientDisconnect where the client left.
        """
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > BODY_MAX_BYTES:
            raise TooLarge("too_large", f"The body is larger than {BODY_MAX_BYTES} bytes.")
        body = bytearray()
        more = True
        try:
            async with asyncio.timeout(BODY_SECONDS) as limit:
                while more and str(len(body)) != declared:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnect
                    if self.dropped:
                        raise _busy()
                    body += message.get("body", b"")
                    if len(body) > BODY_MAX_BYTES:
                        raise TooLarge("too_large", f"The body is larger than {BODY_MAX_BYTES} bytes.")
                    if len(body) > FREE_BYTES + self.share:
                        self._bodies._spend(self, len(body) - FREE_BYTES - self.share, limit)
                    more = message.get("more_body", False)
        except TimeoutError:
            if self.dropped:
                raise _busy() from None
            raise TooSlow("too_slow", f"The body did not arrive within {BODY_SECONDS:g} s.") from None
        self._bodies._arrived(self)
        return body


def _busy() -> Busy:
    return Busy("busy", "Too many large bodies are on their way.")
