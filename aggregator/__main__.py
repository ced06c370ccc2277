"""`python -m aggregator`: the worker; `rebuild`, `verify`, `audit`, `generations`, `dead-letters`."""

import asyncio
import logging
from typing import Final

import typer

from aggregator import commands
from aggregator.config import AggregatorSettings, AuditSettings
from aggregator.proof.audit_process import AuditProgram
from aggregator.worker.process import Program
from schemas.shared import logs
from schemas.shared.settings import describe
from schemas.shared.startup import wrong_settings_in_a_line

_HELP: Final = f"""Count the events topic into Redis, until SIGTERM or SIGINT.

Any number of workers may run, also on one host; they share the partitions out.

\b
  GET  /livez          200 while the loop that counts runs
  GET  /readyz         200 while the worker counts, else 503, and why
  GET  /metrics        for Prometheus

\b
Settings, from the environment:
{describe(AggregatorSettings)}

\b
Exit codes: 0 stopped; 1 it can't start, and says why; 3 most records could not be read.
"""

_AUDIT_HELP: Final = f"""Compare days of tenants with a recount of the log, for ever, until SIGTERM or SIGINT.

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

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
cli.command()(commands.rebuild)
cli.command()(commands.verify)
cli.add_typer(commands.generations_cli, name="generations")
cli.add_typer(commands.dead_letters_cli, name="dead-letters")


@cli.command(help=_AUDIT_HELP)
def audit() -> None:
    """Run the process that audits."""
    logs.configure()
    raise typer.Exit(asyncio.run(AuditProgram(AuditSettings()).run()))


@cli.callback(invoke_without_command=True, help=_HELP)
def main(context: typer.Context) -> None:
    """Run a worker."""
    if context.invoked_subcommand is not None:
        return
    logs.configure()
    services = "aggregator.log.faust_app", "aggregator.log.faust_transport"
    for chatty in ("faust", "mode", "aiokafka", *services):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    raise typer.Exit(asyncio.run(_run(AggregatorSettings())))


async def _run(settings: AggregatorSettings) -> int:
    return await Program(settings).run()


def run() -> None:
    """Enter here: `ses-metrics-aggregator` and `python -m aggregator`, which `--help` tells apart."""
    with wrong_settings_in_a_line():
        cli()


if __name__ == "__main__":
    run()
