"""`python -m api health`: which tenants SES would worry about.

It reads Redis and needs neither Kafka nor an API. What it prints is what each tenant is answered with
`include=health&from=` the first of the days.
"""

import asyncio
import json
import logging
from typing import Annotated, Any, Final

import typer

from api.clock import now_ms
from api.config import ApiSettings
from api.counters.connection import connect
from api.counters.lanes import partitions_of_all
from api.counters.reader import CounterReader
from api.errors import ApiError
from api.query.freshness import complete_through
from api.query.instants import format_instant
from api.sender_health import SENT_LEAST, Watched
from api.senders.survey import WORST, Sender, last_days, sender, senders
from schemas.instants import DAY_MS
from schemas.shared import logs

IN_TROUBLE: Final = WORST[:2]
CRITICAL: Final = 3
"""The exit code where somebody is critical; 2 is a wrong command line."""

DAYS_MAX: Final = 366
TOLD_EACH: Final = 10_000
"""Tenants, after each so many of which it is said how many were read."""

HELP: Final = f"""Print which tenants SES would worry about: over the last days of UTC, today among them.

Bounces are bounced_hard / sent, complaints complained / delivered. With fewer than {SENT_LEAST:,} sent there
is nothing to say. With --all only those in warning or critical are printed, the worst first.

\b
Exit codes: 0 nobody is critical; 1 it can't be told, and says why; 3 somebody is critical.
"""


def health(
    tenant: Annotated[str | None, typer.Argument(help="One tenant, whatever its health.")] = None,
    *,
    of_all: Annotated[bool, typer.Option("--all", help="All tenants that are in trouble.")] = False,
    days: Annotated[int, typer.Option(min=1, max=DAYS_MAX, help="How many, with today.")] = 7,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """See `HELP`."""
    if of_all == (tenant is not None):
        raise typer.BadParameter("name a TENANT, or say --all")
    logs.configure(logging.ERROR)  # what goes wrong is said in a line of our own
    settings, now = ApiSettings(), now_ms()
    span = last_days(now, days)
    try:
        found, through_ms = asyncio.run(_look(settings, tenant, span))
    except ApiError as error:
        typer.echo(error.detail, err=True)
        raise typer.Exit(1) from error
    found.sort(key=lambda each: (WORST.index(each.status), -each.sent, each.tenant))
    through = None if through_ms is None else format_instant(through_ms)
    if as_json:
        body = {
            "from": format_instant(span.start * DAY_MS),
            "to": format_instant(now),
            "complete_through": through,
            "tenants": [_object(each) for each in found],
        }
        typer.echo(json.dumps(body, ensure_ascii=False))
    else:
        for each in found:
            typer.echo(_line(each))
        whom = f"tenants in trouble: {len(found):,}" if of_all else "it"
        typer.echo(f"{whom}, {days} days, counted up to {through or 'an unknown time'}", err=True)
        if not of_all and not found[0].sent:
            typer.echo("nothing was sent in these days; a tenant is called as its mails are tagged", err=True)
    if any(each.status == "critical" for each in found):
        raise typer.Exit(CRITICAL)


async def _look(settings: ApiSettings, tenant: str | None, days: range) -> tuple[list[Sender], int | None]:
    """Those to print, and up to when (ms) all is counted. Raises: ApiError."""
    reader = CounterReader(connect(settings.redis_reads))
    try:
        through_ms = complete_through(await partitions_of_all(reader))
        if tenant is not None:
            return [await sender(reader, tenant, days)], through_ms
        found: list[Sender] = []
        number = 0
        async for some in senders(reader, days):
            found += [each for each in some if each.status in IN_TROUBLE]
            before, number = number, number + len(some)
            if before // TOLD_EACH < number // TOLD_EACH:
                typer.echo(f"{number:,} tenants read", err=True)
        return found, through_ms
    finally:
        await reader.close()


def _object(each: Sender) -> dict[str, Any]:
    return {"tenant": each.tenant, "status": each.status, **each.counts, **each.health}


def _line(each: Sender) -> str:
    """A tenant in a line that nothing in its name can break."""
    name = each.tenant if each.tenant.isprintable() else repr(each.tenant)
    both = ", ".join(f"{what} {_rate(watched)}" for what, watched in _both(each))
    return f"{each.status}  {name}  sent {each.sent:,}, {both}"


def _both(each: Sender) -> tuple[tuple[str, Watched], ...]:
    return ("bounces", each.health["bounce"]), ("complaints", each.health["complaint"])


def _rate(watched: Watched) -> str:
    rate = watched["rate"]
    words = watched["status"].replace("_", " ")
    return words if rate is None else f"{100 * rate:.3f} % ({words})"
