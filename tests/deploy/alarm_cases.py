"""What the parts measure in good hours and in bad ones, and which alarms must ring then.

A world is a table of series as Prometheus would have scraped them every 15 s from time 0 on, in the notation
of `promtool test rules`: `0+15x4` is 0 15 30 45 60, `1x4` five times 1, `_` no sample, `stale` the end of a
series, as at a failed scrape. `HEALTHY` is one of parts that were all started a moment before the first
scrape: processes at time 0, counters at 0. A case changes some of its series and names the alarms that must
ring at some minutes; all others must not.

Long because it is one table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

SCRAPES = 4 * 60 * 5
"""Five hours."""

World = Mapping[str, str | None]
"""Series and their values; None takes a series of the healthy world away."""

PLACES = {
    "ingest": ("ingest:8081",),
    "aggregator": ("aggregator:8082", "aggregator2:8082"),
    "api": ("api:8080",),
    "audit": ("audit:8083",),
    "archive": ("archive:8084",),
}
PARTITIONS = {"aggregator:8082": (0, 1), "aggregator2:8082": (2, 3)}


def series(name: str, instance: str, **labels: object) -> str:
    """A series as it is written, with the job and the instance that Prometheus adds."""
    job = next(job for job, places in PLACES.items() if instance in places)
    text = ",".join(f'{key}="{value}"' for key, value in {"job": job, "instance": instance, **labels}.items())
    return f"{name}{{{text}}}"


WORKER, OTHER = PLACES["aggregator"]
INGEST, API, AUDIT = PLACES["ingest"][0], PLACES["api"][0], PLACES["audit"][0]
ARCHIVE = PLACES["archive"][0]

READY = series("aggregator_ready", WORKER)
LAG = series("aggregator_lag_seconds", WORKER, partition=1)
THROUGH = series("api_complete_through_timestamp_seconds", API, partition=1)
ROLLBACKS = series("aggregator_redis_rollbacks_total", WORKER)
RESYNCS = series("aggregator_resyncs_total", WORKER, why="lost batch")
ASSIGNED = series("aggregator_resyncs_total", WORKER, why="assigned")
DEAD_LETTERS = series("aggregator_dead_letters_total", WORKER, reason="no_tenant")
LATE = series("aggregator_records_total", WORKER, outcome="late")
COUNTED = series("aggregator_records_total", WORKER, outcome="counted")
REFOLDS = series("aggregator_refolds_total", WORKER)
MEMORY = series("aggregator_redis_memory_bytes", WORKER, node="redis:6379")
MEMORY_LIMIT = series("aggregator_redis_memory_limit_bytes", WORKER, node="redis:6379")
MANY_IDS = series("aggregator_scopes_of_many_ids", WORKER)
STORED = series("ingest_deliveries_total", INGEST, outcome="stored")
WITHOUT_KAFKA = series("ingest_deliveries_total", INGEST, outcome="kafka")
UNLISTED = series("ingest_deliveries_total", INGEST, outcome="unlisted_topic")
FAILED = series("ingest_sns_calls_total", INGEST, purpose="certificate", result="failed")
INGEST_READY = series("ingest_ready", INGEST)
API_READY = series("api_ready", API)
KEYS_FOLLOWED = series("api_keys_followed", API)
ANSWERED = series("api_requests_total", API, route="/api/metrics", status=200)
UNAVAILABLE = series("api_requests_total", API, route="/api/metrics", status=503)
PROBED = series("api_requests_total", API, route="/readyz", status=503)
TENANT = series("api_tenant_health", API, tenant="acme", rate="bounce")
ANOTHER = series("api_tenant_health", API, tenant="other", rate="complaint")
MISMATCH = series("audit_mismatch_total", AUDIT)
DONE = series("audit_last_done_timestamp_seconds", AUDIT)
ARCHIVED = series("archive_complete_through_timestamp_seconds", ARCHIVE)

ALWAYS_0, ALWAYS_1 = f"0x{SCRAPES}", f"1x{SCRAPES}"
NEVER = -1_700_000_000
"""What a gauge of a time says at 0, in 1970: the worlds begin at time 0, and stand for our days."""

LONG_AGO = -100_000


def processes(values: str = ALWAYS_0) -> dict[str, str | None]:
    """When each process started."""
    return {
        series("process_start_time_seconds", place): values for places in PLACES.values() for place in places
    }


HEALTHY: World = {
    **{series("up", place): ALWAYS_1 for places in PLACES.values() for place in places},
    **processes(),
    **{series("aggregator_ready", place): f"0 1x{SCRAPES}" for place in PARTITIONS},
    **{
        series("aggregator_lag_seconds", place, partition=number): f"_ 1x{SCRAPES}"
        for place, numbers in PARTITIONS.items()
        for number in numbers
    },
    **{
        series("api_complete_through_timestamp_seconds", API, partition=number): f"_ 14+15x{SCRAPES}"
        for numbers in PARTITIONS.values()
        for number in numbers
    },
    ROLLBACKS: ALWAYS_0,
    RESYNCS: ALWAYS_0,
    ASSIGNED: f"1 2x{SCRAPES}",
    DEAD_LETTERS: ALWAYS_0,
    LATE: ALWAYS_0,
    COUNTED: f"0+1500x{SCRAPES}",
    REFOLDS: ALWAYS_0,
    MEMORY: f"500x{SCRAPES}",
    MEMORY_LIMIT: f"1000x{SCRAPES}",
    MANY_IDS: ALWAYS_0,
    INGEST_READY: f"0 1x{SCRAPES}",
    STORED: f"0+1500x{SCRAPES}",
    WITHOUT_KAFKA: ALWAYS_0,
    UNLISTED: ALWAYS_0,
    FAILED: ALWAYS_0,
    API_READY: f"0 1x{SCRAPES}",
    KEYS_FOLLOWED: f"0 1x{SCRAPES}",
    ANSWERED: f"0+150x{SCRAPES}",
    UNAVAILABLE: ALWAYS_0,
    PROBED: f"1x{SCRAPES}",
    TENANT: f"_x20 {ALWAYS_0}",
    ANOTHER: f"_x20 {ALWAYS_0}",
    MISMATCH: ALWAYS_0,
    ARCHIVED: f"0+15x{SCRAPES}",
    DONE: f"{NEVER}x239 3590x239 7190x239 10790x239 14390x{SCRAPES}",
}
"""Fresh parts. The first audit came to its end an hour after the start."""


@dataclass(frozen=True)
class Case:
    """A change of the healthy world, and the alarms that ring in it.

    rings: for each minute at which it is looked, the alarms and the series that each rings for.
    """

    changes: World
    rings: Mapping[float, Mapping[str, int]] = field(default_factory=dict)


def at_once(alarm: str, changes: World) -> Case:
    """All of it happened before the first scrape, in a young process: it rings, and is silent again later."""
    return Case(changes, {1: {alarm: 1}, 70: {}})


def later(alarm: str, changes: World) -> Case:
    """It happens after ten minutes, in an old process: silent, then it rings, then it is silent again."""
    return Case(processes(f"{LONG_AGO}x{SCRAPES}") | dict(changes), {9: {}, 13: {alarm: 1}, 80: {}})


def step(height: int) -> str:
    """A counter that was 0, and after ten minutes was no more."""
    return f"0x43 {height}x{SCRAPES}"


FAULTS: Mapping[str, Case] = {
    "ProgramDown: never up": Case(
        {
            **{name: None for name in HEALTHY if 'job="ingest"' in name},
            series("up", INGEST): ALWAYS_0,
        },
        {0.5: {}, 1.5: {"ProgramDown": 1}, 30: {"ProgramDown": 1}},
    ),
    "ProgramDown: one of two workers": Case(
        {
            **{name: f"{HEALTHY[name]}".replace(f"x{SCRAPES}", "x40") for name in HEALTHY if OTHER in name},
            series("up", OTHER): f"1x40 0x{SCRAPES}",
        },
        {10: {}, 12: {"ProgramDown": 1}},
    ),
    "ProgramDown: nobody scrapes the API": Case(
        {name: None for name in HEALTHY if 'job="api"' in name}, {1.5: {"ProgramDown": 1}}
    ),
    "WorkerNotCounting: beside a healthy one, from the start": Case(
        {READY: ALWAYS_0}, {0.5: {}, 1.5: {"WorkerNotCounting": 1}}
    ),
    "WorkerNotCounting: later": Case(
        {READY: f"1x40 0x{SCRAPES}"}, {10.5: {}, 11.5: {"WorkerNotCounting": 1}}
    ),
    "CountingBehind: one partition of a ready worker stands": Case(
        {LAG: f"1x40 1+15x{SCRAPES}"}, {15: {}, 17: {"CountingBehind": 1}}
    ),
    "CountingBehind: a partition that a worker never brought to its end": Case(
        {LAG: f"_ 0+15x{SCRAPES}"}, {5: {}, 7: {"CountingBehind": 1}}
    ),
    "NumbersStandStill: a partition that no worker has": Case(
        {LAG: "1x40", THROUGH: f"0+15x40 600x{SCRAPES}"}, {15: {}, 17: {"NumbersStandStill": 1}}
    ),
    "NumbersStandStill: a partition that was never counted": Case(
        {LAG: None, THROUGH: f"{NEVER}x{SCRAPES}"}, {0.5: {}, 5: {}, 7: {"NumbersStandStill": 1}}
    ),
    "NumbersStandStill: it was never counted, and all are old": Case(
        processes(f"{LONG_AGO}x{SCRAPES}") | {LAG: None, THROUGH: f"{NEVER}x{SCRAPES}"},
        {0.5: {}, 1.5: {"NumbersStandStill": 1}},
    ),
    "RedisWentBack: before the first scrape": at_once("RedisWentBack", {ROLLBACKS: ALWAYS_1}),
    "RedisWentBack: later": later("RedisWentBack", {ROLLBACKS: step(1)}),
    "ResyncsOverAndOver: before the first scrape": at_once("ResyncsOverAndOver", {RESYNCS: f"25x{SCRAPES}"}),
    "ResyncsOverAndOver: later": later("ResyncsOverAndOver", {RESYNCS: step(25)}),
    "DeadLetters: before the first scrape": at_once("DeadLetters", {DEAD_LETTERS: f"3x{SCRAPES}"}),
    "DeadLetters: later": later("DeadLetters", {DEAD_LETTERS: step(1)}),
    "LateOrStale: before the first scrape": at_once(
        "LateOrStale", {LATE: f"40x{SCRAPES}", COUNTED: f"60x{SCRAPES}"}
    ),
    "LateOrStale: later": later("LateOrStale", {LATE: step(9000)}),
    "LateOrStale: twelve of a hundred, in a small installation": later(
        "LateOrStale", {LATE: step(12), COUNTED: step(88)}
    ),
    "RedisFillsUp": Case({MEMORY: f"500x40 950x{SCRAPES}"}, {14: {}, 16: {"RedisFillsUp": 1}}),
    "VeryManyIds: before the first scrape": Case({MANY_IDS: ALWAYS_1}, {1: {"VeryManyIds": 1}}),
    "VeryManyIds: later, until the worker starts again": Case(
        processes(f"{LONG_AGO}x{SCRAPES}") | {MANY_IDS: f"0x43 1x{20 * 4} 0x{SCRAPES}"},
        {9: {}, 13: {"VeryManyIds": 1}, 80: {}},
    ),
    "TwoGroupsOnOneRedis: before the first scrape": at_once(
        "TwoGroupsOnOneRedis", {REFOLDS: f"2000x{SCRAPES}"}
    ),
    "TwoGroupsOnOneRedis: later": later("TwoGroupsOnOneRedis", {REFOLDS: step(2000)}),
    "WebhookWithoutKafka: one message, each time that SNS tries it by default": Case(
        {WITHOUT_KAFKA: f"0x40 1 3 4 4x{SCRAPES}"},
        {10.5: {}, 11.5: {"WebhookWithoutKafka": 1}, 14: {}},
    ),
    "WebhookWithoutKafka: from the first": Case(
        {WITHOUT_KAFKA: f"20+20x{SCRAPES}", STORED: ALWAYS_0},
        {0.5: {}, 1.5: {"WebhookWithoutKafka": 1}, 30: {"WebhookWithoutKafka": 1}},
    ),
    "CertificateUnavailable: before the first scrape": at_once(
        "CertificateUnavailable", {FAILED: f"4x{SCRAPES}"}
    ),
    "CertificateUnavailable: later": later("CertificateUnavailable", {FAILED: f"0x43 2 4 6x{SCRAPES}"}),
    "IngestNotReady: no event has come": Case(
        {INGEST_READY: ALWAYS_0, STORED: ALWAYS_0}, {0.5: {}, 1.5: {"IngestNotReady": 1}}
    ),
    "WebhookRefuses": Case({UNLISTED: f"5+1x{SCRAPES}"}, {10: {}, 17: {"WebhookRefuses": 1}}),
    "ApiNotReady: from the first, and nobody asks": Case(
        {
            API_READY: ALWAYS_0,
            ANSWERED: ALWAYS_0,
            **{name: None for name in HEALTHY if name.startswith("api_complete")},
        },
        {0.5: {}, 1.5: {"ApiNotReady": 1}},
    ),
    "KeysNotFollowed: the topic of keys is out of reach": Case(
        {KEYS_FOLLOWED: f"0 1x39 0x{SCRAPES}"}, {10: {}, 12: {"KeysNotFollowed": 1}}
    ),
    "KeysNotFollowed: from the first": Case(
        {KEYS_FOLLOWED: ALWAYS_0}, {0.5: {}, 1.5: {"KeysNotFollowed": 1}}
    ),
    "ApiUnavailable: from the first": Case(
        {ANSWERED: ALWAYS_0, UNAVAILABLE: f"100+10x{SCRAPES}"}, {1: {}, 3: {"ApiUnavailable": 1}}
    ),
    "ApiUnavailable: some of many": Case(
        {UNAVAILABLE: f"0x40 0+5x{SCRAPES}"}, {10: {}, 15: {"ApiUnavailable": 1}}
    ),
    "SenderCritical: one of two, until it is well again": Case(
        {TENANT: f"0x20 1x19 2x40 1x{SCRAPES}"}, {9: {}, 11: {"SenderCritical": 1}, 25: {}}
    ),
    "SenderCritical: two, as two APIs tell": Case(
        {
            TENANT: f"2x{SCRAPES}",
            ANOTHER: f"2x{SCRAPES}",
            TENANT.replace(API, "api2:8080"): f"2x{SCRAPES}",
        },
        {1: {"SenderCritical": 2}, 60: {"SenderCritical": 2}},
    ),
    "AuditMismatch: before the first scrape": at_once("AuditMismatch", {MISMATCH: ALWAYS_1}),
    "AuditMismatch: later": later("AuditMismatch", {MISMATCH: step(1)}),
    "AuditSilent: never an audit": Case({DONE: f"{NEVER}x{SCRAPES}"}, {115: {}, 125: {"AuditSilent": 1}}),
    "AuditSilent: no audit process": Case(
        {name: None for name in HEALTHY if 'job="audit"' in name}, {115: {}, 125: {"AuditSilent": 1}}
    ),
    "AuditSilent: the process went away": Case(
        {
            **{name: None for name in HEALTHY if AUDIT in name},
            series("up", AUDIT): f"1x4 0x{SCRAPES}",
            DONE: "30x4",
        },
        {115: {}, 130: {"AuditSilent": 1}},
    ),
    "AuditSilent: the last one is four hours ago": Case(
        {DONE: f"{NEVER}x4 60x{SCRAPES}"}, {115: {}, 235: {}, 245: {"AuditSilent": 1}}
    ),
    "ArchiveBehind: nothing since the start": Case(
        {ARCHIVED: ALWAYS_0}, {175: {}, 190: {"ArchiveBehind": 1}}
    ),
    "ArchiveBehind: it is down": Case(
        {series("up", ARCHIVE): f"1x40 0x{SCRAPES}", ARCHIVED: "0+15x40"},
        {10: {}, 14: {}, 16: {"ArchiveBehind": 1}, 200: {"ArchiveBehind": 1}},
    ),
    "ArchiveBehind: its store went away": Case(
        {ARCHIVED: f"0+15x240 3600x{SCRAPES}"}, {235: {}, 250: {"ArchiveBehind": 1}}
    ),
}
"""Each is named for the alarm that it is the fault of."""


def began_anew(values_before: str, values_after: str, out: int) -> str:
    """A series of a process that is away for some scrapes after an hour, and of its successor."""
    return f"{values_before}x240 stale {'_ ' * (out - 1)}{values_after}x{SCRAPES}"


RESTARTED: World = {
    # ingest is away for 30 s, and Kafka did not answer it for 15 s before
    series("up", INGEST): f"1x240 0x1 1x{SCRAPES}",
    series("process_start_time_seconds", INGEST): began_anew(f"{LONG_AGO}", "3630", 2),
    STORED: began_anew("0+1500", "0+1500", 2),
    INGEST_READY: f"0 1x238 0 stale _ 0x1 1x{SCRAPES}",
    WITHOUT_KAFKA: f"0x239 7 stale _ 0x{SCRAPES}",
    FAILED: began_anew("2", "0", 2),
    UNLISTED: began_anew("0", "0", 2),
    # a worker is away for 30 s; the other takes all partitions over, and gives two back
    series("up", WORKER): f"1x240 0x1 1x{SCRAPES}",
    series("process_start_time_seconds", WORKER): began_anew(f"{LONG_AGO}", "3630", 2),
    READY: f"0 1x239 stale _ 0x1 1x{SCRAPES}",
    LAG: f"_ 1x239 stale _ _ 4 1x{SCRAPES}",
    series("aggregator_lag_seconds", OTHER, partition=1): "_x240 25 1 1 stale",
    series("aggregator_ready", OTHER): f"0 1x239 0x1 1 0x1 1x{SCRAPES}",
    THROUGH: f"_ 14+15x239 3600x2 3640+15x{SCRAPES}",
    ROLLBACKS: began_anew("3", "0", 2),
    RESYNCS: began_anew("12", "0", 2),
    ASSIGNED: began_anew("2", "3", 2),
    DEAD_LETTERS: began_anew("5", "0", 2),
    LATE: began_anew("10", "0", 2),
    COUNTED: began_anew("9000+1500", "0+1500", 2),
    REFOLDS: began_anew("900", "90", 2),
    # the API is away for 15 s, and then for a moment without its keys
    series("up", API): f"1x240 0 1x{SCRAPES}",
    series("process_start_time_seconds", API): began_anew(f"{LONG_AGO}", "3615", 1),
    API_READY: f"0 1x239 stale 0 1x{SCRAPES}",
    ANSWERED: began_anew("0+150", "0+150", 1),
    UNAVAILABLE: f"0x239 30 stale 4x{SCRAPES}",
    # audit begins again, and is done some minutes later
    series("process_start_time_seconds", AUDIT): began_anew(f"{LONG_AGO}", "3615", 1),
    MISMATCH: began_anew("1", "0", 1),
    DONE: f"{NEVER}x4 100x235 stale {NEVER}x8 3800x239 7400x239 11000x239 14600x{SCRAPES}",
}

SCARRED: World = {
    **processes(f"{LONG_AGO}x{SCRAPES}"),
    ROLLBACKS: f"9x{SCRAPES}",
    RESYNCS: f"300x{SCRAPES}",
    DEAD_LETTERS: f"9x{SCRAPES}",
    LATE: f"1000000x{SCRAPES}",
    REFOLDS: f"90000x{SCRAPES}",
    WITHOUT_KAFKA: f"9x{SCRAPES}",
    FAILED: f"9x{SCRAPES}",
    UNLISTED: f"9x{SCRAPES}",
    UNAVAILABLE: f"900x{SCRAPES}",
    MISMATCH: f"1x{SCRAPES}",
}

SILENT: Mapping[str, Case] = {
    "a fresh start": Case({}),
    "a small installation: few records, a tenth of them late, and Redis without a limit": Case(
        {
            LATE: f"1x40 5x400 9x{SCRAPES}",
            COUNTED: f"9x40 49x400 81x{SCRAPES}",
            STORED: f"9x40 49x400 81x{SCRAPES}",
            ANSWERED: f"0+1x{SCRAPES}",
            UNAVAILABLE: f"0x200 1x{SCRAPES}",
            UNLISTED: f"0x200 1x{SCRAPES}",
            FAILED: f"0x200 1x{SCRAPES}",
            MEMORY_LIMIT: ALWAYS_0,
        }
    ),
    "a cold start on a long log: it takes five minutes until a partition is counted to its end": Case(
        {LAG: f"_ 0+15x19 1x{SCRAPES}", THROUGH: f"_ {NEVER}x19 300+15x{SCRAPES}"}
    ),
    "a fresh start without any traffic": Case({COUNTED: ALWAYS_0, STORED: ALWAYS_0, ANSWERED: ALWAYS_0}),
    "each part restarts once, with a rebalance": Case(RESTARTED),
    "no archive": Case({name: None for name in HEALTHY if 'job="archive"' in name}),
    "tenants in warning, and none is told of": Case({TENANT: f"1x{SCRAPES}", ANOTHER: None}),
    "a new Prometheus beside parts that had their troubles long ago": Case(SCARRED),
}
FINE = tuple(minute / 2 for minute in range(118, 132))
MINUTES = (
    0.0,
    0.25,
    0.5,
    1.0,
    1.5,
    2.0,
    3.0,
    5.0,
    7.0,
    10.0,
    16.0,
    30.0,
    *FINE,
    70.0,
    90.0,
    125.0,
    200.0,
    290.0,
)
"""When it is looked in a silent world: all alarms must be silent at all of them."""
