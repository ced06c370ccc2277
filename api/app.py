"""Puts the API together: the metrics routes, their documentation, the page, health, and its own metrics."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from anyio import to_thread
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from api import page
from api.clock import now_ms
from api.config import ApiSettings, rate_limit_of
from api.counters.connection import connect
from api.counters.reader import CounterReader
from api.http import openapi
from api.http.front import Front
from api.http.health import add_health
from api.http.problems import refuse_as_problems
from api.http.request_ids import NameRequests
from api.http.routes import MetricsRoute, metrics_routes
from api.http.service import Service
from api.keys.source import KeySource
from api.metrics import ApiMetrics, MeasureRequests, TenantMetrics
from api.page import docs
from api.senders.watch import Watch
from api.sharing.rate_limit import RateLimit


class Api(FastAPI):
    """FastAPI with the metrics routes before it, which it describes.

    By itself it would describe its own kind alone.
    """

    front: Front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; or whatever else the server has for an application."""
        await self.front(scope, receive, send)

    def stand_behind(self, routes: Sequence[MetricsRoute], metrics: ApiMetrics) -> None:
        """Have those routes answer first. Called once."""
        self.front = Front(routes, metrics, super().__call__)

    def openapi(self) -> dict[str, Any]:
        """The description, as JSON; written once."""
        if self.openapi_schema is None:
            metrics = [route for route in self.routes if isinstance(route, MetricsRoute)]
            self.openapi_schema = openapi.document({route.path_format: route.operation for route in metrics})
        return self.openapi_schema


def create_app(
    settings: ApiSettings, *, keys: KeySource, clock: Callable[[], int] = now_ms, first: bool = True
) -> FastAPI:
    """The application: `python -m api` and the tests enter here.

    settings: which Redis is read; keys: where API keys come from; clock: the time in milliseconds since 1970;
    first: whether it is the first process of its program, which alone watches tenants.
    """
    reader = CounterReader(connect(settings.redis_reads))
    metrics = ApiMetrics()
    metrics.keys_followed.set_function(lambda: keys.loaded and keys.trouble is None)
    metrics.keys_unreadable.set_function(lambda: keys.unreadable)
    metrics.keys_known.set_function(lambda: len(keys.table))
    metrics.keys_next_offset.set_function(lambda: keys.next_offset)
    metrics.keys_lag.set_function(lambda: keys.unread)
    metrics.keys_heard.set_function(lambda: keys.heard_ms / 1000)
    watch = None
    if settings.health_metrics and first:
        watch = Watch(reader, TenantMetrics(metrics.registry), clock)
    service = Service(reader, keys, RateLimit(rate_limit_of(settings.rate_limit)), metrics, clock)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        keys.start()
        watching = None if watch is None else asyncio.create_task(watch.run())
        yield
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        await to_thread.run_sync(keys.stop)
        await reader.close()

    app = Api(lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.add_middleware(MeasureRequests, metrics=metrics)
    app.add_middleware(NameRequests)
    refuse_as_problems(app)
    routes = metrics_routes(service)
    app.router.routes += routes  # it describes them, and refuses what is no GET
    app.stand_behind(routes, metrics)
    docs.add_to(app)
    page.add_to(app, settings.page_notice)
    add_health(app, reader, keys, metrics)
    counted = [route for route in app.routes if isinstance(route, APIRoute | MetricsRoute)]
    metrics.bear(route.path_format for route in counted)
    return app
