"""`explain`: what became of one record of the log, or of one message of SNS."""

import time
from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from aggregator.commands.arguments import Json, instant, offsets
from aggregator.commands.output import ROWS_SHOWN, errors_in_a_line, failed, out, print_json, table
from aggregator.config import AggregatorSettings
from aggregator.counting.facts import Facts, Refusal, Skipped
from aggregator.counting.timestamps import iso
from aggregator.tracing.find import NoRecordError
from aggregator.tracing.standing import Word
from aggregator.tracing.trace import Trace, Tracer
from schemas.instants import DAY_MS, QUARTER_MS
from schemas.kinds import FIELDS
from schemas.shared import logs
from schemas.topics import SNS_MESSAGE_ID, SNS_TOPIC_ARN

_PSEUDONYM_SHOWN: Final = 8
"""Hex digits: enough to tell the recipients of a mail apart."""

WHY: Final[Mapping[str, str]] = {
    Skipped.IGNORED: "no event of a type that is counted, or one that says that it is not to be (such as a"
    " complaint `not-spam`)",
    Skipped.UNTAGGED: "an older notification without a tenant, and there is no DEFAULT_TENANT",
    Skipped.STALE: "the record is from so long after the send that the state which knows repeats may be gone",
    Skipped.LATE: "it happened longer after the send than is counted",
    Skipped.EMPTY: "its list of recipients is empty",
    Skipped.ERASED: "its tenant was erased, and the record is not later than that",
    Refusal.UNREADABLE: "no JSON object in UTF-8, or an event without what its type must have",
    Refusal.BAD_TAG: "a tag of another shape than a list of strings, or longer than 255 bytes",
    Refusal.NO_TENANT: "no tenant tag, and there is no DEFAULT_TENANT",
    Refusal.BAD_TIME: "a timestamp that is none",
    Refusal.FUTURE: "it happened more than 24 hours after the record's own time: a wrong clock",
    Refusal.TOO_LARGE: "larger than a record may be, or more than 1,000 addresses in one list",
}
"""Why a record counts for nothing; the limits are the law's (`schemas.kinds`), the times stand beside it."""

MEANS: Final[Mapping[Word, str]] = {
    Word.COUNTED: "the fact counts when this record says, by this record",
    Word.REPEATED: "a record before this one had stated the fact, for the same time or an earlier one",
    Word.MOVED: "it counted when this record says, until a later record stated the fact for an earlier time",
    Word.NOT_YET: "the record is not counted yet: its offset is not below the checkpoint",
    Word.EARLIER: "the fact counts at an earlier time, by a record that was not found or not looked for",
    Word.EXPIRED: "it was counted; Redis no longer remembers where, so the time is what the log says",
    Word.BEFORE_START: "the live counters begin at a later offset: a rebuild made them of a part of the log",
    Word.WRONG: "Redis should know of this fact and does not, or counts it later: run `verify`",
}
"""What `standing` says, for people."""


