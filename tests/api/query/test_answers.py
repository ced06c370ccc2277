"""Points that are kept in writing are the points that adding up gives."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from api.query.answers import metrics_body
from api.query.parameters import TENANT_PARAMETERS
from api.query.query import read_query
from tests.api import model
from tests.api.model import FIELDS
from tests.api.query.test_rollup import NOW_MS, by_day

FIRST = datetime(2025, 9, 1, tzinfo=UTC)
THROUGH_MS = model.ms(FIRST)

minutes = st.integers(0, 5 * 24 * 60)
hours_counted = st.dictionaries(
    st.tuples(st.integers(-30, 150), st.sampled_from(FIELDS)), st.integers(1, 10**6), max_size=30
)


def answer(
    period: str, first: datetime, last: datetime, counted: model.Counted, **more: str
) -> dict[str, Any]:
    given = {"period": period, "from": model.text(first), "to": model.text(last), **more}
    query = read_query(given.items(), TENANT_PARAMETERS, NOW_MS)
    days = {day: counts for day, counts in by_day(counted).items() if day in query.days}
    body: dict[str, Any] = msgspec.json.decode(
        msgspec.json.encode(metrics_body(query, days, None, THROUGH_MS))
    )
    return body


@settings(deadline=None)
@given(st.sampled_from(["hour", "day"]), minutes, minutes, hours_counted)
def test_plain_points_equal_those_with_more(
    period: str, one: int, other: int, offsets: dict[tuple[int, str], int]
) -> None:
    """A query without more has the points of one with statuses, but for those, and of a naive count."""
    first, last = (FIRST + timedelta(minutes=each) for each in sorted((one, other)))
    counted = {(FIRST + hour * model.HOUR, field): count for (hour, field), count in offsets.items()}
    for more in ({}, {"compare": "previous"}, {"timezone": "UTC"}):
        plain = answer(period, first, last, counted, **more)
        with_status = answer(period, first, last, counted, include="status", **more)
        assert all(point.pop("status") for point in with_status["timeseries"])
        assert plain == with_status
        assert plain["timeseries"] == model.answer(period, first, last, counted)
        for field in FIELDS:
            assert plain["totals"][field] == sum(point[field] for point in plain["timeseries"])


def test_the_same_day_with_other_counts_is_written_anew() -> None:
    """What is kept goes with the counts: a late fact in a past hour is in the next answer."""
    last = FIRST + timedelta(hours=23)
    before = answer("hour", FIRST, last, {(FIRST, "sent"): 1})
    after = answer("hour", FIRST, last, {(FIRST, "sent"): 1, (FIRST, "opened"): 1})
    assert before["timeseries"][0] == {**after["timeseries"][0], "opened": 0}
    assert after["timeseries"][0]["opened"] == 1
