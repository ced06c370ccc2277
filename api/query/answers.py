"""From added-up numbers to the body of an answer. Pure.

Without `fields` the page's six are there and always the same; what was asked for beside them is added.
`groups` and `others` add up to `totals`. An answer may follow from more counts than it shows: those that it
shows stand first in the rows here (`Query.counted`).
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from api import sender_health
from api.query.day_counts import COUNTERS_KEPT, Counts, DayCounts, day_of
from api.query.freshness import status_of
from api.query.instants import format_instant
from api.query.parameters import HEALTH, RATES, STATUS
from api.query.periods import DAY, HOUR
from api.query.query import Query
from api.query.ranges import Range
from api.query.rates import change_of, rates_of
from api.query.rollup import (
    FIELDS_KEPT,
    Counted,
    Days,
    Fields,
    Series,
    add_up,
    in_steps,
    total_of,
    whole_days,
)
from api.query.zones import UTC
from schemas.instants import DAY_MS, HOUR_MS, HOURS
from schemas.kinds import CORE, CORE_FIELDS


@lru_cache(maxsize=FIELDS_KEPT)
def _point_of(fields: Fields) -> Any:
    """A class of `responses.Point`s with those fields, as there may be thousands to write.

    What may be absent is, until it is set.
    """
    maybe = [(name, Any, msgspec.UNSET) for name in ("rates", "status")]
    return msgspec.defstruct(
        "Point", [("timestamp", str), *((name, int) for name in fields), *maybe], gc=False
    )


_PagePoint: Final = _point_of(CORE_FIELDS)
_NOTHING: Final = day_of([0] * HOURS * len(CORE_FIELDS), len(CORE_FIELDS))

DAYS_KEPT: Final = 8_192
"""Days of scopes whose hours are kept in writing, 3 KB each: 90 days of 90 scopes."""

GroupTotals = Mapping[str, Counts]
"""For each id its totals, by the fields that the query counts."""


def metrics_body(
    query: Query, counted: Counted, groups: GroupTotals | None, through_ms: int | None
) -> dict[str, Any]:
    """The answer of a metrics route.

    counted: the counters of its scope, of all families that the query needs; groups: the totals of each group
    where they were asked for; through_ms: up to when everything is counted.
    """
    fields = query.counted
    if _are_kept(query):
        totals = total_of(query.asked, counted, fields)
        points = _kept_points(query.asked, in_steps(query.asked, counted[CORE]))
    else:
        series = add_up(query.asked, counted, fields)
        totals, points = series.totals, _points(query, series, through_ms)
    body: dict[str, Any] = {
        "period": query.asked.period.name,
        "from": format_instant(query.asked.from_ms),
        "to": format_instant(query.asked.to_ms),
        "complete_through": None if through_ms is None else format_instant(through_ms),
    }
    if query.timezone is not None:
        body["timezone"] = query.timezone
    body["totals"] = _shown(query, totals)
    body |= _rates(query, totals)
    if HEALTH in query.include:
        counts = dict(zip(fields, totals, strict=True))
        body["health"] = sender_health.health_of(*(counts[field] for field in sender_health.COUNTED))
    if query.previous is not None:
        before = total_of(query.previous, counted, fields)
        body["previous"] = {
            "from": format_instant(query.previous.from_ms),
            "to": format_instant(query.previous.to_ms),
            "totals": _shown(query, before),
            **_rates(query, before),
        }
        body["change"] = change_of(body["totals"], body["previous"]["totals"])
    if groups is not None:
        body |= _groups(query, groups, totals)
    body["timeseries"] = points
    return body


def group_totals(query: Query, groups: Mapping[str, Counted]) -> dict[str, Counts]:
    """The totals of each group in the range of the query."""
    fields = query.counted
    return {group: total_of(query.asked, counted, fields) for group, counted in groups.items()}


def _shown(query: Query, counts: Counts) -> dict[str, int]:
    return dict(zip(query.fields, counts, strict=False))


def _rates(query: Query, counts: Counts) -> dict[str, Any]:
    """The member `rates`, where it is wanted."""
    if RATES not in query.include:
        return {}
    return {"rates": rates_of(dict(zip(query.counted, counts, strict=True)), query.fields)}


def _points(query: Query, series: Series, through_ms: int | None) -> msgspec.Raw:
    new, shown = _point_of(query.fields), len(query.fields)
    points: list[Any] = [new(format_instant(start), *counts[:shown]) for start, counts in series.points]
    if RATES in query.include:
        counted = query.counted
        for point, (_, counts) in zip(points, series.points, strict=True):
            point.rates = rates_of(dict(zip(counted, counts, strict=True)), query.fields)
    if STATUS in query.include:
        ends = [*(start for start, _ in series.points[1:]), query.asked.end_ms]
        for point, end in zip(points, ends, strict=True):
            point.status = status_of(end, through_ms)
    return msgspec.Raw(msgspec.json.encode(points))


def _are_kept(query: Query) -> bool:
    """Whether each point is of one day of UTC, by hour, and says nothing but the page's counts."""
    asked = query.asked
    if query.include or query.fields != CORE_FIELDS or asked.step_ms != HOUR_MS:
        return False
    return asked.period is HOUR or (asked.period is DAY and asked.zone is UTC)


