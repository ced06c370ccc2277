"""The front door: queries of the metrics routes are answered here, all else goes the framework's way.

What FastAPI has around its routes (its exit stack, telemetry, body limits, handlers of errors, the trial of
each route in turn) does nothing for a GET of ours, and took an eighth of an answer. So what is a query goes
straight to its route, in the same names and measures as all other requests. What is no GET, and what is no
path of ours, goes on to the framework, which refuses it.
"""

import re
from collections.abc import Sequence
from typing import Final

from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import ApiError
from api.http.problems import defect, problem_of
from api.http.request_ids import NameRequests
from api.http.routes import MetricsRoute
from api.metrics import ApiMetrics, MeasureRequests

ROUTE: Final = "route"
"""Where a request has its route, as with the framework's."""


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        await scope[ROUTE].handle(scope, receive, send)
    except ApiError as error:
        await problem_of(Request(scope), error)(scope, receive, send)


class Front:
    """ASGI: the metrics routes, before an application that has them too."""

    def __init__(self, routes: Sequence[MetricsRoute], metrics: ApiMetrics, others: ASGIApp) -> None:
        """routes: those without names in their paths come first; others: answers what is none of theirs."""
        self._plain = {route.path: route for route in routes if not route.param_convertors}
        self._patterns: list[tuple[re.Pattern[str], MetricsRoute]] = [
            (route.path_regex, route) for route in routes if route.param_convertors
        ]
        self._answer = ServerErrorMiddleware(
            NameRequests(MeasureRequests(_answer, metrics)),
            handler=defect,
        )
        self.others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a query, or pass on what is none."""
        is_ours = scope["type"] == "http" and scope["method"] == "GET" and self._finds_route(scope)
        await (self._answer if is_ours else self.others)(scope, receive, send)

    def _finds_route(self, scope: Scope) -> bool:
        """Whether there is a route of that path, which the request then knows, and what the path names."""
        path: str = scope["path"]
        route, named = self._plain.get(path), {}
        if route is None:
            for pattern, of_pattern in self._patterns:
                if found := pattern.match(path):
                    route, named = of_pattern, found.groupdict()
                    break
            else:
                return False
        scope[ROUTE], scope["path_params"] = route, named
        return True
