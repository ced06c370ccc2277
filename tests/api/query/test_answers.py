"""The body of an answer: the fields that were asked for, in their order, and all that follows from counts."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.query.answers import group_totals, metrics_body
from api.query.parameters import TENANT_PARAMETERS
from api.query.query import read_query
from api.query.rollup import Counted
from tests.api import model
from tests.api.model import ALL, FIELDS
from tests.api.query.test_rollup import NOW_MS, by_day, choices

FIRST = datetime(2025, 9, 1, tzinfo=UTC)
THROUGH_MS = model.ms(FIRST)
PAGE_RATES = {
    "delivery": ("delivered", "sent"),
    "open": ("opened", "delivered"),
    "click": ("clicked", "delivered"),
    "bounce": ("bounced", "sent"),
    "complaint": ("complained", "delivered"),
}
DETAIL_RATES = {
    "hard_bounce": ("bounced_hard", "sent"),
    "human_open": ("opened_human", "delivered"),
    "human_click": ("clicked_human", "delivered"),
}

FEW = {"rate": None, "status": "insufficient_data"}

minutes = st.integers(0, 5 * 24 * 60)
hours_counted = st.dictionaries(
    st.tuples(st.integers(-30, 150), st.sampled_from(ALL)), st.integers(1, 10**6), max_size=30
)


def answer(
    period: str,
    first: datetime,
    last: datetime,
    counted: model.Counted,
    groups: Mapping[str, model.Counted] = {},
    **more: str,
) -> dict[str, Any]:
    """The body, from the families that are needed for it and no others."""
    given = {"period": period, "from": model.text(first), "to": model.text(last), **more}
    query = read_query(given.items(), TENANT_PARAMETERS, NOW_MS)

    def read(each: model.Counted) -> Counted:
        days = by_day(each, query.needs.days)
        return {family: days[family] for family in query.needs.families}

    totals = None
    if query.group_by is not None:
        totals = group_totals(query, {raw: read(each) for raw, each in groups.items()})
    made = metrics_body(query, read(counted), totals, THROUGH_MS)
    body: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(made))
    return body


@settings(deadline=None)
@given(st.sampled_from(["hour", "day"]), minutes, minutes, hours_counted)
def test_plain_points_equal_those_with_more(
    period: str, one: int, other: int, offsets: dict[tuple[int, str], int]
) -> None:
    """A query without more has the points of one with statuses, but for those, and of a naive count."""
    first, last = (FIRST + timedelta(minutes=each) for each in sorted((one, other)))
    counted = at(offsets)
    for more in ({}, {"compare": "previous"}, {"timezone": "UTC"}):
        plain = answer(period, first, last, counted, {}, **more)
        with_status = answer(period, first, last, counted, {}, include="status", **more)
        assert all(point.pop("status") for point in with_status["timeseries"])
        assert plain == with_status
        assert plain["timeseries"] == model.answer(period, first, last, counted)
        for field in FIELDS:
            assert plain["totals"][field] == sum(point[field] for point in plain["timeseries"])


def at(offsets: Mapping[tuple[int, str], int]) -> dict[tuple[datetime, str], int]:
    """Counts of hours from FIRST on."""
    return {(FIRST + hour * model.HOUR, field): count for (hour, field), count in offsets.items()}


ids = st.sampled_from(["a", "b", "é", "\U0001f600", "\uffff"])
grouped = st.dictionaries(ids, hours_counted, max_size=4)


def sum_of(groups: Mapping[str, model.Counted], rest: model.Counted) -> dict[tuple[datetime, str], int]:
    total: Counter[tuple[datetime, str]] = Counter(rest)
    for each in groups.values():
        total.update(each)
    return dict(total)


def only(fields: tuple[str, ...], counts: dict[str, Any]) -> list[tuple[str, Any]]:
    """Those of the counts, in this order; and what is beside counts, after them."""
    rest = {name: value for name, value in counts.items() if name not in ALL}
    return [*((field, counts[field]) for field in fields), *rest.items()]


def parts(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Wherever counts, or the changes of counts, stand."""
    found = [body["totals"], *body["timeseries"], body["previous"]["totals"], body["change"]]
    return [*found, *body["groups"], body["others"]]


