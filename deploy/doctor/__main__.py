"""`python -m deploy.doctor`: examine, and say what is wrong and what to do about it."""

import json
import logging
import sys
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.clock import now_ms
from deploy.doctor import site
from deploy.doctor.check import Row, State, is_healthy
from deploy.doctor.examination import examination
from deploy.doctor.send import TENANT, Sending
from deploy.doctor.site import Site
from schemas.shared import logs
from schemas.shared.startup import wrong_settings_in_a_line

_HELP: Final = f"""Look for what people get wrong, and say what to do about it.

It reads the settings that ingest, the aggregator and the API would read here, or those of the programs that
are named, asks Kafka, Redis, SNS's host and the programs themselves, and writes nothing. What its user may
not see is skipped. The rights that it checks are those of the user that it logs in as: where each program has
one of its own, run it once with the settings of each, and name that program.

\b
With --send it writes: a test event of the tenant {TENANT} to SNS (or, on a stack of
`make run`, to the webhook), and an API key that works for an hour. It follows the event to the
API, and says how long each step took.

\b
Exit codes: 0 no problem; 1 problems, or something else could not be done; 2 the command line is wrong.
"""

PIPED_WIDTH: Final = 100_000
"""Of a table that does not go to a terminal: as wide as what it holds."""

_COLOURS: Final = {State.OK: "green", State.PROBLEM: "bold red", State.SKIPPED: "yellow"}

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


class Program(StrEnum):
    """What can be chosen."""

    INGEST = "ingest"
    AGGREGATOR = "aggregator"
    API = "api"


@cli.command(help=_HELP)
def main(  # noqa: PLR0917 - typer's options
    programs: Annotated[
        list[Program] | None, typer.Argument(metavar="[ingest|aggregator|api]...", help="Default: all.")
    ] = None,
    env_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="More settings; the environment goes first."),
    ] = None,
    ingest_url: Annotated[str | None, typer.Option(help="Where ingest is. Default: this host.")] = None,
    aggregator_url: Annotated[str | None, typer.Option(help="Where a worker is. Default: this host.")] = None,
    api_url: Annotated[str | None, typer.Option(help="Where the API is. Default: this host.")] = None,
    send: Annotated[bool, typer.Option("--send", help="Follow a test event: this writes.")] = False,
    key: Annotated[
        str, typer.Option(help=f"With --send: an API key of {TENANT}, so that none is made.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Examine what is chosen."""
    if key and not send:
        raise typer.BadParameter("--key is for --send")
    logs.configure(logging.CRITICAL)  # what goes wrong is a finding
    found = site.read(programs or list(Program), env_file)
    given = {"ingest": ingest_url, "aggregator": aggregator_url, "api": api_url}
    rows = list(examination(found, addresses(found, given), now_ms, Sending(key) if send else None))
    print_json(rows) if as_json else print_table(rows)
    raise typer.Exit(0 if is_healthy(rows) else 1)


def addresses(found: Site, given: Mapping[str, str | None]) -> dict[str, str]:
    """Where programs answer: as given, else this host; one whose port is any free one is left out."""
    ports = {
        "ingest": found.ingest and found.ingest.ingest_port,
        "aggregator": found.aggregator and found.aggregator.aggregator_port,
        "api": found.api and found.api.api_port,
    }
    urls = {
        name: (given.get(name) or "").rstrip("/") or (f"http://127.0.0.1:{port}" if port else "")
        for name, port in ports.items()
        if name in found.names
    }
    return {name: url for name, url in urls.items() if url}


def print_table(rows: Iterable[Row]) -> None:
    """For a person."""
    table = Table("check", "state", "what", "fix", title="ses-metrics doctor", title_justify="left")
    for column in table.columns[2:]:
        column.overflow = "fold"
    for row in rows:
        finding = row.finding
        state = Text(finding.state, style=_COLOURS[finding.state])
        table.add_row(row.check, state, Text(finding.what), Text(finding.fix))
    Console(width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table)


def print_json(rows: Iterable[Row]) -> None:
    """For a program."""
    rows = list(rows)
    findings = [
        {"check": row.check, "state": row.finding.state, "what": row.finding.what, "fix": row.finding.fix}
        for row in rows
    ]
    print(json.dumps({"healthy": is_healthy(rows), "findings": findings}))


def run() -> None:
    """Enter here: `ses-metrics-doctor` and `python -m deploy.doctor`, which `--help` tells apart."""
    with wrong_settings_in_a_line():
        cli()


if __name__ == "__main__":
    run()
