"""From added-up numbers to the body of an answer. Pure.

The page's fields are always there and always the same. What was asked for beyond them is added; nothing is
taken away. `groups` and `others` add up to `totals`.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

from api.query.day_counts import COUNTERS_KEPT, NOTHING, Counts, DayCounts
from api.query.freshness import status_of
from api.query.instants import format_instant
from api.query.periods import DAY, HOUR
from api.query.query import Query
from api.query.ranges import Range
from api.query.rates import change_of, rates_of
from api.query.rollup import Days, Series, add_up, in_steps, total_of
from api.query.zones import UTC
from schemas import responses
from schemas.instants import DAY_MS, HOUR_MS, HOURS
from schemas.kinds import CORE_FIELDS

_Point: Final = msgspec.defstruct(
    "Point",
    [
        (name, Any) if field.is_required() else (name, Any, msgspec.UNSET)
        for name, field in responses.Point.model_fields.items()
    ],
    gc=False,
)
"""`responses.Point`, as there may be thousands to write. What may be absent is, until it is set."""

DAYS_KEPT: Final = 8_192
"""Days of scopes whose hours are kept in writing, 3 KB each: 90 days of 90 scopes."""

GroupTotals = Mapping[str, Sequence[int]]
"""For each id its totals in the order of CORE_FIELDS."""


def metrics_body(
    query: Query, days: Days, groups: GroupTotals | None, through_ms: int | None
) -> dict[str, Any]:
    """The answer of a metrics route.

    days: the counters of its scope; groups: the totals of each group where they were asked for;
    through_ms: up to when everything is counted.
    """
    if _are_kept(query):
        totals, points = total_of(query.asked, days), _kept_points(query.asked, in_steps(query.asked, days))
    else:
        series = add_up(query.asked, days)
        totals, points = series.totals, _points(query, series, through_ms)
    with_rates = "rates" in query.include
    body: dict[str, Any] = {
        "period": query.asked.period.name,
        "from": format_instant(query.asked.from_ms),
        "to": format_instant(query.asked.to_ms),
        "complete_through": None if through_ms is None else format_instant(through_ms),
    }
    if query.timezone is not None:
        body["timezone"] = query.timezone
    body["totals"] = _counts(totals)
    if with_rates:
        body["rates"] = rates_of(totals)
    if query.previous is not None:
        before = total_of(query.previous, days)
        body["previous"] = {
            "from": format_instant(query.previous.from_ms),
            "to": format_instant(query.previous.to_ms),
            "totals": _counts(before),
            **_rates(before, wanted=with_rates),
        }
        body["change"] = change_of(totals, before)
    if groups is not None:
        body |= _groups(groups, totals, query.groups, with_rates=with_rates)
    body["timeseries"] = points
    return body


def group_totals(query: Query, groups: Mapping[str, Days]) -> dict[str, Counts]:
    """The totals of each group in the range of the query."""
    return {group: total_of(query.asked, days) for group, days in groups.items()}


def _counts(counts: Sequence[int]) -> dict[str, int]:
    return dict(zip(CORE_FIELDS, counts, strict=True))


def _rates(counts: Sequence[int], *, wanted: bool) -> dict[str, Any]:
    return {"rates": rates_of(counts)} if wanted else {}


def _points(query: Query, series: Series, through_ms: int | None) -> msgspec.Raw:
    points: list[Any] = [_Point(format_instant(start), *counts) for start, counts in series.points]
    if "rates" in query.include:
        for point, (_, counts) in zip(points, series.points, strict=True):
            point.rates = rates_of(counts)
    if "status" in query.include:
        ends = [*(start for start, _ in series.points[1:]), query.asked.end_ms]
        for point, end in zip(points, ends, strict=True):
            point.status = status_of(end, through_ms)
    return msgspec.Raw(msgspec.json.encode(points))


def _are_kept(query: Query) -> bool:
    """Whether each point is of one day of UTC, by hour, and says nothing but its counts."""
    asked = query.asked
    if query.include or asked.step_ms != HOUR_MS:
        return False
    return asked.period is HOUR or (asked.period is DAY and asked.zone is UTC)


def _kept_points(asked: Range, days: Days) -> msgspec.Raw:
    """What `_points` makes of such a range: it may be long, and most of it was asked for before."""
    hours, first_hour = asked.steps, asked.starts[0] // HOUR_MS
    write = _day if asked.period is DAY else _hours_of_day
    parts = []
    if asked.period is HOUR and first_hour < hours.start:  # the point of an hour that does not count
        parts.append(write(first_hour // HOURS, NOTHING, first_hour % HOURS, first_hour % HOURS + 1))
    for day in range(first_hour // HOURS, asked.starts[-1] // DAY_MS + 1):
        midnight = day * HOURS
        first, stop = max(hours.start - midnight, 0), min(hours.stop - midnight, HOURS)
        parts.append(write(day, days.get(day, NOTHING), first, stop))
    return msgspec.Raw(b"[%b]" % b",".join(filter(None, parts)))


@lru_cache(maxsize=DAYS_KEPT)
def _hours_of_day(day: int, counts: DayCounts, first: int, stop: int) -> bytes:
    """The points of the hours from `first` up to `stop` (0 to 24) of a day, with commas between."""
    by_hour = enumerate(counts.by_step(first, stop), day * HOURS + first)
    points = [_Point(format_instant(hour * HOUR_MS), *row) for hour, row in by_hour]
    return msgspec.json.encode(points)[1:-1]


@lru_cache(maxsize=COUNTERS_KEPT)
def _day(day: int, counts: DayCounts, first: int, stop: int) -> bytes:
    """The point of a day of which the hours from `first` up to `stop` (0 to 24) count."""
    return msgspec.json.encode(_Point(format_instant(day * HOURS * HOUR_MS), *counts.sum(first, stop)))


def _groups(groups: GroupTotals, totals: Sequence[int], limit: int, *, with_rates: bool) -> dict[str, Any]:
    """The groups that sent most (then that have most of all else, then by their bytes), and what is left."""
    seen = [(group, counts) for group, counts in groups.items() if any(counts)]
    seen.sort(key=lambda row: ([-count for count in row[1]], row[0].encode()))
    top = seen[:limit]
    others = [
        total - sum(column) for total, *column in zip(totals, *(counts for _, counts in top), strict=True)
    ]
    return {
        "groups": [
            {"id": group, **_counts(counts), **_rates(counts, wanted=with_rates)} for group, counts in top
        ],
        "others": {**_counts(others), **_rates(others, wanted=with_rates)},
    }
