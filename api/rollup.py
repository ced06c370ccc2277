"""From a question about a range to its points: parse, align, add up. Pure; the clock comes in as a number.

The contract: an hour counts when `from` <= its start <= `to`. Points run from the period that holds
`from` to the one that holds `to`, both included, even where no hour of it counts; a point is named by
its period's start, also before `from`. Totals are the sum of the points, never counted apart.

Times are milliseconds since 1970 in UTC, hours and days are numbered from there too (below zero before),
so that a period is two whole-number functions: which one holds an hour, and at which hour one starts.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from api.errors import INVALID_PERIOD, INVALID_RANGE, RANGE_TOO_LARGE, ApiError
from schemas.counters import HOURS
from schemas.kinds import KINDS

HOUR_MS: Final = 3_600_000
DAY_MS: Final = HOURS * HOUR_MS
MAX_POINTS: Final = 10_000

EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - all times here are UTC; a zone would only be carried along
EPOCH_DAY: Final = EPOCH.toordinal()
MONDAY: Final = 3
"""Days from the Monday before 1970 to 1970-01-01, a Thursday."""

FIRST_MS: Final = (date.min.toordinal() - EPOCH_DAY) * DAY_MS
LAST_MS: Final = (date.max.toordinal() - EPOCH_DAY + 1) * DAY_MS - 1


def _month_of(hour: int) -> int:
    day = date.fromordinal(hour // HOURS + EPOCH_DAY)
    return day.year * 12 + day.month - 1


def _start_of_month(month: int) -> int:
    return (date(month // 12, month % 12 + 1, 1).toordinal() - EPOCH_DAY) * HOURS


@dataclass(frozen=True, slots=True)
class Period:
    """One way to cut time into points.

    name: its word in the API; default_points: how many come back where `from` is left out;
    index_of: the number of the period that holds an hour; start_of: the first hour of a period
    (ValueError before the year 1).
    """

    name: str
    default_points: int
    index_of: Callable[[int], int]
    start_of: Callable[[int], int]


PERIODS: Final[Mapping[str, Period]] = {
    period.name: period
    for period in (
        Period("hour", 24, lambda hour: hour, lambda index: index),
        Period("day", 30, lambda hour: hour // HOURS, lambda index: index * HOURS),
        Period(
            "week", 12, lambda hour: (hour // HOURS + MONDAY) // 7, lambda index: (index * 7 - MONDAY) * HOURS
        ),
        Period("month", 12, _month_of, _start_of_month),
    )
}

DEFAULT_PERIOD: Final = "day"


@dataclass(frozen=True, slots=True)
class Range:
    """A question that was understood: from_ms and to_ms are both included."""

    period: Period
    from_ms: int
    to_ms: int

    @property
    def hours(self) -> range:
        """The hours that count: those that start within the range."""
        return range(-(-self.from_ms // HOUR_MS), self.to_ms // HOUR_MS + 1)

    @property
    def days(self) -> range:
        """The days that hold the hours that count."""
        return range(self.hours.start // HOURS, (self.hours.stop - 1) // HOURS + 1)

    @property
    def indices(self) -> range:
        """The numbers of the periods that become points."""
        index_of = self.period.index_of
        return range(index_of(self.from_ms // HOUR_MS), index_of(self.to_ms // HOUR_MS) + 1)


@dataclass(frozen=True, slots=True)
class Series:
    """An answer: for each point its start (ms) and its counts in the order of KINDS; and their sum."""

    points: list[tuple[int, list[int]]]
    totals: list[int]


_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ](?P<hour>\d\d):(\d\d)(?::(\d\d)(?:\.(?P<fraction>\d+))?)?(?P<zone>Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)


def parse_instant(text: str, *, end_of_day: bool) -> int:
    """The time that a parameter names.

    text: an ISO 8601 date, or date and time with `T` (or a space); seconds, fraction (cut to the
        millisecond) and offset may be absent; no offset is UTC.
    end_of_day: whether a date alone is its last millisecond rather than its first.
    Raises: ValueError where the text is no such time, or lies outside the years 1 to 9999 in UTC.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError("not a time")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.group(1, 2, 3, 4, 5, 6))
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("no such time of day")
    ms = (date(year, month, day).toordinal() - EPOCH_DAY) * DAY_MS
    if match["hour"] is None:
        return ms + (DAY_MS - 1 if end_of_day else 0)
    ms += ((hour * 60 + minute) * 60 + second) * 1000 + int((match["fraction"] or "")[:3].ljust(3, "0"))
    zone = match["zone"]
    if zone is not None and zone != "Z":
        zone_hours, zone_minutes = int(zone[1:3]), int(zone[-2:])
        if zone_hours > 23 or zone_minutes > 59:
            raise ValueError("no such offset")
        ms -= int(zone[0] + "1") * (zone_hours * 60 + zone_minutes) * 60_000
    if not FIRST_MS <= ms <= LAST_MS:
        raise ValueError("outside the years 1 to 9999")
    return ms


