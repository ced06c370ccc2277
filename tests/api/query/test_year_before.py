"""The span of a year before: the same local dates, against a walk by the standard library's clocks."""

from datetime import UTC, datetime
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.errors import INVALID_RANGE, ApiError
from api.query.instants import format_instant
from api.query.parameters import TENANT_PARAMETERS
from api.query.query import Query, read_query
from api.query.ranges import year_before
from tests.api import model
from tests.api.conftest import NOW_MS
from tests.api.query.test_zones import PERIODS, Case, anywhere, cases, changes
from tests.examples import examples

LEAP_DAY = datetime(2024, 2, 29, 12, tzinfo=UTC)
leap_days = st.sampled_from([("UTC", LEAP_DAY), ("Asia/Kolkata", LEAP_DAY)])


@settings(deadline=None, max_examples=examples(150))
@given(cases(anywhere | changes | leap_days), st.sampled_from(PERIODS))
def test_a_year_before_is_the_same_local_dates(case: Case, period: str) -> None:
    """By the clocks of the zone then, and in the steps of the same span asked for itself."""
    asked, _ = case.ask(period)
    before = year_before(asked)
    rules = model.rules(case.name)
    first, last = model.year_before(period, case.first, case.last, rules)
    assert (before.from_ms, before.to_ms) == (model.ms(first), model.ms(last))
    is_whole = model.is_whole(rules, first, last)
    assert before.step_ms == (3_600_000 if is_whole else 900_000)


def compared(query: str) -> Query:
    return read_query([*parse_qsl(query), ("compare", "previous_year")], TENANT_PARAMETERS, NOW_MS)


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        ("from=2025-09-01&to=2025-09-15", "2024-09-01T00:00", "2024-09-15T23:59"),
        ("from=2024-02-29&to=2024-02-29", "2023-02-28T00:00", "2023-02-28T23:59"),
        ("from=2024-02-28&to=2024-03-01", "2023-02-28T00:00", "2023-03-01T23:59"),
        ("from=2025-02-28&to=2025-03-01", "2024-02-28T00:00", "2024-03-01T23:59"),
        ("from=2024-02-28T13:00&to=2024-02-29T12:00", "2023-02-28T13:00", "2023-03-01T12:00"),
        ("period=month&from=2025-02-01&to=2025-02-28", "2024-02-01T00:00", "2024-02-28T23:59"),
        ("period=month&from=2024-01-01&to=2024-12-31", "2023-01-01T00:00", "2023-12-31T23:59"),
        ("period=week&from=2025-09-01&to=2025-09-14", "2024-09-02T00:00", "2024-09-15T23:59"),
        ("period=week&from=2024-02-26&to=2024-03-03", "2023-02-27T00:00", "2023-03-05T23:59"),
        ("period=hour&from=2025-09-01T10:30&to=2025-09-01T12:30", "2024-09-01T10:30", "2024-09-01T12:30"),
        ("", "2024-08-19T00:00", "2024-09-17T13:45"),
        ("timezone=Europe/Berlin&from=2025-03-30&to=2025-03-30", "2024-03-29T23:00", "2024-03-30T22:59"),
        ("timezone=Europe/Berlin&from=2025-03-31&to=2025-03-31", "2024-03-30T23:00", "2024-03-31T21:59"),
        # 17 February 2018 had 25 hours there: its last one was shown twice.
        ("timezone=America/Sao_Paulo&from=2019-02-17&to=2019-02-17", "2018-02-17T02:00", "2018-02-18T02:59"),
    ],
)
def test_spans_of_a_year_before(query: str, first: str, last: str) -> None:
    """Dates and times stay, also where the day or the range was an hour or a day longer then."""
    before = compared(query).previous
    assert before is not None
    assert [format_instant(each)[:16] for each in (before.from_ms, before.to_ms)] == [first, last]


@pytest.mark.parametrize(
    "query",
    ["to=0001-12-31", "from=0001-12-31&to=0002-01-01", "period=week&from=0001-12-20&to=0001-12-30"],
)
def test_a_year_before_the_first_is_none(query: str) -> None:
    with pytest.raises(ApiError) as refusal:
        compared(query)
    assert (refusal.value.code, refusal.value.parameter) == (INVALID_RANGE, "from")


def test_the_first_year_is_one() -> None:
    before = compared("from=0002-01-01&to=0002-12-31").previous
    assert before is not None
    assert format_instant(before.from_ms) == "0001-01-01T00:00:00.000Z"


def test_what_lies_between_is_not_needed() -> None:
    """A month and the one of a year before are two months to read, and not thirteen; groups are of one."""
    needs = compared("from=2025-09-01&to=2025-09-30&group_by=sequence").needs
    assert [len(days) for days in needs.days] == [30, 30]
    assert needs.groups is not None
    assert needs.groups.days == needs.days[1]
