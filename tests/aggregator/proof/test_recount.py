"""The recount in memory: the law of counting in its plainest form, held against the other plain count."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.counting.cells import Cell
from aggregator.counting.facts import Facts, Scopes
from aggregator.proof.recount import Recount, earliest_record_ms
from schemas.instants import DAY_MS, HOUR_MS, QUARTER_MS
from schemas.kinds import FUTURE_MS, HORIZON_MS
from tests.aggregator.facts import SCOPES, facts
from tests.aggregator.lanes import kinds, naive_count
from tests.examples import examples

DAY = 20_062
NAMES = ("sequence", "template", "campaign", "region")


def test_a_fact_counts_once_at_its_least_quarter_in_all_its_scopes() -> None:
    recount = Recount(NAMES)
    of = Scopes("one", ("a", None, "c", None))
    for quarter in (130, 97, 129, 97):
        recount.add(Facts(of, DAY, quarter, "m", kinds("bounced", "bounced_soft"), (b"x", b"y")))
    at = (DAY + 1) * DAY_MS + QUARTER_MS
    expected = {
        Cell("one", scope, id_, at, field): 2
        for scope, id_ in (("tenant", ""), ("sequence", "a"), ("campaign", "c"))
        for field in ("bounced", "bounced_soft")
    }
    known = {
        Cell("one", scope, id_, None, "known"): 1 for scope, id_ in (("sequence", "a"), ("campaign", "c"))
    }
    assert recount.cells() == expected | known


def test_a_kind_moves_alone() -> None:
    """An earlier report that states less takes only what it states along."""
    recount = Recount(())
    both, one = kinds("opened", "opened_human"), kinds("opened")
    for quarter, stated in ((9, both), (4, one)):
        recount.add(Facts(Scopes("one", ()), DAY, quarter, "m", stated, (None,)))
    at = DAY * DAY_MS
    assert recount.cells() == {
        Cell("one", "tenant", "", at + 4 * QUARTER_MS, "opened"): 1,
        Cell("one", "tenant", "", at + 9 * QUARTER_MS, "opened_human"): 1,
    }


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(facts(), max_size=25))
def test_a_recount_is_the_naive_count(events: list[Facts]) -> None:
    """Of every kind, scope and quarter; and an id is known where something counts for it."""
    assert len(NAMES) == SCOPES
    recount = Recount(NAMES)
    for each in events:
        recount.add(each)
    expected: Counter[Cell] = Counter()
    for (tenant, scope, id_, day, quarter, field), count in naive_count(events).items():
        name = ("tenant", *NAMES)[scope]
        expected[Cell(tenant, name, id_, day * DAY_MS + quarter * QUARTER_MS, field)] = count
        if scope:
            expected[Cell(tenant, name, id_, None, "known")] = 1
    assert recount.cells() == expected


def test_the_earliest_record_of_a_day_and_of_an_hour() -> None:
    """An hour within a day reaches back to the start of the send day, as the fact's identity does."""
    start = DAY * DAY_MS
    assert earliest_record_ms(start) == start - HORIZON_MS - FUTURE_MS
    assert earliest_record_ms(start + 5 * HOUR_MS) == earliest_record_ms(start)
    assert earliest_record_ms(0) == 0
