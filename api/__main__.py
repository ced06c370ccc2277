"""`python -m api`: serve the metrics API until SIGTERM or SIGINT; `keys`, `health`: commands beside it."""

import gc
import sys
from typing import Final

import structlog
import typer

from api.config import ApiSettings
from api.keys import commands
from api.keys.follower import KeyFollower
from api.senders.commands import HELP, health
from schemas.shared import logs
from schemas.shared.server import Ports, PortTakenError, Stop, serve
from schemas.shared.settings import describe
from schemas.shared.startup import wrong_settings_in_a_line
from schemas.shared.traces import start

log = structlog.get_logger("api")

SWITCH_S: Final = 0.0005
"""For how long a thread has the interpreter while others want it. Long answers are made in threads, and the
event loop wants it back some ten times for each short one; by default it would wait for 5 ms each time."""

cli = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="\b\nSettings, from the environment:\n" + describe(ApiSettings) + "\n" + start.HELP,
)
cli.add_typer(commands.cli, name="keys")
cli.command(name="health", help=HELP)(health)


@cli.callback(invoke_without_command=True)
def main(context: typer.Context) -> None:
    """Serve the metrics API, until SIGTERM or SIGINT. `keys` manages its keys, `health` looks at tenants."""
    if context.invoked_subcommand is not None:
        return
    logs.configure()
    # The commands start in half the time without these.
    from api.app import create_app  # noqa: PLC0415
    from api.http.health import ready_together  # noqa: PLC0415
    from api.metrics import GAUGES  # noqa: PLC0415
    from schemas.shared.processes.fork import in_processes  # noqa: PLC0415
    from schemas.shared.processes.together import Rules  # noqa: PLC0415
    from schemas.shared.traces.requests import traced  # noqa: PLC0415

    settings = ApiSettings()
    try:
        with Ports(settings.api_port, settings.metrics_port) as ports:
            others = in_processes(settings.api_processes, ports, Rules(GAUGES, ready_together))
            stop = Stop()
            # Whoever watches over the program starts it again.
            keys = KeyFollower(settings, on_failure=stop.ask)
            app = create_app(settings, keys=keys, first=others is None or others.first)
            # What is there by now is there to stay. Each full collection would look through all of it, and
            # hold up every request for some 50 ms meanwhile.
            sys.setswitchinterval(SWITCH_S)
            gc.collect()
            gc.freeze()
            with start.kept_traces("api"):
                served = traced(app, follows=True)
                serve(served, ports, grace_s=settings.shutdown_grace_s, stop=stop, others=others)
    except PortTakenError as error:
        log.error(  # noqa: TRY400  # one clear line
            "cannot listen, stop the other program or set API_PORT or METRICS_PORT", reason=error.strerror
        )
        raise typer.Exit(1) from error
    if keys.failed:
        raise typer.Exit(1)


def run() -> None:
    """Enter here: `ses-metrics-api` and `python -m api`, which `--help` tells apart."""
    with wrong_settings_in_a_line():
        cli()


if __name__ == "__main__":
    run()
