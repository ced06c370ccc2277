"""What a chaos run came to: as a file, and as a table of one or several of them.

`python -m tests.chaos.report .local/chaos/*.json` prints the table of the reports in these files.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from deploy.processes import say

COLUMNS = ("fault", "times injected", "events meanwhile", "lost", "double")


class Row(msgspec.Struct):
    """A fault of one name: how often it was injected, and how many events came while it lasted."""

    times: int = 0
    events: int = 0


class Report(msgspec.Struct, kw_only=True):
    """One run, or the targeted cases.

    name: with its seed. events: that Kafka acknowledged; again: those that it had before. looks: lanes that
    were compared while faults lasted. exact_again_s: for each lost tail, from Redis's return to exact
    numbers. wrong: in words, whatever must not be.
    """

    name: str
    seconds: float
    events: int
    again: int = 0
    looks: int = 0
    lost: int = 0
    double: int = 0
    wrong: list[str] = []
    exact_again_s: list[float] = []
    rows: dict[str, Row] = {}

    @property
    def exact(self) -> bool:
        """Whether nothing was lost, nothing was double and nothing else was wrong."""
        return not self.lost and not self.double and not self.wrong

    def line(self) -> str:
        """What the table does not say of the run."""
        reported = [f"{self.name}: {self.seconds:.0f} s, {self.events:,} events"]
        if self.again:
            reported.append(f"{self.again:,} of them sent before")
        if self.looks:
            reported.append(f"{self.looks:,} lanes compared in between")
        if self.exact_again_s:
            reported.append(f"after a lost tail exact again within {max(self.exact_again_s):.1f} s")
        return "; ".join(reported)


def table(reports: Sequence[Report]) -> str:
    """The sum of reports as a table in Markdown, a line for each report, and what was wrong.

    A fact that is lost or double cannot be laid to one fault: the rows say 0 where the runs have none at all.
    """
    rows: dict[str, Row] = {}
    for report in reports:
        for name, row in report.rows.items():
            total = rows.setdefault(name, Row())
            total.times += row.times
            total.events += row.events
    lost, double = sum(report.lost for report in reports), sum(report.double for report in reports)
    each = ("?", "?") if lost or double else ("0", "0")
    lines = [(name, f"{row.times:,}", f"{row.events:,}", *each) for name, row in sorted(rows.items())]
    times, events = sum(row.times for row in rows.values()), sum(report.events for report in reports)
    lines.append(("**all**", f"{times:,}", f"{events:,}", str(lost), str(double)))
    wrong = [f"WRONG, {report.name}: {what}" for report in reports for what in report.wrong]
    return "\n".join([*markdown(COLUMNS, lines), "", *(report.line() for report in reports), *wrong])


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> list[str]:
    """The lines of a table in Markdown, wide enough to be read as text. left: columns that hold words."""
    every = [tuple(head), *map(tuple, rows)]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    ruler = [*("-" * width for width in widths[:left]), *("-" * (width - 1) + ":" for width in widths[left:])]
    shown = [
        [
            *(cell.ljust(w) for cell, w in zip(row[:left], widths, strict=False)),
            *(cell.rjust(w) for cell, w in zip(row[left:], widths[left:], strict=True)),
        ]
        for row in every
    ]
    return [f"| {' | '.join(row)} |" for row in [shown[0], ruler, *shown[1:]]]


def write(report: Report, directory: Path, name: str) -> None:
    """Keep a report as `name`.json."""
    directory.mkdir(parents=True, exist_ok=True)
    reported = msgspec.json.format(msgspec.json.encode(report), indent=1)
    (directory / f"{name}.json").write_bytes(reported + b"\n")


def read(path: Path) -> Report:
    """A report that was kept."""
    return msgspec.json.decode(path.read_bytes(), type=Report)


if __name__ == "__main__":
    say(table([read(Path(name)) for name in sys.argv[1:]]))
