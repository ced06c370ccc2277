from aggregator.counting.cells import Cell
from aggregator.counting.facts import Facts, Scopes
from aggregator.proof.recount import Recount, earliest_record_ms
from schemas.instants import DAY_MS, HOUR_MS
from schemas.kinds import FIELDS, FUTURE_MS, HORIZON_MS

DAY = 20_062


def test_a_fact_counts_once_at_its_least_hour_in_all_its_scopes() -> None:
    recount = Recount()
    for hour in (30, 10, 29, 10):
        recount.add(Facts(Scopes("one", "a", None), DAY, hour, "m", 0, ("x", "y")))
    at = DAY * DAY_MS + 10 * HOUR_MS
    assert recount.cells() == {
        Cell("one", "tenant", "", at, FIELDS[0]): 2,
        Cell("one", "sequence", "a", at, FIELDS[0]): 2,
        Cell("one", "sequence", "a", None, "known"): 1,
    }


def test_the_earliest_record_of_a_day_and_of_an_hour() -> None:
    """An hour within a day reaches back to the start of the send day, as the fact's identity does."""
    start = DAY * DAY_MS
    assert earliest_record_ms(start) == start - HORIZON_MS - FUTURE_MS
    assert earliest_record_ms(start + 5 * HOUR_MS) == earliest_record_ms(start)
    assert earliest_record_ms(0) == 0
