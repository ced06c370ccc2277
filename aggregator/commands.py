"""The operators' commands: `rebuild`, `verify`, `generations`, `dead-letters`.

Words for a person go to stderr, results to stdout (one JSON object with `--json`). Exit codes: 0 done, 1 not
done or something differs, 2 the command line or a setting is wrong.
"""

import json
import re
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from random import SystemRandom
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from aggregator.config import AggregatorSettings
from aggregator.counters.housekeeping import drop_named, drop_retired, listed
from aggregator.counters.keyspace import Keyspace
from aggregator.counting.cells import Difference
from aggregator.counting.timestamps import iso
from aggregator.errors import PostponedError, RefusedError
from aggregator.log.redrive import CannotRedriveError, DeadLetterTopic
from aggregator.proof.verify import Verifier
from aggregator.rebuild.plan import BYTES_A_PROCESS, RECORDS_A_SECOND, Plan
from aggregator.rebuild.rebuild import Rebuild, Report
from schemas.shared import logs

LINE_EVERY_S: Final = 5.0
ROWS_SHOWN: Final = 50
PIPED_WIDTH: Final = 100_000
"""Of a table that does not go to a terminal: as wide as what it holds."""

dead_letters_cli = typer.Typer(
    no_args_is_help=True, help="What could not be read: list, show, redrive, purge."
)
generations_cli = typer.Typer(no_args_is_help=True, help="What Redis holds: list, drop, restore.")
_err = Console(stderr=True, soft_wrap=True)
_out = Console(soft_wrap=True, width=None if sys.stdout.isatty() else PIPED_WIDTH)

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, for scripts.")]
Reason = Annotated[str | None, typer.Option(help="Only dead letters of this reason.")]


def _fail(error: Exception) -> typer.Exit:
    _err.print(f"[red]{type(error).__name__}[/]: {error}", highlight=False)
    return typer.Exit(1)


def _instant(text: str | None) -> int | None:
    """An ISO 8601 date or time (UTC where it names no zone) as ms since 1970."""
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no ISO 8601 date or time") from None
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)


def _offsets(texts: list[str]) -> dict[int, int]:
    """PARTITION:OFFSET, each partition once."""
    offsets: dict[int, int] = {}
    for text in texts:
        found = re.fullmatch(r"(\d+):(\d+)", text, re.ASCII)
        if found is None or int(found[1]) in offsets:
            raise typer.BadParameter(f"{text!r} is no PARTITION:OFFSET, or names a partition again")
        offsets[int(found[1])] = int(found[2])
    return offsets


class _Watch:
    """Shows a rebuild: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._said = 0.0
        self._began = time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=_err, disable=quiet or not sys.stderr.isatty())
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> "_Watch":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, what: str) -> None:
        if not self._quiet:
            _err.print(what, highlight=False)

    def __call__(self, phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        rate = f", {done / max(now - self._began, 0.001):,.0f} records/s" if phase == "counting" else ""
        self._bar.update(self._task, description=phase + rate, completed=done, total=total or None)
        if not self._quiet and not sys.stderr.isatty() and now - self._said >= LINE_EVERY_S:
            self._said = now
            _err.print(f"{phase}: {done:,} of {total:,}{rate}", highlight=False)


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
    processes: Annotated[int, typer.Option(min=1, max=64, help="How many read and fold.")] = 2,
    drop: Annotated[bool, typer.Option("--drop", help="Remove the old generation after the switch.")] = False,
    drop_after_hours: Annotated[
        int, typer.Option(min=0, help="Let the old generation expire after so many hours; 0: keep it.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Count the whole topic into a new generation, compare it with the live one, and switch to it.

    Live counting and the API go on meanwhile. Killed, it goes on where it was when it is run again.
    """
    logs.configure()
    settings = AggregatorSettings()
    try:
        with _Watch(quiet=as_json) as watch:
            work = Rebuild(settings, processes=processes, progress=watch)
            plan = work.plan(
                since_ms=_instant(since), offsets=_offsets(from_offset or []), allow_truncated=allow_truncated
            )
            if dry_run:
                _show_plan(plan, processes, as_json=as_json)
                return
            report = work.run(plan)
            if report.previous is not None and (drop or drop_after_hours) and not report.wrong:
                report.dropped_keys = work.drop(report.previous, 0 if drop else drop_after_hours * 3600)
    except (RefusedError, PostponedError) as error:
        raise _fail(error) from error
    _show_report(report, as_json=as_json)


