"""What is called lost is lost: what is left of a log never tells of more than the whole, up to any time."""

from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.counting.cells import Cell, Difference
from aggregator.counting.facts import Facts
from aggregator.log.coverage import Coverage, Cut
from aggregator.proof.shortfall import shortfalls
from schemas.instants import DAY_MS, QUARTER_MS
from tests.aggregator.facts import DAY, SCOPES, facts
from tests.aggregator.lanes import naive_cells
from tests.examples import examples

NAMES = ("sequence", "template", "campaign", "region")
NOW = Coverage([Cut(0, 0, 1, (DAY + 200) * DAY_MS)])
"""Nothing can be spoken for."""


def cell(quarter: int, field: str = "opened") -> Cell:
    return Cell("one", "tenant", "", DAY * DAY_MS + quarter * QUARTER_MS, field)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(st.tuples(facts((DAY, DAY + 1)), st.booleans()), max_size=25))
def test_right_counters_are_never_called_short(log: list[tuple[Facts, bool]]) -> None:
    """Whichever events are gone."""
    assert len(NAMES) == SCOPES
    whole = naive_cells(NAMES, [each for each, _ in log])
    left = naive_cells(NAMES, [each for each, is_left in log if is_left])
    assert list(shortfalls(left, whole, NOW)) == []


def test_the_first_quarter_up_to_which_facts_are_lost_is_named_once() -> None:
    log = {cell(1): 2, cell(5): 3, cell(9): 1, cell(5, "clicked"): 1}
    redis = {cell(0): 1, cell(1): 1, cell(5): 2, cell(9): 1, cell(4, "clicked"): 1}
    assert list(shortfalls(log, redis, NOW)) == [Difference(cell(5), 5, 4)]
    since_ms = (cell(9).at or 0) - 1
    assert list(shortfalls(log, redis, NOW, since_ms)) == [Difference(cell(9), 6, 5)]


def test_what_the_log_can_speak_for_is_left_to_the_comparison() -> None:
    assert list(shortfalls({cell(1): 1}, {}, Coverage())) == []
    coverage = Coverage([Cut(0, 0, 1, (DAY - 100) * DAY_MS)])
    assert list(shortfalls({cell(1): 1}, {}, coverage)) == []
    assert list(shortfalls({cell(1): 1}, {}, NOW)) == [Difference(cell(1), 1, 0)]
