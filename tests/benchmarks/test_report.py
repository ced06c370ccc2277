"""The laws of the report: every figure stands in each form, with its goal and whether it is met."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from tests.benchmarks import report
from tests.benchmarks.__main__ import PARTS
from tests.benchmarks.figures import GOALS, Figure, Missing, percentile
from tests.benchmarks.peer import Reported, read_last_line
from tests.benchmarks.report import Report
from tests.benchmarks.vegeta import Answers, Hit

FAST = Figure("counting.live1.ratio", "live, one worker", "of the ceiling", (0.5, 0.8, 0.86), "a | b")
SLOW = Figure("catching-up.p99.ratio", "API's p99 <busy>", "ratio", (3.5,))
FREE = Figure("counting.ceiling1", "ceiling", "events/s", (250_000.4, 260_000.0))
FOUND = Report(
    {"processor": "one of many"}, {"code": "abc"}, [FAST, SLOW, FREE], [Missing("api", "no vegeta")]
)


def test_a_figure_is_judged_by_the_median_of_its_runs() -> None:
    """Met, not met, or no goal at all."""
    assert [figure.verdict for figure in FOUND.figures] == [True, False, None]
    assert FAST.middle == 0.8
    assert FAST.spread == (0.5, 0.86)


def test_figures_of_other_sizes_are_not_judged() -> None:
    """Where the sizes are not those of the goals, no form says a goal or a verdict."""
    unjudged = replace(FOUND, judged=False)
    text = report.markdown(unjudged) + report.as_csv(unjudged) + report.ratios(unjudged)
    assert not [mark for mark in ("≥", "≤", "| met", "not met", "#cc3311") if mark in text]
    assert {each["met"] for each in json.loads(report.as_json(unjudged))["figures"]} == {None}


def test_every_goal_is_about_a_figure_of_some_part() -> None:
    """A goal whose part does not exist would never be checked."""
    assert {key.partition(".")[0] for key in GOALS} <= PARTS.keys()


def test_the_table_tells_figures_goals_and_what_is_missing() -> None:
    """In Markdown and on the terminal, and a bar in a note does not break the table."""
    text = report.markdown(FOUND)
    assert (
        "| counting | live, one worker | 0.8 | 0.5 | 0.86 | 3 | of the ceiling | ≥ 0.75 | met | a \\| b |"
        in text
    )
    assert "| catching-up | API's p99 <busy> | 3.5 | 3.5 | 3.5 | 1 | ratio | ≤ 3 | not met |  |" in text
    assert "| 255,000 | 250,000 | 260,000 |" in text
    assert "- api: no vegeta" in text
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(report.terminal(FOUND))
    shown = console.export_text()
    assert "not met" in shown
    assert "not measured: no vegeta" in shown


def test_the_files_hold_every_run(tmp_path: Path) -> None:
    """CSV and JSON give back the very values."""
    report.write(FOUND, tmp_path)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "report.csv").read_text())))
    assert [tuple(map(float, row["runs"].split())) for row in rows] == [each.values for each in FOUND.figures]
    reported = json.loads((tmp_path / "report.json").read_text())
    assert [tuple(each["values"]) for each in reported["figures"]] == [each.values for each in FOUND.figures]
    assert reported["missing"] == [{"part": "api", "why": "no vegeta"}]


def test_the_plot_has_a_bar_for_each_ratio_and_a_mark_for_each_goal(tmp_path: Path) -> None:
    """It is XML whose bars are as long as their values."""
    report.write(FOUND, tmp_path)
    root = ET.fromstring((tmp_path / "ratios.svg").read_text())  # noqa: S314 - our own
    space = "{http://www.w3.org/2000/svg}"
    lengths = [float(each.get("width", "0")) for each in root.iter(f"{space}rect") if each.get("x")]
    assert lengths == [pytest.approx(0.8 * 520)]
    assert len([each for each in root.iter(f"{space}line") if each.get("stroke") == "#cc3311"]) == 1


def test_a_percentile_is_a_value_that_was_seen() -> None:
    """The least value that is not below the share of all."""
    values = [float(n) for n in range(1, 101)]
    assert [percentile(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1.0, 50.0, 99.0, 100.0]
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_answers_tell_their_rate_and_what_was_refused() -> None:
    """The rate runs to the last answer without the refused; latencies have them all."""
    answers = Answers(
        [Hit(1.0, 500.0, 200), Hit(2.0, 1_000.0, 200), Hit(2.5, 2_500.0, 503), Hit(1.5, 1.0, 200)]
    )
    assert answers.rate == pytest.approx(3 / 4)
    assert answers.refused == 0.25
    assert answers.percentile(0.99) == 2_500.0
    assert len(answers.between(1.2, 2.2).hits) == 2


def test_a_peer_speaks_by_its_last_line() -> None:
    """What it says before does not matter; a line that lacks a field is no answer."""
    said = 'starting\n{"events": 5, "seconds": 2, "totals": {"a": [1, 0, 0, 0, 0, 0]}}\n'
    assert read_last_line(said) == Reported(5, 2.0, {"a": [1, 0, 0, 0, 0, 0]})
    for wrong in ("", '{"events": 5}', "[]", "done"):
        with pytest.raises(ValueError):  # noqa: PT011 - of any kind
            read_last_line(wrong)