def format_instant(ms: int) -> str:
    """A time as the API writes it: `2025-09-01T00:00:00.000Z`."""
    return (EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds") + "Z"


def _parameter(name: str, text: str, *, end_of_day: bool) -> int:
    try:
        return parse_instant(text, end_of_day=end_of_day)
    except ValueError as error:
        raise ApiError(
            INVALID_RANGE,
            f"`{name}` cannot be read ({error}). Write it like 2025-09-01 or 2025-09-01T00:00:00.000Z; "
            "the + of an offset is written %2B in a URL.",
        ) from error


def _default_from(period: Period, to_ms: int) -> int:
    first = period.index_of(to_ms // HOUR_MS) - period.default_points + 1
    try:
        from_ms = period.start_of(first) * HOUR_MS
    except ValueError:
        from_ms = FIRST_MS - 1
    if from_ms < FIRST_MS:
        raise ApiError(
            INVALID_RANGE, "The default `from` of this `to` lies before the year 1. Give a `from`."
        )
    return from_ms


def parse_range(period: str | None, from_: str | None, to: str | None, now_ms: int) -> Range:
    """Understand the three parameters of a question; None where one was not given.

    now_ms: the time that `to` defaults to.
    Raises: ApiError INVALID_PERIOD, INVALID_RANGE or RANGE_TOO_LARGE.
    """
    unit = PERIODS.get(DEFAULT_PERIOD if period is None else period)
    if unit is None:
        raise ApiError(INVALID_PERIOD, f"`period` must be one of {', '.join(PERIODS)}.")
    to_ms = now_ms if to is None else _parameter("to", to, end_of_day=True)
    from_ms = _default_from(unit, to_ms) if from_ is None else _parameter("from", from_, end_of_day=False)
    if from_ms > to_ms:
        raise ApiError(INVALID_RANGE, "`from` is after `to` (which is now where it is left out).")
    asked = Range(unit, from_ms, to_ms)
    if len(asked.indices) > MAX_POINTS:
        raise ApiError(
            RANGE_TOO_LARGE,
            f"The range has {len(asked.indices):,} points and at most {MAX_POINTS:,} are given. "
            "Ask for a shorter range or a longer period.",
        )
    return asked


def add_up(asked: Range, days: Mapping[int, Sequence[int]]) -> Series:
    """The points of a range.

    days: for each day (since 1970) that has counters, its counts by cell (`schemas.counters.CELLS`).
    Returns: a point for each period of the range, zeros where nothing was counted.
    """
    index_of, start_of = asked.period.index_of, asked.period.start_of
    sums = {index: [0] * len(KINDS) for index in asked.indices}
    hours = asked.hours
    for day, cells in days.items():
        for hour in range(max(hours.start, day * HOURS), min(hours.stop, (day + 1) * HOURS)):
            at = (hour - day * HOURS) * len(KINDS)
            point = sums[index_of(hour)]
            for kind, count in enumerate(cells[at : at + len(KINDS)]):
                point[kind] += count
    points = [(start_of(index) * HOUR_MS, counts) for index, counts in sums.items()]
    return Series(points, [sum(column) for column in zip(*sums.values(), strict=True)])
