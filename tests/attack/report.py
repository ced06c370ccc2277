"""What the attacks came to: as a file, and as a table."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from tests.attack.measure import MIB
from tests.chaos.report import markdown

COLUMNS = ("attack", "what held", "tries", "Valkey ms", "API ms", "webhook ms", "grew MiB")


class Row(msgspec.Struct, kw_only=True):
    """One attack.

    held: what it must leave unharmed, in words. valkey_ms: the worst that a call took or a PING waited;
    api_ms, webhook_ms: the worst for the innocent. grown: the most that any program grew, in bytes. broke: in
    words, nothing where it was held.
    """

    name: str
    tries: int
    held: str
    valkey_ms: float = 0.0
    api_p99_ms: float = 0.0
    api_ms: float = 0.0
    webhook_ms: float = 0.0
    grown: int = 0
    seconds: float = 0.0
    broke: list[str] = []

    def cells(self) -> tuple[str, ...]:
        """As the table shows it."""
        return (
            self.name,
            "**BROKE**" if self.broke else self.held,
            f"{self.tries:,}",
            f"{self.valkey_ms:,.0f}",
            f"{self.api_ms:,.0f}",
            f"{self.webhook_ms:,.0f}",
            f"{self.grown / MIB:,.0f}",
        )


def table(rows: Sequence[Row]) -> str:
    """All attacks in Markdown, and below it what broke."""
    broke = [f"- {row.name}: {what}" for row in rows for what in row.broke]
    lines = markdown(COLUMNS, [row.cells() for row in rows], left=2)
    return "\n".join([*lines, *(["", *broke] if broke else [])])


def all_held(rows: Iterable[Row]) -> bool:
    """Whether nothing broke."""
    return not any(row.broke for row in rows)


def write(rows: Sequence[Row], path: Path) -> None:
    """Keep a report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=1) + b"\n")


def read(path: Path) -> list[Row]:
    """A report that was kept."""
    return msgspec.json.decode(path.read_bytes(), type=list[Row])
