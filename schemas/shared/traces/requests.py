"""A request as the root of its trace, or as a part of its client's."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.shared.metrics_port import OPERATORS
from schemas.shared.traces.spans import Tracer, tracer

PARENT: Final = ("traceparent", "tracestate")
"""The headers of W3C Trace Context."""

NOBODY: Final[Mapping[str, str]] = {}


def traced(app: ASGIApp, *, follows: bool) -> ASGIApp:
    """The application, whose requests are traced where traces are kept; otherwise as it is.

    follows: whether a request joins the trace that its headers name.
    """
    keeper = tracer()
    return app if keeper is None else TraceRequests(app, keeper, follows=follows)


class TraceRequests:
    """An application whose requests are traced, but for those of probes and of Prometheus."""

    def __init__(self, app: ASGIApp, keeper: Tracer, *, follows: bool) -> None:
        self._app = app
        self._tracer = keeper
        self._follows = follows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on within its trace."""
        if scope["type"] != "http" or scope["path"] in OPERATORS:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        parent = {name: headers[name] for name in PARENT if name in headers} if self._follows else NOBODY
        status = int(HTTPStatus.INTERNAL_SERVER_ERROR)

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._tracer.request(scope["method"], parent):
            try:
                await self._app(scope, receive, watch)
            finally:
                route = getattr(scope.get("route"), "path_format", None)
                if route is not None:  # a path itself would make names without end
                    self._tracer.rename(f"{scope['method']} {route}")
                    self._tracer.note({"http.route": route})
                self._tracer.note({"http.response.status_code": status})
