"""What the aggregator meters, for Prometheus."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

RECORDS: Final = Counter("aggregator_records", "Records read from the events topic, by outcome", ["outcome"])
FACTS: Final = Counter("aggregator_facts", "Facts handed to Redis: new ones and repeated ones", ["what"])
DEAD_LETTERS: Final = Counter("aggregator_dead_letters", "Dead letters acknowledged by Kafka", ["reason"])
BEGINS: Final = Counter("aggregator_begins", "Times that counting began again at the fences", ["why"])
ROLLBACKS: Final = Counter(
    "aggregator_redis_rollbacks", "Times that Redis was found to have gone back in time"
)
REFOLDS: Final = Counter("aggregator_refolds", "Calls of which another worker had counted a part")
LAG_RECORDS: Final = Gauge(
    "aggregator_lag_records", "Records in the topic that are not read yet", ["partition"]
)
LAG_SECONDS: Final = Gauge(
    "aggregator_lag_seconds", "Age of the partition's complete-through time", ["partition"]
)
READY: Final = Gauge("aggregator_ready", "1 where the worker counts or has no partition to count")
APPLY_SECONDS: Final = Histogram(
    "aggregator_apply_seconds", "From a batch's hand-over to its acknowledgement"
)

AUDIT: Final = CollectorRegistry()
"""Of the `audit` process alone: it counts nothing, and workers audit nothing."""

AUDIT_MISMATCH: Final = Counter(
    "audit_mismatch", "Cells that differed from a recount of the log", registry=AUDIT
)
AUDIT_TENANT_DAYS: Final = Counter("audit_tenant_days", "Days of a tenant that were compared", registry=AUDIT)
AUDIT_GIVEN_UP: Final = Counter(
    "audit_given_up", "Days of a tenant that were too large to be compared", registry=AUDIT
)
AUDIT_LAST_DONE: Final = Gauge(
    "audit_last_done_timestamp_seconds", "When an audit was last brought to its end", registry=AUDIT
)
