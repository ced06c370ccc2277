"""How far counting is: the live generation, its rules, what is not counted yet, how old numbers are. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from aggregator.counters.generation import REBUILD, validate
from aggregator.counters.lanes import standing_of
from aggregator.counting.rules import Rules
from aggregator.errors import OtherRulesError, PostponedError
from aggregator.log.admin import Log
from deploy.doctor.check import Finding, ok, problem, stop
from schemas.counters import Generation, Record, State

FRESH_MS: Final = 60_000
"""Complete-through moves each second; what is older stands still."""

LOOK_AT_WORKERS: Final = (
    "start `python -m aggregator`, or read why it waits: its /readyz and its log say so (deploy/runbook.md,"
    " What a worker says)"
)

FROM_ARCHIVE: Final = (
    "`python -m aggregator catch-up` counts them from the archive, or says what to do instead"
)
WITHOUT_ARCHIVE: Final = (
    "where an archive has them, ARCHIVE_URL and `python -m aggregator catch-up`; else"
    " `python -m aggregator rebuild --allow-truncated`, and retention.ms=-1 on the topic"
)


class Lane(NamedTuple):
    """What a lane says of itself.

    rules: the fingerprint that it was counted by. closed: whether nothing is counted into it.
    checkpoints: offsets by partition. complete: ms since 1970 by partition.
    """

    rules: str
    closed: bool
    checkpoints: Mapping[int, int]
    complete: Mapping[int, int]


def lane_of_fields(live: Generation, fields: Mapping[bytes, bytes]) -> Lane | None:
    """A lane of a generation by the fields of its hash (`schemas.redis_keys`); none where it is not there."""
    if fields.get(b"generation") != live.name.encode():
        return None
    numbers = {name: int(value) for name, value in fields.items() if name[1:].isdigit()}
    return Lane(
        standing_of(fields.get(b"rules", b"")).rules,
        b"retired" in fields,
        {int(name[1:]): value for name, value in numbers.items() if name[:1] == b"f"},
        {int(name[1:]): value for name, value in numbers.items() if name[:1] == b"c"},
    )


def judge_generation(
    record: Record, lanes: Sequence[Lane | None], *, committed: bool | None
) -> list[Finding]:
    """Whether there are counters to read.

    lanes: of the live one. committed: whether the consumer group has ever counted; none where that is not
    known.
    """
    live = record.live
    if live is None:
        return [_no_generation(record, committed=committed)]
    if not live.is_readable:
        return [
            stop(
                f"generation {live.name} {live.foreign}",
                f"programs of its version, or {REBUILD}",
            )
        ]
    gone = [str(number) for number, lane in enumerate(lanes) if lane is None]
    if gone:
        return [
            stop(f"lanes {', '.join(gone)} of generation {live.name} are not there: Redis lost them", REBUILD)
        ]
    if any(lane is not None and lane.closed for lane in lanes):
        making = record.next
        if making is None or making.state is not State.CLOSING:
            return [
                problem(
                    f"lanes of the live generation {live.name} are closed, and no switch is under way",
                    "`python -m aggregator generations restore`; where that finds nothing to restore, start a"
                    " worker, which opens them",
                )
            ]
    return [ok(f"{live.name}, {live.lanes} lanes, scopes {', '.join(live.scopes) or 'none'}")]


def _no_generation(record: Record, *, committed: bool | None) -> Finding:
    if record.next is not None:
        return stop(
            f"a rebuild makes {record.next.generation.name}, and nothing is live yet",
            f"wait for it; where none runs any more, {REBUILD}",
        )
    if committed:
        return stop(
            "this Redis holds no counters, and the consumer group has counted before: it was wiped, or is"
            " another one",
            f"the right REDIS_URL (server and database); for a wiped Redis {REBUILD}; for a second set of"
            " counters another CONSUMER_GROUP",
        )
    return stop("this Redis holds no counters: no worker has ever counted into it", LOOK_AT_WORKERS)


def judge_rules(live: Generation, rules: Rules, log: Log) -> Finding:
    """Whether a worker with these rules would count into the live generation, from this log."""
    try:
        validate(live, rules, log)
    except OtherRulesError as error:
        return problem(
            str(error),
            "TENANT_TAG, SEQUENCE_TAG, TEMPLATE_TAG, SCOPE_TAGS, DEFAULT_TENANT and RECIPIENT_KEY as the"
            f" workers of that generation have them (its scopes: {', '.join(live.scopes)}; here:"
            f" {', '.join(rules.scope_names)}); if the new rules are meant, {REBUILD}",
        )
    except PostponedError as error:  # another topic, or another cluster
        return problem(str(error), f"the right KAFKA_BOOTSTRAP_SERVERS and EVENTS_TOPIC; else {REBUILD}")
    return ok(f"{rules.fingerprint}, as the live generation")


def judge_lag(
    lanes: Sequence[Lane],
    ranges: Mapping[int, tuple[int, int]],
    oldest_ms: int,
    now_ms: int,
    *,
    has_archive: bool,
) -> list[Finding]:
    """How much of the log is not counted.

    ranges: first offset and end in the topic, by partition. oldest_ms: up to when the numbers are complete.
    has_archive: whether the settings name one, which may hold what the topic no longer has.
    """
    found, waiting = [], 0
    for number, (start, end) in ranges.items():
        of_lanes = [lane.checkpoints.get(number, 0) for lane in lanes]
        least, most = min(of_lanes), max(of_lanes)
        waiting += max(0, end - least)
        if least < start:
            found.append(
                problem(
                    f"partition {number} is counted up to offset {least} and its log starts at {start}:"
                    " records are gone that were not counted",
                    FROM_ARCHIVE if has_archive else WITHOUT_ARCHIVE,
                )
            )
        if most > end:
            found.append(
                problem(
                    f"partition {number} is counted up to offset {most} and its log ends at {end}: Kafka lost"
                    " records that were counted",
                    f"restore the topic, or {REBUILD}",
                )
            )
    if waiting and now_ms - oldest_ms > FRESH_MS:
        found.append(problem(f"{waiting:,} records are not counted", LOOK_AT_WORKERS))
    return found or [ok(f"{waiting:,} records are not counted yet")]


def complete_through(lanes: Sequence[Lane], partitions: Sequence[int]) -> tuple[int, int]:
    """Up to when (ms since 1970; 0: never) the numbers are complete, and of which partition that is."""
    return min((min(lane.complete.get(number, 0) for lane in lanes), number) for number in partitions)


def judge_freshness(through_ms: int, partition: int, now_ms: int) -> Finding:
    """Whether numbers keep up. Arguments: as `complete_through` gives them, and our clock."""
    age_ms = now_ms - through_ms
    if age_ms <= FRESH_MS:
        return ok(f"complete up to {max(0, age_ms) / 1000:.0f} s ago")
    since = f"since {instant(through_ms)}" if through_ms else "and were never complete"
    return problem(f"numbers stand still {since}, for want of partition {partition}", LOOK_AT_WORKERS)


def instant(ms: int) -> str:
    """A time as people read it."""
    return (
        datetime.fromtimestamp(ms / 1000, UTC)
        .isoformat(sep=" ", timespec="seconds")
        .replace("+00:00", " UTC")
    )
