"""`verify`, `audit` and `recount`: the log counted again, and compared with Redis.

DuckDB and pyarrow are imported where something is counted: workers start without them.
"""

import asyncio
import time
from random import SystemRandom
from typing import Annotated, Final
from urllib.parse import unquote, urlsplit

import typer

from aggregator.commands.arguments import Json, instant
from aggregator.commands.output import (
    ROWS_SHOWN,
    covered_json,
    errors_in_a_line,
    failed,
    out,
    print_json,
    row,
    show_coverage,
    table,
)
from aggregator.config import ArchiveSettings, AuditSettings, ProofSettings
from aggregator.errors import OtherLogError
from aggregator.proof.law import script, views
from schemas.shared import logs
from schemas.shared.settings import describe

AUDIT_HELP: Final = f"""Compare days of tenants with a recount of the log, for ever, until SIGTERM or SIGINT.

The days are drawn at random. It changes nothing and runs beside the service, at the lowest priority.

\b
  GET  /livez          200
  GET  /readyz         200, or 503 and why nothing could be audited
  GET  /metrics        for Prometheus: audit_mismatch_total and more

\b
Settings, from the environment:
{describe(AuditSettings)}

\b
Exit codes: 0 stopped; 1 it can't start, and says why.
"""


def verify(
    *,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    since: Annotated[str | None, typer.Option(help="Only quarter-hours from this time on.")] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Tenants chosen at random, until they have so many cells.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Count the log again and compare with what Redis holds; exits 1 if anything differs.

    It may run beside live traffic. Of a log that has lost its beginning, it compares the cells that the log
    can speak for, and says which; exits 1 where these are none. Of the others it finds what Redis has lost.
    """
    from aggregator.proof.verify import Verifier  # noqa: PLC0415  # see above

    logs.configure()
    settings = ProofSettings()
    with errors_in_a_line(ValueError):  # a counter in Redis is damaged
        result = Verifier(settings).verify(
            time.time_ns() // 1_000_000,
            tenant=tenant,
            since_ms=instant(since),
            sample=sample,
            random=SystemRandom() if sample else None,
        )
    rows, lost = ([row(each) for each in found] for found in (result.differences, result.lost))
    if as_json:
        print_json(
            {
                "generation": result.generation,
                "tenants": result.tenants,
                "cells": result.cells,
                "records": result.records,
                "differences": rows,
                "not_compared": result.uncovered,
                "lost": lost,
                **covered_json(result.coverage),
            }
        )
    else:
        if rows:
            out.print(table("Cells that differ", rows[:ROWS_SHOWN]))
        if len(rows) > ROWS_SHOWN:
            out.print(f"and {len(rows) - ROWS_SHOWN:,} more: --json gives all")
        out.print(
            f"{result.cells:,} cells of {result.tenants:,} tenants against {result.records:,} records:"
            f" {len(rows):,} differ"
        )
        show_coverage(result.coverage)
        if lost:
            out.print(table("Up to and with these, Redis holds fewer than the log", lost[:ROWS_SHOWN]))
        if result.uncovered:
            out.print(f"{result.uncovered:,} cells were not compared: the log cannot speak for them")
    if result.uncovered and not result.cells:
        raise failed(OtherLogError("the log can speak for no cell that was asked for: nothing was compared"))
    if rows or lost:
        raise typer.Exit(1)


def audit() -> None:
    """Run the process that audits, until SIGTERM or SIGINT."""
    from aggregator.proof.audit_process import AuditProgram  # noqa: PLC0415  # see above

    logs.configure()
    program = AuditProgram(AuditSettings())
    program.leave(asyncio.run(program.run()))


def recount(
    *,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL that counts the archive.")] = False,
    for_queries: Annotated[
        bool, typer.Option("--views", help="Print its views alone, for queries as in deploy/examples.")
    ] = False,
) -> None:
    """Print the law of counting as SQL, with the rules of the settings filled in.

    DuckDB runs it over the archive of ARCHIVE_URL: `python -m aggregator recount --sql | duckdb`. To count
    and compare with Redis there are `verify` and `audit`.

    It asks no Kafka, so its table `erasures` is empty. What was erased in the archive counts for nothing all
    the same; where `archive erase` was not run yet, insert the tenant and its time.
    """
    if sql == for_queries:
        raise typer.BadParameter("say --sql or --views: it prints what counts, and counts nothing itself")
    settings = ArchiveSettings()
    url = urlsplit(settings.archive_url or "file:///archive")
    # neither region and endpoint, which DuckDB has in a secret, nor a login
    bucket = f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
    archive = unquote(url.path) if url.scheme == "file" else bucket
    printed = views if for_queries else script
    print(printed(settings.rules, archive.rstrip("/")), end="")  # noqa: T201  # the result
