"""A count of one day is what the plain recount has for that day, in whatever order the log has it."""

from contextlib import closing

from hypothesis import example, given, settings
from hypothesis import strategies as st

from aggregator.counting.facts import Facts, Scopes
from aggregator.proof.day_recount import DayRecount
from aggregator.proof.recount import Recount
from schemas.instants import DAY_MS, QUARTERS
from tests.aggregator.facts import STATED, longest
from tests.aggregator.lanes import kinds
from tests.examples import examples

DAY = 20_062
NAMES = ("sequence", "template", "campaign")
few = st.sampled_from([None, "a", "b"])


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    """Of few mails, sent up to 63 days before the day; reported mostly near its bounds."""
    day = DAY - draw(st.sampled_from([0, 1, 2, 3, 61, 62, 63, -1]))
    near = (DAY - day) * QUARTERS
    stated = draw(st.sampled_from(STATED))
    quarter = draw(st.sampled_from([0, 5, near - 1, near, near + 7, near + QUARTERS - 1, near + QUARTERS]))
    people = draw(st.sampled_from([(None,), (b"x",), (b"x", b"y")]))
    scopes = Scopes("one", (draw(few), draw(few), draw(few)))
    return Facts(
        scopes, day, min(max(quarter, 0), longest(stated)), draw(st.sampled_from("mn")), stated, people
    )


def opened(hour: int, *also: str) -> Facts:
    scopes = Scopes("one", ("a", None, "c"))
    return Facts(scopes, DAY - 1, hour * 4 + 2, "m", kinds("opened", *also), (None,))


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(facts(), max_size=30))
@example([opened(30), opened(10)])
@example([opened(10), opened(30)])
@example([opened(30), opened(10), opened(29)])
@example([opened(30, "opened_human"), opened(10)])
@example([opened(10), opened(40, "opened_human"), opened(30, "opened_human")])
def test_a_day_is_that_day_of_the_recount(events: list[Facts]) -> None:
    """Every fact of the day at its least quarter, none that was reported for an earlier day too."""
    recount = Recount(NAMES)
    for each in events:
        recount.add(each)
    first = DAY * DAY_MS
    of_the_day = {
        cell: number
        for cell, number in recount.cells().items()
        if cell.at is not None and first <= cell.at < first + DAY_MS
    }
    with closing(DayRecount("one", DAY, NAMES)) as count:
        for each in events:
            count.add(each)
        assert count.cells() == of_the_day


def test_facts_reported_for_earlier_days_are_not_held_in_memory() -> None:
    with closing(DayRecount("one", DAY, NAMES)) as count:
        scopes = Scopes("one", (None, None, None))
        for number in range(1000):
            count.add(Facts(scopes, DAY - 1, 12, f"m{number}", kinds("sent"), (b"x",)))
        assert len(count) == 0
