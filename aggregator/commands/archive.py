"""`archive`: the topic as Parquet files, for years and without the addresses.

pyarrow is imported where the archive is asked for: workers start without it, and have its memory to spare.
"""

import asyncio
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Final

import typer

from aggregator.commands.arguments import Json
from aggregator.commands.output import errors_in_a_line, failed, out, print_json, table
from aggregator.config import ArchiveSettings
from aggregator.errors import RefusedError
from aggregator.log.erasures import ErasureTopic
from schemas.shared import logs
from schemas.shared.settings import describe

if TYPE_CHECKING:
    from aggregator.archive.store import Store

HELP: Final = f"""Write the events topic into an archive, without the addresses, until SIGTERM or SIGINT.

It goes on where the archive ends. Any number may run; one is enough.

\b
  GET  /livez          200
  GET  /readyz         200, or 503 and why nothing can be archived
  GET  /metrics        for Prometheus: archive_complete_through_timestamp_seconds and more

\b
Settings, from the environment:
{describe(ArchiveSettings)}

\b
Exit codes: 0 stopped; 1 it must not or can't, and says why; 2 a setting is wrong.
"""

cli = typer.Typer(help=HELP, invoke_without_command=True)


class _WithoutKeyError(RefusedError):
    """Pseudonyms without a key."""


@cli.callback(invoke_without_command=True)
def archive(
    context: typer.Context,
    *,
    once: Annotated[bool, typer.Option("--once", help="Up to where the topic ends now, then exit.")] = False,
    trim_days: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Delete from the topic what is archived, counted and so many days old. `rebuild`, `verify`"
            " and `audit` take it from the archive then, where ARCHIVE_URL is set for them.",
        ),
    ] = None,
    without_key: Annotated[
        bool, typer.Option("--without-key", help="Also where RECIPIENT_KEY is empty.")
    ] = False,
) -> None:
    """Run the process that archives."""
    if context.invoked_subcommand is not None:
        return
    logs.configure()
    settings = ArchiveSettings()
    store = store_of(settings)
    if not settings.recipient_key and not without_key:
        raise failed(
            _WithoutKeyError(
                "RECIPIENT_KEY is empty: whoever can read the archive finds out by trying whether an address"
                " is in it, for as long as there is a file. Set the key (workers count by the same one), or"
                " say --without-key"
            )
        )
    from aggregator.archive.archiver import Archiver  # noqa: PLC0415  # see above
    from aggregator.archive.process import ArchiveProgram  # noqa: PLC0415

    if once:
        with errors_in_a_line():
            Archiver(settings, store, trim_days).run(threading.Event(), once=True)
    else:
        raise typer.Exit(asyncio.run(ArchiveProgram(settings, store, trim_days).run()))


def store_of(settings: ArchiveSettings) -> "Store":
    """The store of the archive that the settings name. Raises: typer.BadParameter."""
    from aggregator.archive.store import Store  # noqa: PLC0415

    if not settings.archive_url:
        raise typer.BadParameter(
            "ARCHIVE_URL says where the archive is, as file:///var/lib/ses-metrics/archive"
        )
    try:
        return Store(settings.archive_url)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@cli.command("erase")
def erase_archive(*, as_json: Json = False) -> None:
    """Go through all files again and erase what `erase` has written down, with the settings of the workers.

    `python -m aggregator erase` does it too, where ARCHIVE_URL is set.
    """
    logs.configure()
    settings = ArchiveSettings()
    store = store_of(settings)
    with errors_in_a_line():
        number = erase_in_archive(settings, store)
    if as_json:
        print_json({"files": number})
    else:
        out.print(f"{number:,} files were written anew")


def erase_in_archive(settings: ArchiveSettings, store: "Store") -> int:
    """Erase in an archive all that is written down. Returns: how many files were written anew.

    Raises: PostponedError of any kind.
    """
    from aggregator.archive.erase import Erasing, erase_all  # noqa: PLC0415  # see above

    with closing(ErasureTopic(settings)) as topic:
        return erase_all(store, Erasing(settings.rules, topic.read()))


@cli.command("check")
def check_archive(*, as_json: Json = False) -> None:
    """Read all of the archive: holes, overlaps that disagree, files that cannot be read. Exits 1 on any."""
    from aggregator.archive.check import check  # noqa: PLC0415

    settings = ArchiveSettings()
    with errors_in_a_line():
        report = check(store_of(settings))
    rows = [each._asdict() for each in report.faults]
    if as_json:
        print_json({"files": report.files, "rows": report.rows, "faults": rows})
    else:
        if rows:
            out.print(table("Faults of the archive", rows))
        out.print(f"{report.files:,} files with {report.rows:,} rows: {len(rows):,} faults")
    if rows:
        raise typer.Exit(1)
