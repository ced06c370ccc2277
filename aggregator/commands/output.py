"""What commands print: results on stdout, words for a person and errors on stderr."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from aggregator.counting.cells import Difference
from aggregator.errors import PostponedError, RefusedError
from aggregator.log.coverage import Coverage

PIPED_WIDTH: Final = 100_000
"""Of a table that does not go to a terminal: as wide as what it holds."""

ROWS_SHOWN: Final = 50
"""Of a table on a terminal; `--json` gives all."""

WITHOUT_DEAD_LETTER: Final = (
    "{:,} records of the archive were refused before any worker is known to have passed them: no dead letter"
    " of theirs can be written, as the topic no longer has them"
)
"""Of `rebuild` and `catch-up`: how many."""

err: Final = Console(stderr=True, soft_wrap=True)
out: Final = Console(soft_wrap=True, width=None if sys.stdout.isatty() else PIPED_WIDTH)


@contextmanager
def errors_in_a_line(*others: type[Exception]) -> Iterator[None]:
    """Print an error of the block in a line on stderr, and end the command with exit code 1.

    others: errors to be treated so beside RefusedError and PostponedError of any kind.
    Raises: typer.Exit.
    """
    expected: tuple[type[Exception], ...] = (RefusedError, PostponedError, *others)
    try:
        yield
    except expected as error:
        raise failed(error) from error


def failed(error: Exception) -> typer.Exit:
    """Print an error in a line on stderr. Returns: what to raise, for exit code 1."""
    err.print(f"[red]{type(error).__name__}[/]: {escape(str(error))}", highlight=False)
    return typer.Exit(1)


def print_json(what: dict[str, Any]) -> None:
    """Print the one JSON object of a command on stdout."""
    print(json.dumps(what))  # noqa: T201  # the result


def row(difference: Difference, log: str = "log", redis: str = "redis") -> dict[str, Any]:
    """A cell that differs as a row of a table or of JSON. log, redis: what the two sides are called."""
    return {**difference.cell.spelled(), log: difference.log, redis: difference.redis}


def covered_json(coverage: Coverage) -> dict[str, Any]:
    """What a log that has lost its beginning can speak for, for JSON; two empty lists where it has not."""
    return {
        "log_begins": [cut.spelled() for cut in coverage.cuts],
        "log_speaks_for": [{"since": since, "fields": fields} for since, fields in coverage.spans()],
    }


def show_coverage(coverage: Coverage) -> None:
    """Print the same for people; nothing where the log has its beginning."""
    if coverage.cuts:
        out.print(table("Where the log lacks records", [cut.spelled() for cut in coverage.cuts]))
        spans = [{"since": since, "fields": fields} for since, fields in coverage.spans()]
        out.print(table("What it can speak for all the same", spans))


def table(title: str, rows: list[dict[str, Any]]) -> Table:
    """Rows, at least one and all with the same keys, under these keys."""
    made = Table(title=title)
    for name in rows[0]:
        made.add_column(name, overflow="fold")
    for each in rows:
        made.add_row(*(_text(value) for value in each.values()))
    return made


def _text(value: Any) -> Text:
    """As it stands, whatever a tenant wrote into it: no mark-up, and nothing that a terminal would act on."""
    text = ", ".join(value) if isinstance(value, list) else "" if value is None else str(value)
    return Text(text if text.isprintable() else repr(text))
