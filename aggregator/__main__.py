"""`python -m aggregator`: the worker."""

import asyncio
import logging
import sys

import typer
from pydantic import ValidationError

from aggregator.config import AggregatorSettings
from aggregator.program import Program
from schemas import logs

cli = typer.Typer(add_completion=False, help="Count the events topic into Redis.", no_args_is_help=False)


@cli.callback(invoke_without_command=True)
def worker() -> None:
    """Run a worker until SIGINT or SIGTERM. Any number of them may run, also on one host.

    Settings are environment variables: KAFKA_BOOTSTRAP_SERVERS (and KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_*,
    KAFKA_SSL_*), REDIS_URL, REDIS_CLUSTER, EVENTS_TOPIC, DEAD_LETTER_TOPIC, CONSUMER_GROUP, DEFAULT_TENANT,
    TENANT_TAG, SEQUENCE_TAG, TEMPLATE_TAG, AGGREGATOR_PORT (0: any free one).

    Exit status: 0 stopped, 1 a port is taken, 2 a setting is wrong, 3 a flood of unreadable records.
    """
    logs.configure()
    for chatty in ("faust", "mode", "aiokafka", "aggregator.app", "aggregator.batches"):  # services of Faust
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        settings = AggregatorSettings()
    except ValidationError as error:
        print(f"settings: {error}", file=sys.stderr)  # noqa: T201 to a person
        raise typer.Exit(2) from None
    raise typer.Exit(asyncio.run(_run(settings)))


async def _run(settings: AggregatorSettings) -> int:
    return await Program(settings).run()


if __name__ == "__main__":
    cli(prog_name="python -m aggregator")
