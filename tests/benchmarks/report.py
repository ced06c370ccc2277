"""The report of a bench: the same figures as text for a terminal, as Markdown, CSV and JSON, and as a plot.

Pure but for `write`: what it says follows from the figures alone, so a report can be tested without a bench.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rich import box
from rich.table import Table

from tests.benchmarks.figures import GOALS, Figure, Goal, Missing
from tests.benchmarks.plot import Bar, bars

COLUMNS: Final = ("part", "figure", "median", "least", "greatest", "runs", "unit", "goal", "verdict", "note")
VERDICTS: Final[Mapping[bool | None, str]] = {True: "met", False: "not met", None: ""}


@dataclass(frozen=True)
class Report:
    """All that a bench found.

    machine: what it ran on. how: with which sizes, and anything else a reader must know. figures: in the
    order in which they were measured. missing: what was not measured, and why. judged: whether the figures
    are held against the goals; not where the sizes are not those that the goals are about.
    """

    machine: Mapping[str, str]
    how: Mapping[str, str]
    figures: Sequence[Figure]
    missing: Sequence[Missing] = ()
    judged: bool = True

    def goal(self, figure: Figure) -> Goal | None:
        return GOALS.get(figure.key) if self.judged else None

    def verdict(self, figure: Figure) -> bool | None:
        return figure.verdict if self.judged else None


def number(value: float) -> str:
    """A value with as many digits as it deserves."""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def row(report: Report, figure: Figure) -> tuple[str, ...]:
    """A figure as text, one for each of `COLUMNS`."""
    return (
        figure.key.partition(".")[0],
        figure.what,
        number(figure.middle),
        *map(number, figure.spread),
        str(len(figure.values)),
        figure.unit,
        str(report.goal(figure) or ""),
        VERDICTS[report.verdict(figure)],
        figure.note,
    )


def terminal(report: Report) -> Table:
    """The figures as a table of rich, without the notes."""
    table = Table(title="Benchmark", box=box.SIMPLE_HEAD)
    for name in COLUMNS[:-1]:
        numeric = name in {"median", "least", "greatest", "runs"}
        table.add_column(name, justify="right" if numeric else "left")
    colours = {True: "green", False: "red", None: ""}
    for figure in report.figures:
        table.add_row(*row(report, figure)[:-1], style=colours[report.verdict(figure)])
    for each in report.missing:
        table.add_row(each.part, f"not measured: {each.why}", style="yellow")
    return table


def markdown(report: Report) -> str:
    """The whole report in Markdown."""
    lines = ["# Benchmark", ""]
    lines += [f"- {name}: {value}" for name, value in {**report.machine, **report.how}.items()]
    lines += ["", _line(COLUMNS), _line("---" for _ in COLUMNS)]
    lines += [_line(row(report, figure)) for figure in report.figures]
    if report.missing:
        lines += ["", "## Not measured", ""]
        lines += [f"- {each.part}: {each.why}" for each in report.missing]
    return "\n".join(lines) + "\n"


def as_csv(report: Report) -> str:
    """The figures with every run, unrounded, a line each."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["key", "figure", "unit", "median", "goal", "verdict", "runs"])
    for each in report.figures:
        runs = " ".join(map(repr, each.values))
        goal = report.goal(each)
        writer.writerow(
            [each.key, each.what, each.unit, each.middle, goal or "", VERDICTS[report.verdict(each)], runs]
        )
    return out.getvalue()


def as_json(report: Report) -> str:
    """All of it for programs."""
    reported = {
        "machine": dict(report.machine),
        "how": dict(report.how),
        "figures": [
            {**asdict(each), "median": each.middle, "met": report.verdict(each)} for each in report.figures
        ],
        "missing": [asdict(each) for each in report.missing],
    }
    return json.dumps(reported, indent=1) + "\n"


def ratios(report: Report) -> str:
    """The plot: every rate as a ratio to the ceiling of its run, with its spread and its goal."""
    shown = [each for each in report.figures if each.unit == "of the ceiling"]
    return bars(
        "Events a second, as ratios to the ceiling of the same run",
        [
            Bar(each.what, each.middle, *each.spread, goal.bound if (goal := report.goal(each)) else None)
            for each in shown
        ],
    )


def write(report: Report, directory: Path) -> None:
    """Write `report.md`, `report.csv`, `report.json` and `ratios.svg`."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "report.md").write_text(markdown(report))
    (directory / "report.csv").write_text(as_csv(report))
    (directory / "report.json").write_text(as_json(report))
    (directory / "ratios.svg").write_text(ratios(report))


def _line(cells: Iterable[str]) -> str:
    texts = [cell.replace("|", "\\|").replace("\n", " ") for cell in cells]
    return f"| {' | '.join(texts)} |"