def _kept_points(asked: Range, days: Days) -> msgspec.Raw:
    """What `_points` makes of such a range: it may be long, and most of it was asked for before."""
    hours, first_hour = asked.steps, asked.starts[0] // HOUR_MS
    write = _day if asked.period is DAY else _hours_of_day
    parts = []
    if asked.period is HOUR and first_hour < hours.start:  # the point of an hour that does not count
        parts.append(write(first_hour // HOURS, _NOTHING, first_hour % HOURS, first_hour % HOURS + 1))
    whole = whole_days(asked)
    for day in range(first_hour // HOURS, asked.starts[-1] // DAY_MS + 1):
        first, stop = 0, HOURS
        if day not in whole:
            midnight = day * HOURS
            first, stop = max(hours.start - midnight, 0), min(hours.stop - midnight, HOURS)
        parts.append(write(day, days.get(day, _NOTHING), first, stop))
    return msgspec.Raw(b"[%b]" % b",".join(filter(None, parts)))


@lru_cache(maxsize=DAYS_KEPT)
def _hours_of_day(day: int, counts: DayCounts, first: int, stop: int) -> bytes:
    """The points of the hours from `first` up to `stop` (0 to 24) of a day, with commas between."""
    by_hour = enumerate(counts.by_step(first, stop), day * HOURS + first)
    points = [_PagePoint(format_instant(hour * HOUR_MS), *row) for hour, row in by_hour]
    return msgspec.json.encode(points)[1:-1]


@lru_cache(maxsize=COUNTERS_KEPT)
def _day(day: int, counts: DayCounts, first: int, stop: int) -> bytes:
    """The point of a day of which the hours from `first` up to `stop` (0 to 24) count."""
    return msgspec.json.encode(_PagePoint(format_instant(day * HOURS * HOUR_MS), *counts.sum(first, stop)))


def _groups(query: Query, groups: GroupTotals, totals: Counts) -> dict[str, Any]:
    """The biggest groups, and what is left.

    Big is by the sum of the page's six fields, whatever is shown: so another choice of fields has the same
    groups, in the same order. Those of one size go by the bytes of their ids. One with none of the six and
    nothing to show is no group of the range.
    """
    shown, core = len(query.fields), [query.counted.index(field) for field in CORE_FIELDS]
    sizes = {group: sum(counts[place] for place in core) for group, counts in groups.items()}
    seen = [(group, counts) for group, counts in groups.items() if sizes[group] or any(counts[:shown])]
    seen.sort(key=lambda row: (-sizes[row[0]], row[0].encode()))
    top = seen[: query.groups]
    others = tuple(
        total - sum(column) for total, *column in zip(totals, *(counts for _, counts in top), strict=True)
    )
    return {
        "groups": [{"id": group, **_shown(query, counts), **_rates(query, counts)} for group, counts in top],
        "others": {**_shown(query, others), **_rates(query, others)},
    }
