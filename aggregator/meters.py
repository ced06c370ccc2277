"""What the aggregator meters, for Prometheus."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

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
