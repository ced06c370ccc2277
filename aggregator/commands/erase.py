"""`erase`: take a tenant's past away."""

import time
from typing import Annotated

import typer

from aggregator.commands.archive import erase_in_archive, store_of
from aggregator.commands.arguments import Json, instant
from aggregator.commands.output import errors_in_a_line, out, print_json
from aggregator.config import ArchiveSettings
from aggregator.counting.decode import ID_MAX_BYTES
from aggregator.counting.timestamps import iso_ms
from aggregator.erasure.erase import Erase
from schemas.shared import logs


def erase(
    *,
    tenant: Annotated[str, typer.Option(help="Whose past: the value of its tag, or DEFAULT_TENANT.")],
    through: Annotated[
        str | None,
        typer.Option(
            help="Records of the topic up to this time, of the last 24 hours; now if not said. The time of an"
            " erasure that was not brought to its end: that is gone on with."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    r"""Erase a tenant, for good: all that was counted of its records until now.

    It is written to the topic of erasures, which all that counts, compares and rebuilds reads; then the
    counters are removed, in retired generations too, and the rows of the archive where ARCHIVE_URL is set.
    Counting, archiving and the API go on meanwhile. Where it fails half way it names the time to go on with;
    workers and archivers go on with it by themselves.

    \b
    Not removed here: the records in Kafka and the dead letters (retention, `archive --trim-days`,
    `dead-letters purge`), the API keys (`python -m api keys revoke --tenant`). deploy/privacy.md has it all.
    """
    logs.configure()
    if not 0 < len(tenant.encode(errors="replace")) <= ID_MAX_BYTES:
        raise typer.BadParameter(f"a tenant has 1 to {ID_MAX_BYTES} bytes of UTF-8")
    now_ms = time.time_ns() // 1_000_000
    settings = ArchiveSettings()
    store = store_of(settings) if settings.archive_url else None
    with errors_in_a_line():
        erased = Erase(settings).run(tenant, instant(through), now_ms)
        files = None if store is None else erase_in_archive(settings, store)
    if as_json:
        print_json(
            {
                "tenant": tenant,
                "through": iso_ms(erased.through_ms),
                "generations": erased.generations,
                "left": erased.left,
                "archive_files": files,
            }
        )
        return
    out.print(f"{tenant} is erased through {iso_ms(erased.through_ms)}", highlight=False)
    for name in erased.generations:
        out.print(f"its counters of generation {name} are gone", highlight=False)
    for name, why in erased.left.items():
        out.print(f"generation {name} is left to others: {why}", highlight=False)
    if files is not None:
        out.print(f"its rows are gone from {files:,} files of the archive", highlight=False)
