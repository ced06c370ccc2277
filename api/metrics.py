"""What the API reports to Prometheus about itself.

Law: a counter is born with every value that its labels can take, at 0. A series that is born with its first
event hides that event: `increase` sees no step where there was nothing before.
"""

import time
from collections.abc import Iterable, Mapping
from functools import cache
from http import HTTPStatus
from itertools import product
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import ERRORS
from schemas.shared.process_metrics import PROCESS_GAUGES, add_process_metrics
from schemas.shared.processes.exposition import Rule
from schemas.shared.processes.together import BY_A_PROCESS

NO_ROUTE: Final = "none"
"""The label of paths that no route knows: a path itself would make labels without end."""

STATUSES: Final = sorted({HTTPStatus.OK, HTTPStatus.NOT_MODIFIED, *(error.status for error in ERRORS)})

GAUGES: Final[Mapping[str, Rule]] = {
    **PROCESS_GAUGES,
    "api_build_info": "max",
    "api_requests_in_flight": "sum",
    "api_keys_followed": "min",
    "api_keys_unreadable_records": "max",
    "api_keys_known": "min",
    "api_keys_next_offset": "min",
    "api_keys_lag_records": "max",
    "api_keys_heard_timestamp_seconds": "min",
    "api_ready": "min",
    "api_complete_through_timestamp_seconds": "min",
    "api_tenant_health": "max",
    "api_tenant_rate": "max",
    "api_tenant_health_seen_timestamp_seconds": "max",
}
"""What each gauge is where several processes are one program: as the worst of them sees it.

The health of tenants is read by the first process alone.
"""


class ApiMetrics:
    """The numbers of one application, in a registry of its own.

    ready, complete_through: as last seen by `api.http.lookout`.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        add_process_metrics("api", self.registry)
        self.requests = Counter(
            "api_requests_total",
            "Requests that were answered.",
            ["route", "status"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "api_request_seconds", "From request to answer.", ["route"], registry=self.registry
        )
        self.in_flight = Gauge(
            "api_requests_in_flight",
            "Requests that are being answered, this one too.",
            registry=self.registry,
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
        self.keys_known = Gauge(
            "api_keys_known",
            "Keys that the topic of keys tells of, revoked ones too.",
            registry=self.registry,
        )
        self.keys_next_offset = Gauge(
            "api_keys_next_offset",
            "Offset of the topic of keys below which every record is known.",
            registry=self.registry,
        )
        self.keys_lag = Gauge(
            "api_keys_lag_records",
            "Records of the topic of keys that are not known yet, as far as Kafka has told.",
            registry=self.registry,
        )
        self.keys_heard = Gauge(
            "api_keys_heard_timestamp_seconds",
            "Up to when every key and every revocation is known; 0 before the topic was read to its end.",
            registry=self.registry,
        )
        self.ready = Gauge(
            "api_ready", "1 where the keys and the counters of all lanes can be read.", registry=self.registry
        )
        self.complete_through = Gauge(
            "api_complete_through_timestamp_seconds",
            "Up to when a partition is counted in all lanes, as last read; 0 where that is not known.",
            ["partition"],
            registry=self.registry,
        )

    def bear(self, paths: Iterable[str]) -> None:
        """Begin to count the requests of some routes. Called once, with the paths of all that are counted."""
        for path, status in product((*sorted(paths), NO_ROUTE), STATUSES):
            self.requests.labels(path, int(status))


class TenantMetrics:
    """What is told of tenants, in the registry of an application; only where it was asked for."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.health = Gauge(
            "api_tenant_health",
            "0: healthy, 1: warning, 2: critical, over the last 7 days; of the tenants that sent most.",
            ["tenant", "rate"],
            registry=registry,
        )
        self.rate = Gauge(
            "api_tenant_rate",
            "The rate that it goes by: bounce is bounced_hard / sent, complaint is complained / delivered.",
            ["tenant", "rate"],
            registry=registry,
        )
        self.seen = Gauge(
            "api_tenant_health_seen_timestamp_seconds",
            "When the health of all tenants was last read; 0 before.",
            registry=registry,
        )


class MeasureRequests:
    """ASGI middleware that counts every request of a client, also those that fail."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics) -> None:
        self._app = app
        self._in_flight = metrics.in_flight
        # Series are looked up by the texts of all their labels, under a lock; of these there are few.
        self._count = cache(metrics.requests.labels)
        self._seconds = cache(metrics.request_seconds.labels)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and count it once it was answered."""
        if scope["type"] != "http" or BY_A_PROCESS in scope:
            await self._app(scope, receive, send)
            return
        status = 500
        started = time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._in_flight.inc()
        try:
            await self._app(scope, receive, watch)
        finally:
            self._in_flight.dec()
            route = getattr(scope.get("route"), "path_format", NO_ROUTE)
            self._count(route, status).inc()
            self._seconds(route).observe(time.perf_counter() - started)
