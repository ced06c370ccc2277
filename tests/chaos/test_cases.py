"""The table's targeted cases are tests that are there."""

from pathlib import Path

from tests.chaos.cases import CASES, read, run_pytest
from tests.chaos.report import Report

RESULTS = """<testsuites><testsuite>
<testcase name="test_one_fault_of_faust[lose]" time="1">
<properties><property name="events" value="70"/><property name="times" value="3"/></properties></testcase>
<testcase name="test_topic_made_anew" time="1"><failure message="no"/></testcase>
</testsuite></testsuites>"""


def test_each_case_is_a_test() -> None:
    """One that was renamed would be missing from the table without a word."""
    assert run_pytest("--collect-only", "-q") == 0


def test_what_pytest_wrote_is_entered(tmp_path: Path) -> None:
    """How often, how many events, and which failed."""
    results, report = tmp_path / "results.xml", Report(name="cases", seconds=0.0, events=0)
    results.write_text(RESULTS)
    read(results, report)
    row = report.rows[CASES["tests/chaos/test_driver.py"]["test_one_fault_of_faust[lose]"]]
    assert (row.times, row.events, report.events) == (3, 70, 70)
    assert report.wrong == ["test_topic_made_anew failed"]
    assert not report.exact
