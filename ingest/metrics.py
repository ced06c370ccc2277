"""What ingest measures of itself, for Prometheus. Names are an outside contract: dashboards use them."""

from prometheus_client import CollectorRegistry, Counter, Histogram


class Metrics:
    """The metrics of one app, in a registry of their own.

    deliveries: requests to the webhook by outcome; publishing: seconds until Kafka had the record, those that
    it got; calls: calls to SNS by purpose and whether they succeeded.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.deliveries = Counter(
            "ingest_deliveries",
            "Requests to the webhook, by what became of them",
            ["outcome"],
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