@settings(deadline=None)
@given(st.sampled_from(["hour", "day", "week"]), st.tuples(minutes, minutes), grouped, hours_counted, choices)
def test_fields_choose_and_order_what_all_fields_say(
    period: str,
    span: tuple[int, int],
    groups: dict[str, dict[tuple[int, str], int]],
    rest: dict[tuple[int, str], int],
    fields: tuple[str, ...],
) -> None:
    """Totals, points, previous, change, groups and others have the fields asked for and no others.

    Each as it stands in the answer with all fields, in the same groups: but a group with none of the page's
    fields and nothing to show is left out. Without `fields` it is the same as with the six.
    """
    first, last = (FIRST + timedelta(minutes=each) for each in sorted(span))
    by_id = {raw: at(each) for raw, each in groups.items()}
    counted = sum_of(by_id, at(rest))
    more = {"compare": "previous", "group_by": "sequence"}
    whole = answer(period, first, last, counted, by_id, fields="all", **more)
    some = answer(period, first, last, counted, by_id, fields=",".join(fields), **more)
    assert list(whole["totals"]) == list(ALL)
    assert whole["timeseries"] == model.answer(period, first, last, counted, fields=ALL)
    seen = {*FIELDS, *fields}
    whole["groups"] = [each for each in whole["groups"] if any(each[field] for field in seen)]
    pairs = list(zip(parts(some), parts(whole), strict=True))
    for part, every in pairs:
        counts = [(name, value) for name, value in part.items() if name in ALL]
        assert counts == only(fields, every)[: len(fields)]
        assert {name: part[name] for name in part if name not in ALL} == dict(only((), every))
    page = answer(period, first, last, counted, by_id, **more)
    assert page == answer(period, first, last, counted, by_id, fields=",".join(FIELDS), **more)
    assert list(page["totals"]) == list(FIELDS)


@settings(deadline=None)
@given(grouped, choices, st.integers(1, 4))
def test_groups_go_by_the_page_s_fields_whatever_is_shown(
    groups: dict[str, dict[tuple[int, str], int]], fields: tuple[str, ...], limit: int
) -> None:
    """By the sum of the six, then by the bytes of the id; others are what is left."""
    by_id = {raw: at(each) for raw, each in groups.items()}
    last = FIRST + timedelta(days=7)
    counted = sum_of(by_id, {})
    more = {"fields": ",".join(fields), "group_by": "sequence", "limit": str(limit)}
    body = answer("day", FIRST, last, counted, by_id, **more)
    sums = {raw: dict.fromkeys(ALL, 0) for raw in by_id}
    for raw, each in by_id.items():
        for (hour, field), count in each.items():
            sums[raw][field] += count if hour >= FIRST else 0
    sizes = {raw: sum(each[field] for field in FIELDS) for raw, each in sums.items()}
    there = [raw for raw, each in sums.items() if sizes[raw] or any(each[field] for field in fields)]
    order = sorted(there, key=lambda raw: (-sizes[raw], raw.encode()))[:limit]
    assert [group["id"] for group in body["groups"]] == order
    for group in body["groups"]:
        assert group == {"id": group["id"], **{field: sums[group["id"]][field] for field in fields}}
    for field in fields:
        assert body["others"][field] == sum(sums[raw][field] for raw in sums if raw not in order)


