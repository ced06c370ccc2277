"""What the aggregator measures of itself, for Prometheus.

Law: a counter with labels is born with every value that its labels are known to take, at 0. A series that
is born with its first event hides that event: `increase` sees no step where there was nothing before.
"""

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from aggregator.counting.facts import Refusal, Skipped
from schemas.kinds import FIELDS
from schemas.shared.process_metrics import add_process_metrics

Why: TypeAlias = Literal[
    "assigned", "agent", "erased", "error", "gap", "gone", "log", "lost batch", "stalled"
]
"""Why a worker resyncs; a label, so one of a few words."""

WORKER: Final = CollectorRegistry()
"""Of a worker alone."""

RECORDS: Final = Counter(
    "aggregator_records", "Records read from the events topic, by outcome", ["outcome"], registry=WORKER
)
FACTS: Final = Counter(
    "aggregator_facts", "Facts handed to Redis: new ones and repeated ones", ["what"], registry=WORKER
)
FACTS_BY_KIND: Final = Counter(
    "aggregator_facts_by_kind", "Facts that events told of, repeated ones too", ["kind"], registry=WORKER
)
DEAD_LETTERS: Final = Counter(
    "aggregator_dead_letters", "Dead letters acknowledged by Kafka", ["reason"], registry=WORKER
)
RESYNCS: Final = Counter(
    "aggregator_resyncs", "Times that counting began anew at the checkpoints", ["why"], registry=WORKER
)
ROLLBACKS: Final = Counter(
    "aggregator_redis_rollbacks", "Times that Redis was found to have gone back in time", registry=WORKER
)
REFOLDS: Final = Counter(
    "aggregator_refolds", "Calls of which another worker had counted a part", registry=WORKER
)
LAG_RECORDS: Final = Gauge(
    "aggregator_lag_records",
    "Records in the topic that are not read yet",
    ["partition"],
    registry=WORKER,
)
LAG_SECONDS: Final = Gauge(
    "aggregator_lag_seconds",
    "Age of the partition's complete-through time, or how long this worker has it where that is shorter",
    ["partition"],
    registry=WORKER,
)
READY: Final = Gauge(
    "aggregator_ready", "1 where the worker counts or has no partition to count", registry=WORKER
)
KNOWN_IDS: Final = Gauge(
    "aggregator_known_ids",
    "Ids of the scopes with most of them, as last reported",
    ["tenant", "scope"],
    registry=WORKER,
)
SCOPES_OF_MANY_IDS: Final = Gauge(
    "aggregator_scopes_of_many_ids",
    "Scopes of a tenant with IDS_WARNING ids or more that have got new ones",
    registry=WORKER,
)
APPLY_SECONDS: Final = Histogram(
    "aggregator_apply_seconds", "From a batch's submission to its acknowledgement", registry=WORKER
)
FRESHNESS_SECONDS: Final = Histogram(
    "aggregator_freshness_seconds",
    "From the own time of a batch's latest record to its count in Redis",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200, 86_400),
    registry=WORKER,
)
REDIS_MEMORY: Final = Gauge(
    "aggregator_redis_memory_bytes", "Memory that a node of Redis uses", ["node"], registry=WORKER
)
REDIS_MEMORY_LIMIT: Final = Gauge(
    "aggregator_redis_memory_limit_bytes",
    "Its maxmemory, beyond which it takes no counts; 0: it has none",
    ["node"],
    registry=WORKER,
)

AUDIT: Final = CollectorRegistry()
"""Of the `audit` process alone: it counts nothing, and workers audit nothing."""

AUDIT_MISMATCH: Final = Counter(
    "audit_mismatch", "Cells that differed from a recount of the log", registry=AUDIT
)
AUDIT_COMPARED: Final = Counter("audit_compared", "Days of a tenant that were compared", registry=AUDIT)
AUDIT_LAST_DONE: Final = Gauge(
    "audit_last_done_timestamp_seconds", "When an audit was last brought to its end", registry=AUDIT
)
AUDIT_FIRST: Final = Gauge(
    "audit_first_timestamp_seconds",
    "From when on days are audited, as the log has lost its beginning; 0 where it has not",
    registry=AUDIT,
)

ARCHIVE: Final = CollectorRegistry()
"""Of the `archive` process alone."""

ARCHIVE_RECORDS: Final = Counter(
    "archive_records", "Records in files that were put in place", registry=ARCHIVE
)
ARCHIVE_FILES: Final = Counter(
    "archive_files", "Files that were put in place, by what they are made of", ["of"], registry=ARCHIVE
)
ARCHIVE_LAG_RECORDS: Final = Gauge(
    "archive_lag_records", "Records in the topic that no file holds yet", ["partition"], registry=ARCHIVE
)
ARCHIVE_COMPLETE_THROUGH: Final = Gauge(
    "archive_complete_through_timestamp_seconds",
    "All that was in the topic then is in files; when the process began, before it knows better",
    registry=ARCHIVE,
)

for _program, _registry in (("aggregator", WORKER), ("audit", AUDIT), ("archive", ARCHIVE)):
    add_process_metrics(_program, _registry)


def _bear(counter: Counter, values: Iterable[str]) -> None:
    for value in values:
        counter.labels(value)


_bear(RECORDS, ("counted", *Skipped, *Refusal))
_bear(FACTS, ("new", "repeated"))
_bear(FACTS_BY_KIND, FIELDS)
_bear(DEAD_LETTERS, Refusal)
_bear(RESYNCS, get_args(Why))
_bear(ARCHIVE_FILES, ("records", "files"))