def explain(
    *,
    offset: Annotated[
        str | None, typer.Option(help="The record at this place, as PARTITION:OFFSET.", metavar="P:O")
    ] = None,
    sns_id: Annotated[
        str | None, typer.Option(help="The records of the message that SNS gave this id.", metavar="ID")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="With --sns-id: read the topic from this time on. [a day ago]")
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="Do not read the log from the send on for other records of the mail: `counted` may then be"
            " `repeated`, and `earlier` is `repeated` or `moved`.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Say of a record what it states, which cells that counts in, and where each fact stands now, and why.

    It writes nothing. Recipients are told apart by the beginning of their pseudonyms; no address is shown.
    Exits 1 where there is no such record, where Redis cannot say where a fact stands, or where it is wrong.
    """
    if (offset is None) == (sns_id is None):
        raise typer.BadParameter("say either --offset or --sns-id")
    if since is not None and sns_id is None:
        raise typer.BadParameter("--since goes with --sns-id")
    logs.configure()
    settings, now_ms = AggregatorSettings(), time.time_ns() // 1_000_000
    since_ms = instant(since)
    if since_ms is None:
        since_ms = now_ms - DAY_MS
    with (
        errors_in_a_line(NoRecordError, ValueError),  # the latter: a counter in Redis is damaged
        Tracer(settings, quick=quick) as tracer,
    ):
        if sns_id is None:
            (place,) = offsets([offset or ""]).items()
            found = [tracer.find.at(*place)]
        else:
            found = tracer.find.of_sns(sns_id, since_ms)
            if not found:
                raise NoRecordError(
                    f"no record of SNS message {sns_id} among {tracer.find.records:,} since"
                    f" {iso(since_ms)}: --since reads from further back"
                )
        traces = [tracer.trace(each, now_ms) for each in found]
        read = tracer.find.records
    rows = [spelled(each) for each in traces]
    if as_json:
        print_json({"records_read": read, "records": rows})
    else:
        for each in rows:
            _show(each)
        out.print(f"Records read: {read:,}")
    words = {fact["standing"] for row in rows for fact in row["facts"]}
    unknown = next((each.unknown for each in traces if each.unknown is not None), None)
    if unknown is not None:
        raise failed(unknown)
    if Word.WRONG in words:
        raise typer.Exit(1)


def spelled(trace: Trace) -> dict[str, Any]:
    """A trace by name, as people and scripts read it: times in ISO 8601."""
    found, outcome = trace.found, trace.outcome
    return {
        "partition": found.partition,
        "offset": found.record.offset,
        "recorded": iso(found.record.timestamp),
        "sns_message_id": _text(found.header(SNS_MESSAGE_ID)),
        "sns_topic_arn": _text(found.header(SNS_TOPIC_ARN)),
        "event": trace.event._asdict(),
        "outcome": "facts" if isinstance(outcome, Facts) else str(outcome),
        "why": None if isinstance(outcome, Facts) else WHY.get(outcome),
        "dead_letter": None if trace.dead_letter is None else "{}:{}".format(*trace.dead_letter),
        "passed": trace.passed,
        "unknown": None if trace.unknown is None else str(trace.unknown),
        **_states(trace),
    }


def _states(trace: Trace) -> dict[str, Any]:
    facts, counts = trace.outcome, trace.counts
    if not isinstance(facts, Facts):
        return {"tenant": None, "at": None, "lane": None, "checkpoint": None, "facts": [], "cells": []}
    rows: list[dict[str, Any]] = []
    for each in [] if counts is None else counts.facts:
        held = each.standing
        by = None if held.by is None else f"{trace.found.partition}:{held.by}"
        counts_at = None if held.quarter is None else _at(facts.day, held.quarter)
        rows.append(_fact(each.kind, each.recipient, held.word, counts_at, by))
    if counts is None:
        rows = [_fact(kind, person) for person in facts.recipients for kind in facts.kinds]
    return {
        "tenant": facts.scopes.tenant,
        "at": _at(facts.day, facts.quarter),
        "lane": None if counts is None else counts.lane,
        "checkpoint": None if counts is None else counts.checkpoint,
        "facts": rows,
        "cells": [
            cell.spelled() | {"count": count} for cell, count in ([] if counts is None else counts.cells)
        ],
    }


def _fact(
    kind: int,
    recipient: bytes | None,
    standing: Word | None = None,
    counts_at: str | None = None,
    by: str | None = None,
) -> dict[str, Any]:
    return {
        "kind": FIELDS[kind],
        "recipient": None if recipient is None else recipient.hex()[:_PSEUDONYM_SHOWN],
        "standing": standing,
        "counts_at": counts_at,
        "by": by,
    }


def _at(day: int, quarter: int) -> str:
    return iso(day * DAY_MS + quarter * QUARTER_MS)


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode(errors="replace")


def _show(row: dict[str, Any]) -> None:
    """Print a trace for people. row: as `spelled` gives it."""
    said = {
        name: row[name] for name in ("partition", "offset", "recorded", "sns_message_id", "sns_topic_arn")
    }
    out.print(table("Record", [said]))
    out.print(table("Event", [row["event"]]))
    if row["outcome"] == "facts":
        out.print(f"Facts that it states: {len(row['facts']):,}, for {row['at']}, of tenant", end=" ")
        out.print(row["tenant"], markup=False)
        if row["checkpoint"] is not None:
            out.print(f"Lane {row['lane']} is counted up to offset {row['checkpoint']} of the partition")
        out.print(table("Facts, and where they count now", row["facts"][:ROWS_SHOWN]))
        if row["cells"]:
            out.print(table("What they count in, and what stands there now", row["cells"][:ROWS_SHOWN]))
        for word in sorted({fact["standing"] for fact in row["facts"]} - {None}):
            out.print(f"{word}: {MEANS[word]}")
    else:
        out.print(f"It counts for nothing: {row['outcome']}, {row['why']}")
        if row["outcome"] in set(Refusal):
            place, topic = row["dead_letter"], "the dead-letter topic"
            lies = f"lies at {place} of {topic}" if place else f"is not in {topic} (any more, or not yet)"
            out.print(f"Its dead letter {lies}")
        if row["passed"] is False:
            out.print("No worker has read so far yet")