@settings(deadline=None)
@given(hours_counted, choices)
def test_rates_follow_from_counts_that_need_not_be_shown(
    offsets: dict[tuple[int, str], int], fields: tuple[str, ...]
) -> None:
    """The page's five always; a detail's rate where the detail is shown; points and totals alike."""
    counted = at(offsets)
    last = FIRST + timedelta(days=2)
    whole = answer("day", FIRST, last, counted, fields="all")
    some = answer("day", FIRST, last, counted, fields=",".join(fields), include="rates,status")
    formulas = dict(PAGE_RATES)
    formulas |= {name: of for name, of in DETAIL_RATES.items() if of[0] in fields}
    for part, every in zip((some, *some["timeseries"]), (whole["totals"], *whole["timeseries"]), strict=True):
        expected = {
            name: every[part_of] / every[base] if every[base] else None
            for name, (part_of, base) in formulas.items()
        }
        assert list(part["rates"].items()) == list(expected.items())
    for point in some["timeseries"]:
        assert list(point) == ["timestamp", *fields, "rates", "status"]


@pytest.mark.parametrize(
    ("counts", "bounce", "complaint"),
    [
        ({"sent": 999, "delivered": 900, "bounced_hard": 900, "complained": 900}, FEW, FEW),
        ({"sent": 1000}, {"rate": 0.0, "status": "healthy"}, FEW),
        (
            {"sent": 1000, "delivered": 1000, "bounced_hard": 50, "complained": 1},
            {"rate": 0.05, "status": "warning"},
            {"rate": 0.001, "status": "warning"},
        ),
        (
            {"sent": 1000, "delivered": 1000, "bounced_hard": 49, "bounced": 900},
            {"rate": 0.049, "status": "healthy"},
            {"rate": 0.0, "status": "healthy"},
        ),
        (
            {"sent": 1000, "delivered": 200, "bounced_hard": 100, "complained": 1},
            {"rate": 0.1, "status": "critical"},
            {"rate": 0.005, "status": "critical"},
        ),
    ],
)
@pytest.mark.parametrize("fields", ["sent", "all", "delayed,opened", None])
def test_health_is_of_the_range_whatever_is_shown(
    counts: dict[str, int], bounce: object, complaint: object, fields: str | None
) -> None:
    """Of hard bounces by what was sent, of complaints by what was delivered, in the range alone."""
    last = FIRST + timedelta(days=3)
    counted = {(FIRST + timedelta(hours=30), field): count for field, count in counts.items()}
    counted |= {(FIRST + timedelta(hours=at), field): 5000 for at in (-1, 73) for field in ALL}
    more = {} if fields is None else {"fields": fields}
    body = answer("day", FIRST, last, counted, {}, include="health", **more)
    assert body.pop("health") == {"bounce": bounce, "complaint": complaint}
    assert body == answer("day", FIRST, last, counted, {}, **more)


def test_only_what_is_asked_for_is_needed() -> None:
    """Families of fields that are neither shown nor used are not read."""
    for query, families in (
        ("", ("core",)),
        ("fields=sent,bounced", ("core",)),
        ("fields=suppressed,bounced_hard", ("details",)),
        ("fields=opened_human,opened", ("core", "details")),
        ("fields=all", ("core", "details")),
        ("fields=suppressed&include=rates", ("core", "details")),
        ("fields=suppressed&group_by=sequence", ("core", "details")),
        ("fields=suppressed&include=status&compare=previous", ("details",)),
        ("include=health", ("core", "details")),
        ("fields=delayed&include=health", ("core", "details")),
    ):
        assert read_query(parse_qsl(query), TENANT_PARAMETERS, NOW_MS).needs.families == families


def test_the_same_day_with_other_counts_is_written_anew() -> None:
    """What is kept goes with the counts: a late fact in a past hour is in the next answer."""
    last = FIRST + timedelta(hours=23)
    before = answer("hour", FIRST, last, {(FIRST, "sent"): 1})
    after = answer("hour", FIRST, last, {(FIRST, "sent"): 1, (FIRST, "opened"): 1})
    assert before["timeseries"][0] == {**after["timeseries"][0], "opened": 0}
    assert after["timeseries"][0]["opened"] == 1
