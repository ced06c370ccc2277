"""`rebuild`: count the whole history anew and switch to it; or say what that would be."""

import sys
import time
from datetime import timedelta
from typing import Annotated, Any, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from aggregator.commands.arguments import Json, instant, offsets
from aggregator.commands.output import (
    ROWS_SHOWN,
    WITHOUT_DEAD_LETTER,
    covered_json,
    err,
    errors_in_a_line,
    out,
    print_json,
    row,
    show_coverage,
    table,
)
from aggregator.config import AggregatorSettings
from aggregator.counting.timestamps import iso
from aggregator.rebuild.join import Join
from aggregator.rebuild.losses import Loss
from aggregator.rebuild.plan import BYTES_A_PROCESS, RECORDS_A_SECOND, Plan
from aggregator.rebuild.rebuild import Rebuild
from aggregator.rebuild.report import Report
from schemas.counters import LANES_MAX
from schemas.shared import logs

LINE_EVERY_S: Final = 5.0


class _Watch:
    """Shows a rebuild: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._said = 0.0
        self._began = time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=err, disable=quiet or not sys.stderr.isatty())
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> "_Watch":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, what: str) -> None:
        if not self._quiet:
            err.print(what, highlight=False)

    def __call__(self, phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        rate = f", {done / max(now - self._began, 0.001):,.0f} records/s" if phase == "counting" else ""
        self._bar.update(self._task, description=phase + rate, completed=done, total=total or None)
        if not self._quiet and not sys.stderr.isatty() and now - self._said >= LINE_EVERY_S:
            self._said = now
            err.print(f"{phase}: {done:,} of {total:,}{rate}", highlight=False)


def rebuild(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    since: Annotated[
        str | None, typer.Option(help="Count only records of this time or later: partial counters.")
    ] = None,
    from_offset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PARTITION:OFFSET",
            help="Count this partition only from there on (repeatable): partial counters.",
        ),
    ] = None,
    allow_truncated: Annotated[
        bool, typer.Option("--allow-truncated", help="Count a log whose beginning is gone: partial counters.")
    ] = False,
    lose: Annotated[
        bool,
        typer.Option(
            "--lose",
            help="Go on where live cells would be lost by partial counters (--dry-run: which).",
        ),
    ] = False,
    lanes: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=LANES_MAX,
            help="How many lanes the new generation has; as many as the live one if not said, else LANES.",
        ),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, max=64, help="How many read and fold.")] = 2,
    join: Annotated[
        bool,
        typer.Option(
            "--join", help="Count for the rebuild that runs, on this or another host, until it has switched."
        ),
    ] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Remove the old generation after the switch.")] = False,
    drop_after_hours: Annotated[
        int, typer.Option(min=0, help="Let the old generation expire after so many hours; 0: keep it.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Count the whole history into a new generation, compare it with the live one, and switch to it.

    The history is what the archive of ARCHIVE_URL, if there is one, and the topic hold together. Live
    counting and the API go on meanwhile. Killed, it goes on where it was when it is run again. Commands with
    --join share its counting, and one of them leads on where it dies.
    """
    logs.configure()
    if join and any((dry_run, since, from_offset, allow_truncated, lose, lanes, drop, drop_after_hours)):
        raise typer.BadParameter(
            "--join takes the rebuild as it was begun: with --processes and --json alone"
        )
    settings = AggregatorSettings()
    if join:
        _join(settings, processes, as_json=as_json)
        return
    with errors_in_a_line(), _Watch(quiet=as_json) as watch:
        work = Rebuild(settings, lanes=lanes, processes=processes, progress=watch)
        plan = work.plan(
            since_ms=instant(since), offsets=offsets(from_offset or []), allow_truncated=allow_truncated
        )
        if dry_run or (plan.losses and not lose):
            _show_plan(plan, processes, as_json=as_json)
        if dry_run:
            return
        report = work.run(plan, lose=lose)
        if report.previous is not None and (drop or drop_after_hours) and not report.wrong:
            report.dropped_keys = work.drop(report.previous, 0 if drop else drop_after_hours * 3600)
    _show_report(report, as_json=as_json)


def _join(settings: AggregatorSettings, processes: int, *, as_json: bool) -> None:
    with errors_in_a_line(), _Watch(quiet=as_json) as watch:
        joined = Join(settings, processes=processes, progress=watch).run()
    if joined.led is not None:
        _show_report(joined.led, as_json=as_json)
    elif as_json:
        print_json(
            {"generation": joined.generation, "without_dead_letter": joined.without_dead_letter, "led": False}
        )
    else:
        out.print(f"generation {joined.generation} is live: the command that led the rebuild has switched")
        if joined.without_dead_letter:
            out.print(WITHOUT_DEAD_LETTER.format(joined.without_dead_letter))


