"""From a query about a range to its points: align and add up. Pure; the clock comes in as a number.

The contract: an hour counts when `from` <= its start <= `to`. Points run from the period that holds
`from` to the one that holds `to`, both included, even where no hour of it counts; a point is named by
its period's start, also before `from`. Totals are the sum of the points, which is that of all hours that
count.

Hours and days of the counters are UTC's and numbered from 1970 on (below zero before). A range knows the
hours at which its points start: in UTC by reckoning, in another zone by that zone's clocks, so that a
day may have 23 or 25 hours.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from api.errors import INVALID_PERIOD, INVALID_RANGE, RANGE_TOO_LARGE, UNSUPPORTED_TIMEZONE, ApiError
from api.query.hours import Cells, Counts
from api.query.instants import FIRST_MS, LAST_MS, parse_instant
from api.query.periods import DEFAULT_PERIOD, HOUR, PERIODS, Period
from api.query.zones import UTC, Zone
from schemas.instants import HOUR_MS, HOURS
from schemas.kinds import KINDS

MAX_POINTS: Final = 10_000

Days = Mapping[int, Cells]
"""For each day (since 1970) that has counters, its counts."""

ZEROS: Final[Counts] = (0,) * len(KINDS)


@dataclass(frozen=True, slots=True)
class Range:
    """A query that was understood.

    from_ms and to_ms are both included; indices: the numbers of its periods; starts: the UTC hours at which
    the points start, in order (a day that a zone leaves out is none).
    """

    period: Period
    from_ms: int
    to_ms: int
    indices: range
    starts: Sequence[int]
    zone: Zone = UTC

    @property
    def hours(self) -> range:
        """The hours that count: those that start within the range."""
        return range(-(-self.from_ms // HOUR_MS), self.to_ms // HOUR_MS + 1)

    @property
    def days(self) -> range:
        """The days that hold the hours that count."""
        return range(self.hours.start // HOURS, (self.hours.stop - 1) // HOURS + 1)

    @property
    def end_ms(self) -> int:
        """The end of the last point, the start of the one that would follow."""
        try:
            return _start_ms(self.period, self.indices.stop, self.zone)
        except (ValueError, OverflowError):
            return LAST_MS + 1


@dataclass(frozen=True, slots=True)
class Series:
    """An answer: for each point its start (ms) and its counts in the order of KINDS; and their sum."""

    points: list[tuple[int, Counts]]
    totals: Counts


def _clock(period: Period, zone: Zone) -> Zone:
    return zone if period.local else UTC


def _start_ms(period: Period, index: int, zone: Zone) -> int:
    return _clock(period, zone).to_utc(period.start_of(index) * HOUR_MS)


def _index_of(period: Period, ms: int, zone: Zone) -> int:
    return period.index_of(_clock(period, zone).to_local(ms) // HOUR_MS)


def _starts(period: Period, indices: range, zone: Zone, last_ms: int) -> Sequence[int]:
    """The hours at which points start. Raises: ApiError UNSUPPORTED_TIMEZONE; ValueError, OverflowError."""
    if zone is UTC and period.hours is not None:
        return range(period.start_of(indices.start), period.start_of(indices.stop), period.hours)
    all_ms = [_start_ms(period, index, zone) for index in indices]
    if not zone.is_on_whole_hours(max(all_ms[0], FIRST_MS), last_ms):
        raise ApiError(
            UNSUPPORTED_TIMEZONE,
            f"{zone.name} differs from UTC by a part of an hour in this range, and the counters are by "
            "the hour of UTC. Ask for another range, or for a zone on whole hours.",
            "timezone",
        )
    kept = [ms for ms, following in pairwise(all_ms) if ms < following]
    return tuple(ms // HOUR_MS for ms in (*kept, all_ms[-1]))


def _parameter(name: str, text: str, zone: Zone, *, end_of_day: bool) -> int:
    try:
        return parse_instant(text, end_of_day=end_of_day, zone=zone)
    except ValueError as error:
        raise ApiError(
            INVALID_RANGE,
            f"`{name}` cannot be read ({error}). Write it like 2025-09-01 or 2025-09-01T00:00:00.000Z; "
            "the + of an offset is written %2B in a URL.",
            name,
        ) from error


def _default_from(period: Period, to_ms: int, zone: Zone) -> int:
    try:
        first = _index_of(period, to_ms, zone) - period.default_points + 1
        from_ms = _start_ms(period, first, zone)
    except (ValueError, OverflowError):
        from_ms = FIRST_MS - 1
    if from_ms < FIRST_MS:
        raise ApiError(
            INVALID_RANGE, "The default `from` of this `to` lies before the year 1. Give a `from`.", "to"
        )
    return from_ms


def parse_range(
    period: str | None, from_: str | None, to: str | None, now_ms: int, zone: Zone = UTC
) -> Range:
    """Understand the parameters of a range; None where one was not given.

    now_ms: the time that `to` defaults to; zone: whose clocks cut the days and read times without an offset.
    Raises: ApiError INVALID_PERIOD, INVALID_RANGE, RANGE_TOO_LARGE or UNSUPPORTED_TIMEZONE.
    """
    unit = PERIODS.get(DEFAULT_PERIOD if period is None else period)
    if unit is None:
        raise ApiError(INVALID_PERIOD, f"`period` must be one of {', '.join(PERIODS)}.", "period")
    to_ms = now_ms if to is None else _parameter("to", to, zone, end_of_day=True)
    from_ms = (
        _default_from(unit, to_ms, zone)
        if from_ is None
        else _parameter("from", from_, zone, end_of_day=False)
    )
    if from_ms > to_ms:
        raise ApiError(INVALID_RANGE, "`from` is after `to` (which is now where it is left out).", "from")
    try:
        indices = range(_index_of(unit, from_ms, zone), _index_of(unit, to_ms, zone) + 1)
        if len(indices) > MAX_POINTS:
            raise ApiError(
                RANGE_TOO_LARGE,
                f"The range has {len(indices):,} points and at most {MAX_POINTS:,} are given. "
                "Ask for a shorter range or a longer period.",
                "from",
            )
        return Range(unit, from_ms, to_ms, indices, _starts(unit, indices, zone, to_ms), zone)
    except (ValueError, OverflowError) as error:
        raise ApiError(
            INVALID_RANGE, f"In {zone.name} the range leaves the years 1 to 9999.", "from"
        ) from error


def range_before(asked: Range) -> Range:
    """The span before: as many whole periods as the range has, up to the start of its first point.

    Raises: ApiError INVALID_RANGE where it begins before the year 1; UNSUPPORTED_TIMEZONE.
    """
    indices = range(asked.indices.start - len(asked.indices), asked.indices.start)
    to_ms = asked.starts[0] * HOUR_MS - 1
    try:
        starts = _starts(asked.period, indices, asked.zone, to_ms)
    except (ValueError, OverflowError):
        starts = range(0)
    if not starts or starts[0] * HOUR_MS < FIRST_MS:
        raise ApiError(INVALID_RANGE, "The span before this range begins before the year 1.", "from")
    return Range(asked.period, starts[0] * HOUR_MS, to_ms, indices, starts, asked.zone)


def _add(counts: Iterable[Counts]) -> Counts:
    """The sum of counts, at least one."""
    return tuple(map(sum, zip(*counts, strict=True)))


def add_up(asked: Range, days: Days) -> Series:
    """The points of a range: one for each period of it, zeros where nothing was counted."""
    starts = tuple(asked.starts)
    ends = (*starts[1:], asked.hours.stop)
    sums = [ZEROS] * len(starts)
    for midnight, cells, first, stop in _counting(asked, days):
        at = bisect_right(starts, first) - 1
        if asked.period is HOUR:
            sums[at : at + stop - first] = cells.by_hour(first - midnight, stop - midnight)
            continue
        hour = first
        while hour < stop:
            end = min(stop, ends[at])
            counts = cells.sum(hour - midnight, end - midnight)
            sums[at] = counts if sums[at] is ZEROS else _add((sums[at], counts))
            hour, at = end, at + 1
    points = [(start * HOUR_MS, counts) for start, counts in zip(starts, sums, strict=True)]
    return Series(points, _add(sums))


def total_of(asked: Range, days: Days) -> Counts:
    """The totals of a range alone."""
    counting = _counting(asked, days)
    return _add((ZEROS, *(cells.sum(first - start, stop - start) for start, cells, first, stop in counting)))


def _counting(asked: Range, days: Days) -> Iterator[tuple[int, Cells, int, int]]:
    """The days with hours that count: the hour at which the day starts, its counts, first such hour, end."""
    first, end = asked.hours.start, asked.hours.stop
    for day, cells in days.items():
        midnight = day * HOURS
        following = midnight + HOURS
        if first <= midnight and following <= end:
            yield midnight, cells, midnight, following
        elif midnight < end and first < following:
            yield midnight, cells, max(first, midnight), min(end, following)
