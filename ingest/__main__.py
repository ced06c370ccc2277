"""`python -m ingest`: the webhook, until SIGTERM or SIGINT."""

import sys
from typing import Final

import typer

from ingest.config import IngestSettings
from ingest.http.app import create_app
from ingest.metrics import GAUGES
from schemas.shared import logs
from schemas.shared.processes.fork import in_processes
from schemas.shared.processes.together import Rules
from schemas.shared.server import FaultError, Ports, PortTakenError, Stop, serve
from schemas.shared.settings import describe
from schemas.shared.startup import wrong_settings_in_a_line
from schemas.shared.traces.requests import traced
from schemas.shared.traces.start import HELP, kept_traces

_HELP: Final = f"""Take Amazon SES events from SNS and write them to Kafka.

\b
  POST /webhooks/sns   SNS's HTTP(S) subscription
  GET  /livez          200 while the process runs
  GET  /readyz         200 while Kafka and the events topic can be reached, else 503
  GET  /metrics        for Prometheus

\b
Settings, from the environment:
{describe(IngestSettings)}
{HELP}

\b
Exit codes: 0 stopped by SIGTERM or SIGINT; 1 it can't start or go on, and says why.
"""

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@cli.command(help=_HELP)
def main() -> None:
    """Serve until a signal says stop."""
    logs.configure()
    try:
        settings = IngestSettings()
        with Ports(settings.ingest_port, settings.metrics_port) as ports:
            others = in_processes(settings.ingest_processes, ports, Rules(GAUGES))
            stop = Stop()
            with kept_traces("ingest"):
                app = traced(create_app(settings, stop=stop), follows=False)
                serve(app, ports, grace_s=settings.shutdown_grace_s, stop=stop, others=others)
    except FaultError as error:
        sys.exit(f"ingest: {error}")
    except PortTakenError as error:
        sys.exit(f"ingest: {error.strerror}; stop it, or set INGEST_PORT or METRICS_PORT")


def run() -> None:
    """Enter here: `ses-metrics-ingest` and `python -m ingest`, which `--help` tells apart."""
    with wrong_settings_in_a_line():
        cli()


if __name__ == "__main__":
    run()