def _show_plan(plan: Plan, processes: int, *, as_json: bool) -> None:
    rows = [
        {
            "partition": number,
            "from": plan.start[number],
            "archived_to": plan.archived[number],
            "to": plan.stop[number],
        }
        for number in sorted(plan.stop)
    ]
    if as_json:
        print_json(
            {
                "partitions": rows,
                "records": plan.records,
                "records_archived": plan.records_archived,
                "partial": plan.partial,
                **covered_json(plan.coverage),
                "loses": [_loss_row(loss) for loss in plan.losses.of],
                "loses_unknown": plan.losses.unknown,
                "lanes": plan.lanes,
                "resumes": plan.resumed.name if plan.resumed else None,
                "seconds_expected": round(plan.seconds),
                "process_bytes_expected": processes * BYTES_A_PROCESS,
                "redis_bytes_expected": plan.more_bytes,
                "redis_bytes_used": plan.used,
                "redis_bytes_limit": plan.limit or None,
            }
        )
        return
    out.print(table("What would be counted", rows))
    out.print(
        f"{plan.records:,} records, {plan.records_archived:,} of them in the archive: about"
        f" {timedelta(seconds=round(plan.seconds))} at {RECORDS_A_SECOND:,} a second, as measured beside live"
        " traffic on two cores"
    )
    out.print(
        f"memory: Redis holds {plan.used:,} bytes now and would need up to {plan.more_bytes:,} more until the"
        f" old generation is dropped; {processes} processes of up to {BYTES_A_PROCESS:,}"
    )
    out.print(f"{plan.lanes} lanes" + (f"; the live generation has {plan.live.lanes}" if plan.live else ""))
    if plan.resumed:
        out.print(f"goes on with generation {plan.resumed.name}")
    if plan.partial:
        out.print(f"partial: {plan.partial}")
    show_coverage(plan.coverage)
    if plan.live is None and plan.coverage.cuts:
        out.print(
            "earlier cells will be partial or missing; which there were is not known, as nothing is live"
        )
    if plan.losses.of:
        rows = [_loss_row(loss) for loss in plan.losses.of]
        out.print(table("Live cells that would be lost", rows[:ROWS_SHOWN]))
        if len(rows) > ROWS_SHOWN:
            out.print(f"and {len(rows) - ROWS_SHOWN:,} more tenants: --json gives all")
    if plan.losses:
        out.print(str(plan.losses))


def _loss_row(loss: Loss) -> dict[str, Any]:
    first, last = (None if ms is None else iso(ms) for ms in (loss.first_ms, loss.last_ms))
    return {"tenant": loss.tenant, "cells": loss.cells, "first": first, "last": last}


def _show_report(report: Report, *, as_json: bool) -> None:
    rows = [row(each, "new", "old") for each in report.examples]
    if as_json:
        print_json(
            {
                "generation": report.generation,
                "previous": report.previous,
                "records": report.records,
                "seconds": round(report.seconds, 3),
                "partial": report.partial,
                "cells_lost": report.lost,
                "resumed": report.resumed,
                "without_dead_letter": report.without_dead_letter,
                "tenants_compared": report.compared,
                "cells_differing": report.differing,
                "kept": report.previous if report.wrong else None,
                "examples": rows,
                "not_compared": report.not_compared,
                "workers_seen": report.workers_seen,
                "dropped_keys": report.dropped_keys,
            }
        )
        return
    out.print(
        f"{report.records:,} records in {report.seconds:,.1f} s; generation {report.generation} is live"
        + (f", {report.previous} is retired" if report.previous else "")
    )
    if report.partial:
        out.print(f"partial: {report.partial}")
    if report.without_dead_letter:
        out.print(WITHOUT_DEAD_LETTER.format(report.without_dead_letter))
    if report.not_compared:
        out.print(f"not compared: {report.not_compared}")
    elif report.previous:
        out.print(f"{report.compared:,} tenants compared: {report.differing:,} cells differ")
    if report.lost:
        out.print(f"{report.lost:,} cells more differ: the log could not speak for them")
    if rows:
        out.print(table("Cells that differ", rows))
    if report.wrong:
        out.print(
            f"the rules are equal, so {report.previous} was wrong there: it is kept, and not dropped in this"
            f" run. Once the cause is known: `python -m aggregator generations drop {report.previous}`"
        )
    if not report.workers_seen:
        out.print("no worker counts into it yet: start workers with the same rules")
