"""What ingest measures of itself, for Prometheus. Names are an outside contract: dashboards use them.

Law: a counter is born with every value that its labels can take, at 0. A series that is born with its first
event hides that event: `increase` sees no step where there was nothing before.
"""

from collections.abc import Mapping
from itertools import product
from typing import Final, Literal, TypeAlias, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ingest.errors import Reason
from schemas.shared.process_metrics import PROCESS_GAUGES, add_process_metrics
from schemas.shared.processes.exposition import Rule

Taken: TypeAlias = Literal["stored", "confirmed", "unsubscribed", "test"]
"""What became of a delivery that was answered with 200."""

DISCONNECTED = "disconnected"
"""What became of one whose client left before its body had come."""


GAUGES: Final[Mapping[str, Rule]] = {
    **PROCESS_GAUGES,
    "ingest_build_info": "max",
    "ingest_ready": "min",
    "ingest_deliveries_in_flight": "sum",
}
"""What each gauge is where several processes are one program: `ready` is as good as the worst of them."""


class IngestMetrics:
    """The metrics of one app, in a registry of their own.

    ready: whether Kafka could be reached when that was asked last; deliveries: requests to the webhook by
    outcome; in_flight: those that are not answered yet; storing: seconds from the request's line and headers
    until Kafka had the record, publishing: the last part of that, of those that it got; calls: calls to SNS
    by purpose and whether they succeeded.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        add_process_metrics("ingest", self.registry)
        self.ready = Gauge("ingest_ready", "1 where the events topic can be reached", registry=self.registry)
        self.deliveries = Counter(
            "ingest_deliveries",
            "Requests to the webhook, by what became of them",
            ["outcome"],
            registry=self.registry,
        )
        for outcome in (*get_args(Taken), *get_args(Reason), DISCONNECTED):
            self.deliveries.labels(outcome)
        self.in_flight = Gauge(
            "ingest_deliveries_in_flight",
            "Requests to the webhook that are not answered yet",
            registry=self.registry,
        )
        self.storing = Histogram(
            "ingest_delivery_seconds",
            "Time from a request to the webhook until Kafka acknowledged its record",
            registry=self.registry,
        )
        self.publishing = Histogram(
            "ingest_publish_seconds",
            "Time until Kafka acknowledged a record",
            registry=self.registry,
        )
        self.calls = Counter(
            "ingest_sns_calls",
            "Calls to SNS for a certificate or to confirm a subscription",
            ["purpose", "result"],
            registry=self.registry,
        )
        for purpose, result in product(("certificate", "confirmation"), ("ok", "failed")):
            self.calls.labels(purpose, result)
