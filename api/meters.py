"""What the API tells Prometheus about itself."""

import time
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NO_ROUTE: Final = "none"
"""The label of paths that no route knows: a path itself would make labels without end."""


class Meters:
    """The numbers of one application, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "api_requests_total",
            "Requests that were answered.",
            ["route", "status"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "api_request_seconds", "From request to answer.", ["route"], registry=self.registry
        )
        self.redis_seconds = Histogram(
            "api_redis_read_seconds", "Reads from Redis for one answer.", registry=self.registry
        )
        self.keys_followed = Gauge(
            "api_keys_followed",
            "1: every key and every revocation is heard of; 0: the topic of keys cannot be read.",
            registry=self.registry,
        )
        self.keys_unreadable = Gauge(
            "api_keys_unreadable_records",
            "Records of the topic of keys that cannot be read, and open nothing.",
            registry=self.registry,
        )


class MeterRequests:
    """ASGI middleware that counts every request, also those that fail."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app = app
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and count it once it was answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        started = time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            route = getattr(scope.get("route"), "path_format", NO_ROUTE)
            self._meters.requests.labels(route, status).inc()
            self._meters.request_seconds.labels(route).observe(time.perf_counter() - started)