def verify(
    *,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    since: Annotated[str | None, typer.Option(help="Only hours that begin at this time or later.")] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Tenants chosen at random, until they have so many cells.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Count the log again and compare with what Redis holds; exits 1 if anything differs.

    It may run beside live traffic.
    """
    logs.configure()
    settings = AggregatorSettings()
    try:
        result = Verifier(settings).verify(
            tenant=tenant, since_ms=_instant(since), sample=sample, random=SystemRandom() if sample else None
        )
    except (PostponedError, ValueError) as error:
        raise _fail(error) from error
    rows = [_difference(each) for each in result.differences]
    if as_json:
        _print_json(
            {
                "generation": result.generation,
                "tenants": result.tenants,
                "cells": result.cells,
                "records": result.records,
                "differences": rows,
            }
        )
    else:
        if rows:
            _out.print(_table("Cells that differ", rows[:ROWS_SHOWN]))
        if len(rows) > ROWS_SHOWN:
            _out.print(f"and {len(rows) - ROWS_SHOWN:,} more: --json gives all")
        _out.print(
            f"{result.cells:,} cells of {result.tenants:,} tenants against {result.records:,} records:"
            f" {len(rows):,} differ"
        )
    if rows:
        raise typer.Exit(1)


@generations_cli.command("list")
def list_generations(*, as_json: Json = False) -> None:
    """All generations of counters in Redis; reads the names of all keys."""
    try:
        with closing(Keyspace(AggregatorSettings())) as keys:
            found = listed(keys)
    except PostponedError as error:
        raise _fail(error) from error
    rows = [
        {
            "name": each.name,
            "state": str(each.state),
            "created": iso(each.generation.created_ms) if each.generation else None,
            "lanes": each.generation.lanes if each.generation else None,
            "rules": each.generation.rules if each.generation else None,
            "keys": each.keys,
        }
        for each in found
    ]
    if as_json:
        _print_json({"generations": rows})
    else:
        _out.print(_table("Generations", rows) if rows else "no generations")


@generations_cli.command("drop")
def drop_generations(
    name: Annotated[str | None, typer.Argument(help="as `list` shows it")] = None,
    *,
    retired: Annotated[bool, typer.Option("--retired", help="All that are retired.")] = False,
    as_json: Json = False,
) -> None:
    """Remove generations for good; never the live one, nor one that a running rebuild makes."""
    if retired == (name is not None):
        raise typer.BadParameter("say either a name or --retired")
    try:
        with closing(Keyspace(AggregatorSettings())) as keys:
            names, number = drop_retired(keys) if name is None else ([name], drop_named(keys, name))
    except (RefusedError, PostponedError) as error:
        raise _fail(error) from error
    if as_json:
        _print_json({"dropped": names, "keys": number})
    else:
        _out.print(f"{number:,} keys of {', '.join(names)} removed" if names else "nothing is retired")


@generations_cli.command("restore")
def restore_generation() -> None:
    """Make a switch again that was done and that Redis lost: workers and the API say where that is needed."""
    try:
        with closing(Keyspace(AggregatorSettings())) as keys:
            before, after = keys.registry.restore()
    except (RefusedError, PostponedError) as error:
        raise _fail(error) from error
    _out.print(f"generation {after.name} is live again, {before.name} is retired")


@dead_letters_cli.command("list")
def list_dead_letters(*, samples: int = 3, as_json: Json = False) -> None:
    """How many dead letters there are of each reason, and the keys of some."""
    dead_letters: dict[str, list[str]] = {}
    try:
        for dead_letter in DeadLetterTopic(AggregatorSettings()).read():
            dead_letters.setdefault(dead_letter.reason, []).append(dead_letter.key)
    except PostponedError as error:
        raise _fail(error) from error
    rows = [
        {"reason": reason, "letters": len(keys), "samples": keys[:samples]}
        for reason, keys in sorted(dead_letters.items())
    ]
    if as_json:
        _print_json({"reasons": rows})
    else:
        _out.print(_table("Dead letters", rows) if rows else "no dead letters")


@dead_letters_cli.command("show")
def show_dead_letter(key: Annotated[str, typer.Argument(help="topic:partition:offset")]) -> None:
    """The original bytes of one dead letter, on stdout."""
    try:
        found = next((each for each in DeadLetterTopic(AggregatorSettings()).read() if each.key == key), None)
    except PostponedError as error:
        raise _fail(error) from error
    if found is None:
        raise _fail(LookupError(f"no dead letter {key}"))
    _err.print(f"{found.reason}, recorded {iso(found.timestamp)}", highlight=False)
    sys.stdout.buffer.write(found.value or b"")


@dead_letters_cli.command("redrive")
def redrive_dead_letters(
    *,
    reason: Reason = None,
    old: Annotated[bool, typer.Option("--old", help="Also records of more than 14 days ago.")] = False,
) -> None:
    """Put dead letters back on the events topic, with their own key and time. Doing it twice counts once."""
    try:
        now_ms = time.time_ns() // 1_000_000
        done = DeadLetterTopic(AggregatorSettings()).redrive(reason=reason, now_ms=now_ms, old=old)
    except (PostponedError, CannotRedriveError) as error:
        raise _fail(error) from error
    _out.print(f"{done.dead_letters:,} records are on the events topic again")
    if done.left:
        _out.print(f"{done.left:,} are too large and were left: their dead letters hold only a part of them")
    if done.old:
        _out.print(f"{done.old:,} of them are more than 14 days old: now run `python -m aggregator rebuild`")


@dead_letters_cli.command("purge")
def purge_dead_letters(*, yes: Annotated[bool, typer.Option("--yes", help="Do it.")] = False) -> None:
    """Delete all dead letters there are now."""
    if not yes:
        raise typer.BadParameter("this cannot be undone: say --yes")
    try:
        _out.print(f"{DeadLetterTopic(AggregatorSettings()).purge():,} records deleted")
    except PostponedError as error:
        raise _fail(error) from error


def _show_plan(plan: Plan, processes: int, *, as_json: bool) -> None:
    rows = [
        {"partition": number, "from": plan.start[number], "to": plan.stop[number]}
        for number in sorted(plan.stop)
    ]
    if as_json:
        _print_json(
            {
                "partitions": rows,
                "records": plan.records,
                "partial": plan.partial,
                "resumes": plan.resumed.name if plan.resumed else None,
                "seconds_expected": round(plan.seconds),
                "process_bytes_expected": processes * BYTES_A_PROCESS,
                "redis_bytes_expected": plan.more_bytes,
                "redis_bytes_used": plan.used,
                "redis_bytes_limit": plan.limit or None,
            }
        )
        return
    _out.print(_table("What would be counted", rows))
    _out.print(
        f"{plan.records:,} records: about {timedelta(seconds=round(plan.seconds))} at {RECORDS_A_SECOND:,} a"
        " second, as measured beside live traffic on two cores"
    )
    _out.print(
        f"memory: Redis holds {plan.used:,} bytes now and would need up to {plan.more_bytes:,} more until the"
        f" old generation is dropped; {processes} processes of up to {BYTES_A_PROCESS:,}"
    )
    if plan.resumed:
        _out.print(f"goes on with generation {plan.resumed.name}")
    if plan.partial:
        _out.print(f"partial: {plan.partial}")


def _show_report(report: Report, *, as_json: bool) -> None:
    rows = [_difference(each, "new", "old") for each in report.examples]
    if as_json:
        _print_json(
            {
                "generation": report.generation,
                "previous": report.previous,
                "records": report.records,
                "seconds": round(report.seconds, 3),
                "partial": report.partial,
                "resumed": report.resumed,
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
    _out.print(
        f"{report.records:,} records in {report.seconds:,.1f} s; generation {report.generation} is live"
        + (f", {report.previous} is retired" if report.previous else "")
    )
    if report.partial:
        _out.print(f"partial: {report.partial}")
    if report.not_compared:
        _out.print(f"not compared: {report.not_compared}")
    elif report.previous:
        _out.print(f"{report.compared:,} tenants compared: {report.differing:,} cells differ")
    if rows:
        _out.print(_table("Cells that differ", rows))
    if report.wrong:
        _out.print(
            f"the rules are equal, so {report.previous} was wrong there: it is kept, and not dropped in this"
            f" run. Once the cause is known: `python -m aggregator generations drop {report.previous}`"
        )
    if not report.workers_seen:
        _out.print("no worker counts into it yet: start workers with the same rules")


def _difference(each: Difference, log: str = "log", redis: str = "redis") -> dict[str, Any]:
    cell = each.cell._asdict() | {"hour": None if each.cell.hour is None else iso(each.cell.hour)}
    return {**cell, log: each.log, redis: each.redis}


def _table(title: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(title=title)
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    return table


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return "" if value is None else str(value)


def _print_json(what: dict[str, Any]) -> None:
    print(json.dumps(what))  # noqa: T201  # the result
