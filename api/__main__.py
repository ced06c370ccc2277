"""`python -m api`: serve the metrics API until SIGTERM or SIGINT; `python -m api keys`: manage its keys."""

import gc
import sys

import structlog
import typer
from pydantic import ValidationError

from api import key_commands
from api.app import create_app
from api.config import ApiSettings
from schemas import logs
from schemas.http import PortTakenError, serve
from schemas.settings import complaint, describe

log = structlog.get_logger("api")

cli = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="\b\nSettings, from the environment:\n" + describe(ApiSettings),
)
cli.add_typer(key_commands.cli, name="keys")


@cli.callback(invoke_without_command=True)
def main(context: typer.Context) -> None:
    """Serve the metrics API, until SIGTERM or SIGINT. `keys` manages the API keys."""
    if context.invoked_subcommand is not None:
        return
    logs.configure()
    settings = ApiSettings()
    app = create_app(settings)
    # What is there by now is there to stay. Each full collection would look through all of it, and hold up
    # every request for some 50 ms meanwhile.
    gc.collect()
    gc.freeze()
    try:
        serve(app, port=settings.api_port, grace_s=settings.shutdown_grace_s)
    except PortTakenError as error:
        log.error("cannot listen, stop the other program or set API_PORT", reason=error.strerror)  # noqa: TRY400
        raise typer.Exit(1) from error


if __name__ == "__main__":
    try:
        cli(prog_name="python -m api")
    except ValidationError as error:
        sys.exit(f"wrong setting: {complaint(error)}")
