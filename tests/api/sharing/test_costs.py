"""What a query costs: little for what everybody asks, more for more, and never without end."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.query.parameters import PAGE_PARAMETERS, TENANT_PARAMETERS
from api.query.query import PageQuery, read_page, read_query
from api.sharing.costs import A_UNIT, MOST, ORDINARY, RULES, UNDER_WAY, cost_of, may_be_long
from tests.api.conftest import NOW_MS


def cost(**asked: str) -> int:
    items = [(name.rstrip("_"), value) for name, value in asked.items()]
    return cost_of(read_query(items, TENANT_PARAMETERS, NOW_MS))


@pytest.mark.parametrize("period", ["hour", "day", "week", "month"])
def test_what_is_asked_by_default_is_ordinary_or_nearly(period: str) -> None:
    """24 hours, 30 days, 12 weeks; of 12 months a year of days is read."""
    assert cost(period=period) == ORDINARY + (period == "month")


@pytest.mark.parametrize(
    ("asked", "units"),
    [
        ({"from_": "2025-01-01", "to": "2025-09-07"}, 500),
        ({"period": "hour", "from_": "2025-09-01", "to": "2025-09-10"}, 10 + 240),
        ({"period": "week", "from_": "2024-09-02", "to": "2025-09-07", "compare": "previous"}, 53 + 2 * 371),
        ({"from_": "2025-01-01", "to": "2025-09-07", "include": "rates,status"}, 250 * 4),
        ({"from_": "2025-01-01", "to": "2025-09-07", "fields": "all"}, 250 * 3),
        ({"from_": "2025-01-01", "to": "2025-09-07", "fields": "delayed"}, 250 * 2),
        ({"group_by": "sequence", "from_": "2025-09-01", "to": "2025-09-10"}, 10 + 10 + 1000),
    ],
)
def test_it_follows_what_is_read_and_written(asked: dict[str, str], units: int) -> None:
    """As the rules say: days, points, spans, families, what is included, days of groups."""
    assert cost(**asked) == ORDINARY + units // A_UNIT


def test_quarters_are_read_twice() -> None:
    """In a zone off the hour the days count twice; a range there may touch one more of UTC."""
    span = {"from_": "2025-01-01", "to": "2025-09-06"}
    assert cost(**span, timezone="Asia/Kathmandu") == ORDINARY + (249 + 2 * 250) // A_UNIT
    assert cost(**span) == ORDINARY + (249 + 249) // A_UNIT


def test_a_page_of_ids_costs_by_its_limit() -> None:
    assert [cost_of(PageQuery(limit, None)) for limit in (1, 100, 1000)] == [ORDINARY, ORDINARY, ORDINARY + 4]
    assert cost_of(read_page([], PAGE_PARAMETERS)) == ORDINARY


years = st.integers(1, 2025)


@given(years, years, st.sampled_from(["week", "month"]))
def test_more_never_costs_less_and_all_has_an_end(one: int, other: int, period: str) -> None:
    """A longer range costs as much or more; from `ORDINARY` to `MOST`, and one such query is always taken."""
    costs = [
        cost(period=period, from_=f"{max(year, 1850):04}-01-06")
        for year in sorted((one, other), reverse=True)
    ]
    assert ORDINARY <= costs[0] <= costs[1] <= MOST <= UNDER_WAY


@pytest.mark.parametrize(
    ("asked", "is_long"),
    [
        ("timezone=Asia/Tokyo&from=2020-01-01", True),
        ("timezone=Asia/Tokyo&from=2020-01-01T10:00:00Z&to=2022-09-01", True),
        ("timezone=Asia/Tokyo&from=2025-01-01&to=9999-12-31", True),
        ("timezone=Asia/Tokyo&from=2020-01-01&to=2020-06-01", False),
        ("timezone=Asia/Tokyo&from=2025-06-01", False),
        ("timezone=Asia/Tokyo&from=nonsense", False),
        ("timezone=Asia/Tokyo&to=2020-01-01", False),
        ("from=0001-01-01", False),
    ],
)
def test_what_takes_long_to_understand_is_seen_before(asked: str, is_long: bool) -> None:
    """Many days by the clocks of a zone; what is refused, or comes by default, is none of it."""
    assert may_be_long(parse_qsl(asked), NOW_MS) == is_long


def test_the_rules_name_the_numbers() -> None:
    """What the documentation says is what is done."""
    for number in (A_UNIT, MOST, UNDER_WAY):
        assert f" {number} " in RULES.replace(",", " ")
