"""A name for each request, in its answer (`X-Request-Id`), in its error and in our log lines about it.

It is always of our making: one that a client chose could make two requests look like one in the log.
"""

import os
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars

from schemas.shared.traces.spans import note

HEADER: Final = "X-Request-Id"
BYTES: Final = 16
"""Random ones, in hexadecimal."""

_NAME: Final = HEADER.lower().encode()


class NameRequests:
    """ASGI middleware that gives every request its name."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on under its name."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = os.urandom(BYTES).hex()
        scope.setdefault("state", {})["request_id"] = name
        note("request.id", name)

        async def signed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (_NAME, name.encode())]
            await send(message)

        bound = bind_contextvars(request_id=name)
        try:
            await self._app(scope, receive, signed)
        finally:
            reset_contextvars(**bound)


def request_id_of(request: Request) -> str:
    """The name of a request."""
    return str(request.state.request_id)
