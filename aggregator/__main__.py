"""`python -m aggregator`: the worker, and the commands of `aggregator.commands`.

The worker, and so Faust, is imported where one runs: the commands start in less time without it.
"""

import asyncio
import logging
from typing import Final

import typer

from aggregator.commands import (
    archive,
    catch_up,
    dead_letters,
    erase,
    explain,
    generations,
    proof,
    rebuild,
)
from aggregator.config import AggregatorSettings
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

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
cli.command()(rebuild.rebuild)
cli.command("catch-up")(catch_up.catch_up)
cli.command()(proof.verify)
cli.command(help=proof.AUDIT_HELP)(proof.audit)
cli.command()(proof.recount)
cli.command()(explain.explain)
cli.command()(erase.erase)
cli.add_typer(archive.cli, name="archive")
cli.add_typer(generations.cli, name="generations")
cli.add_typer(dead_letters.cli, name="dead-letters")


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
    from aggregator.worker.process import Program  # noqa: PLC0415  # see above

    return await Program(settings).run()


def run() -> None:
    """Enter here: `ses-metrics-aggregator` and `python -m aggregator`, which `--help` tells apart."""
    with wrong_settings_in_a_line():
        cli()


if __name__ == "__main__":
    run()
