"""What the aggregator measures of itself, for Prometheus.

Law: a counter with labels is born with every value that its labels are known to take, at 0. A series that
is born with its first event hides that event: `increase` sees no step where there was nothing before.
"""

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from aggregator.counting.facts import Refusal, Skipped

Why: TypeAlias = Literal[
    "assigned", "agent", "erased", "error", "gap", "gone", "log", "lost batch", "stalled"
]
"""Why a worker resyncs; a label, so one of a few words."""

RECORDS: Final = Counter("aggregator_records", "Records read from the events topic, by outcome", ["outcome"])
FACTS: Final = Counter("aggregator_facts", "Facts handed to Redis: new ones and repeated ones", ["what"])
DEAD_LETTERS: Final = Counter("aggregator_dead_letters", "Dead letters acknowledged by Kafka", ["reason"])
RESYNCS: Final = Counter("aggregator_resyncs", "Times that counting began anew at the checkpoints", ["why"])
ROLLBACKS: Final = Counter(
    "aggregator_redis_rollbacks", "Times that Redis was found to have gone back in time"
)
REFOLDS: Final = Counter("aggregator_refolds", "Calls of which another worker had counted a part")
LAG_RECORDS: Final = Gauge(
    "aggregator_lag_records", "Records in the topic that are not read yet", ["partition"]
)
LAG_SECONDS: Final = Gauge(
    "aggregator_lag_seconds",
    "Age of the partition's complete-through time, or how long this worker has it where that is shorter",
    ["partition"],
)
READY: Final = Gauge("aggregator_ready", "1 where the worker counts or has no partition to count")
KNOWN_IDS: Final = Gauge(
    "aggregator_known_ids", "Ids of the scopes with most of them, as last reported", ["tenant", "scope"]
)
SCOPES_OF_MANY_IDS: Final = Gauge(
    "aggregator_scopes_of_many_ids", "Scopes of a tenant with IDS_WARNING ids or more that have got new ones"
)
APPLY_SECONDS: Final = Histogram(
    "aggregator_apply_seconds", "From a batch's submission to its acknowledgement"
)

AUDIT: Final = CollectorRegistry()
"""Of the `audit` process alone: it counts nothing, and workers audit nothing."""

AUDIT_MISMATCH: Final = Counter(
    "audit_mismatch", "Cells that differed from a recount of the log", registry=AUDIT
)
AUDIT_COMPARED: Final = Counter("audit_compared", "Days of a tenant that were compared", registry=AUDIT)
AUDIT_GIVEN_UP: Final = Counter(
    "audit_given_up", "Days of a tenant that were too large to be compared", registry=AUDIT
)
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

for _registry in (AUDIT, ARCHIVE):
    ProcessCollector(registry=_registry)  # the other registry, prometheus_client's own, has one


def _bear(counter: Counter, values: Iterable[str]) -> None:
    for value in values:
        counter.labels(value)


_bear(RECORDS, ("counted", *Skipped, *Refusal))
_bear(FACTS, ("new", "repeated"))
_bear(DEAD_LETTERS, Refusal)
_bear(RESYNCS, get_args(Why))
_bear(ARCHIVE_FILES, ("records", "files"))
