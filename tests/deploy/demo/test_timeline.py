"""A timeline gives each event once, in the order of its time, however often one looks."""

from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.demo.plan import PAST_DAYS, Plan
from deploy.demo.senders import Mailing, Sender
from deploy.demo.timeline import Planned, Steady, Timeline
from deploy.letters import Fate
from deploy.traffic import DAY, HOUR

FIRST_DAY = 20_784
SMALL = (Sender("small", "small.example", (Mailing("note", "A note", 3, Fate(opens=0.8)),)),)
LAST_MS = (FIRST_DAY - PAST_DAYS + 5) * DAY


def planned() -> Timeline:
    return Planned(Plan("seed", FIRST_DAY, senders=SMALL))


def steady() -> Timeline:
    plan = Plan("seed", FIRST_DAY, senders=SMALL)
    return Steady(Random(1), plan, plan.oldest_day * DAY, 4 / 86_400)


@pytest.mark.parametrize("timeline", [planned, steady])
@given(looks=st.lists(st.integers(0, 5 * DAY), max_size=5))
def test_events_do_not_depend_on_when_one_looks(timeline: Callable[[], Timeline], looks: list[int]) -> None:
    whole = list(timeline().until(LAST_MS))
    looked = timeline()
    start_ms = (FIRST_DAY - PAST_DAYS) * DAY
    pieces = [list(looked.until(start_ms + look)) for look in [*sorted(looks), 5 * DAY]]
    assert [each for piece in pieces for each in piece] == whole
    times = [at_ms for at_ms, _ in whole]
    assert len(times) > 20
    assert all(earlier <= later for earlier, later in pairwise(times))
    assert start_ms <= times[0]
    assert times[-1] <= LAST_MS


def test_a_steady_rate_is_kept() -> None:
    plan = Plan("seed", FIRST_DAY)
    start_ms = FIRST_DAY * DAY
    sends = [
        event
        for _, event in Steady(Random(1), plan, start_ms, 0.5).until(start_ms + HOUR)
        if event["eventType"] in {"Send", "Rendering Failure"}
    ]
    assert 1_500 < len(sends) < 2_100
    assert {event["mail"]["tags"]["tenant"][0] for event in sends} == {
        "harbor-books",
        "fjord-travel",
        "kiln-and-clay",
    }
