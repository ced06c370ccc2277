"""A name for each request, in its answer (`X-Request-Id`), in its error and in our log lines about it.

It is always of our making: one that a client chose could make two requests look like one in the log.
"""

from typing import Final
from uuid import uuid4

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.shared.traces.spans import note

HEADER: Final = "X-Request-Id"


class NameRequests:
    """ASGI middleware that gives every request its name."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on under its name."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = uuid4().hex
        scope.setdefault("state", {})["request_id"] = name
        note("request.id", name)

        async def signed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = name
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=name):
            await self._app(scope, receive, signed)


def request_id_of(request: Request) -> str:
    """The name of a request."""
    return str(request.state.request_id)
