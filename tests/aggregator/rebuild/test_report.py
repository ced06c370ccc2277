from aggregator.counting.cells import Cell, Difference
from aggregator.rebuild.report import EXAMPLES_MAX, Report


def test_a_report_counts_all_that_differs_and_keeps_a_few_examples() -> None:
    report = Report("new", "old", 0)
    found = [Difference(Cell("one", "tenant", "", at, "sent"), 2, 1) for at in range(EXAMPLES_MAX * 3)]
    for each in found:
        report.take_in(each)
    assert (report.differing, report.examples) == (EXAMPLES_MAX * 3, found[:EXAMPLES_MAX])
