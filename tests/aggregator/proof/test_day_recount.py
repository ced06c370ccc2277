"""A count of one day is what the plain recount has for that day, in whatever order the log has it."""

from contextlib import closing

from hypothesis import example, given, settings
from hypothesis import strategies as st

from aggregator.counting.facts import Facts, Scopes
from aggregator.proof.day_recount import DayRecount
from aggregator.proof.recount import Recount
from schemas.instants import DAY_MS
from tests.examples import examples

DAY = 20_062
few = st.sampled_from([None, "a", "b"])


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    """Of few mails, sent up to 63 days before the day; reported mostly near its bounds."""
    day = DAY - draw(st.sampled_from([0, 1, 2, 61, 62, 63, -1]))
    near = (DAY - day) * 24
    hour = draw(st.sampled_from([0, 5, near - 1, near, near + 7, near + 23, near + 24]))
    people: tuple[str | None, ...] = draw(st.sampled_from([(None,), ("x",), ("x", "y")]))
    mail, kind = draw(st.sampled_from("mn")), draw(st.integers(0, 1))
    return Facts(
        Scopes("one", draw(few), draw(few)), day, min(max(hour, 0), 62 * 24 + 23), mail, kind, people
    )


def opened(hour: int) -> Facts:
    return Facts(Scopes("one", "a", None), DAY - 1, hour, "m", 2, (None,))


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(facts(), max_size=30))
@example([opened(30), opened(10)])
@example([opened(10), opened(30)])
@example([opened(30), opened(10), opened(29)])
def test_a_day_is_that_day_of_the_recount(events: list[Facts]) -> None:
    """Every fact of the day at its least hour, none that was reported for an earlier day too."""
    recount = Recount()
    for each in events:
        recount.add(each)
    first = DAY * DAY_MS
    of_the_day = {
        cell: number
        for cell, number in recount.cells().items()
        if cell.hour is not None and first <= cell.hour < first + DAY_MS
    }
    with closing(DayRecount("one", DAY)) as count:
        for each in events:
            count.add(each)
        assert count.cells() == of_the_day


def test_facts_reported_for_earlier_days_are_not_held_in_memory() -> None:
    with closing(DayRecount("one", DAY)) as count:
        for number in range(1000):
            count.add(Facts(Scopes("one", None, None), DAY - 1, 3, f"m{number}", 0, ("x",)))
        assert len(count) == 0
