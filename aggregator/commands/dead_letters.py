"""`dead-letters`: list, show, redrive and purge what could not be read."""

import sys
import time
from typing import Annotated

import typer

from aggregator.commands.arguments import Json
from aggregator.commands.output import err, errors_in_a_line, failed, out, print_json, table
from aggregator.config import AggregatorSettings
from aggregator.counting.timestamps import iso
from aggregator.log.redrive import CannotRedriveError, DeadLetterTopic

cli = typer.Typer(no_args_is_help=True, help="What could not be read: list, show, redrive, purge.")


@cli.command("list")
def list_dead_letters(*, samples: int = 3, as_json: Json = False) -> None:
    """How many dead letters there are of each reason, and the keys of some."""
    found: dict[str, list[str]] = {}
    with errors_in_a_line():
        for each in DeadLetterTopic(AggregatorSettings()).read():
            found.setdefault(each.reason, []).append(each.key)
    rows = [
        {"reason": reason, "letters": len(keys), "samples": keys[:samples]}
        for reason, keys in sorted(found.items())
    ]
    if as_json:
        print_json({"reasons": rows})
    else:
        out.print(table("Dead letters", rows) if rows else "no dead letters")


@cli.command("show")
def show_dead_letter(key: Annotated[str, typer.Argument(help="topic:partition:offset")]) -> None:
    """The original bytes of one dead letter, on stdout."""
    with errors_in_a_line():
        found = next((each for each in DeadLetterTopic(AggregatorSettings()).read() if each.key == key), None)
    if found is None:
        raise failed(LookupError(f"no dead letter {key}"))
    err.print(f"{found.reason}, recorded {iso(found.timestamp)}", highlight=False)
    sys.stdout.buffer.write(found.value or b"")


@cli.command("redrive")
def redrive_dead_letters(
    *,
    reason: Annotated[str | None, typer.Option(help="Only dead letters of this reason.")] = None,
    old: Annotated[bool, typer.Option("--old", help="Also records of more than 14 days ago.")] = False,
) -> None:
    """Put dead letters back on the events topic, with their own key and time. Doing it twice counts once."""
    with errors_in_a_line(CannotRedriveError):
        now_ms = time.time_ns() // 1_000_000
        done = DeadLetterTopic(AggregatorSettings()).redrive(reason=reason, now_ms=now_ms, old=old)
    out.print(f"{done.dead_letters:,} records are on the events topic again")
    if done.left:
        out.print(f"{done.left:,} are too large and were left: their dead letters hold only a part of them")
    if done.old:
        out.print(f"{done.old:,} of them are more than 14 days old: now run `python -m aggregator rebuild`")


@cli.command("purge")
def purge_dead_letters(*, yes: Annotated[bool, typer.Option("--yes", help="Do it.")] = False) -> None:
    """Delete all dead letters there are now."""
    if not yes:
        raise typer.BadParameter("this cannot be undone: say --yes")
    with errors_in_a_line():
        out.print(f"{DeadLetterTopic(AggregatorSettings()).purge():,} records deleted")
