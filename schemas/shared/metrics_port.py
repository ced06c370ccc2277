"""`METRICS_PORT`: what is for whoever runs a program, on a port of its own.

Where it is set, `/metrics`, `/livez` and `/readyz` are answered there and nothing else is, and `/metrics` is
answered nowhere else: it may name tenants. The other two stay on the public port too, where balancers look.
"""

from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from schemas.shared.problems import problem

METRICS: Final = "/metrics"
OPERATORS: Final = frozenset({METRICS, "/livez", "/readyz"})


class ForOperators:
    """An application of which only the paths for operators are answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; anything else of ASGI goes to the application."""
        known = scope["type"] != "http" or scope["path"] in OPERATORS
        await (self._app if known else _NOWHERE)(scope, receive, send)


class ForEverybody:
    """An application without its metrics."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; anything else of ASGI goes to the application."""
        known = scope["type"] != "http" or scope["path"] != METRICS
        await (self._app if known else _NOWHERE)(scope, receive, send)


_NOWHERE: Final = problem("NOT_FOUND", HTTPStatus.NOT_FOUND, "There is no such path.")
