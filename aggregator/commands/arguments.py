"""Arguments and options that several commands have, and how their texts are read."""

import re
from datetime import UTC, datetime
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, for scripts.")]
"""Type of the option that all commands with results have."""


def instant(text: str | None) -> int | None:
    """An ISO 8601 date or time (UTC where it names no zone) as ms since 1970; none for none.

    Raises: typer.BadParameter.
    """
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no ISO 8601 date or time") from None
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)


def offsets(texts: list[str]) -> dict[int, int]:
    """Texts PARTITION:OFFSET as offsets by partition.

    Raises: typer.BadParameter where one has another form, or names a partition again.
    """
    found: dict[int, int] = {}
    for text in texts:
        parts = re.fullmatch(r"(\d+):(\d+)", text, re.ASCII)
        if parts is None or int(parts[1]) in found:
            raise typer.BadParameter(f"{text!r} is no PARTITION:OFFSET, or names a partition again")
        found[int(parts[1])] = int(parts[2])
    return found
