"""From a query about a range to the points that it has. Pure; the clock comes in as a number.

The contract: a *step* counts when `from` <= its start <= `to`. A step is an hour of UTC; where the zone of
the query lies off the hour anywhere in the range it is a quarter of an hour. Points run from the period that
holds `from` to the one that holds `to`, both included, even where no step of it counts; a point is named by
its period's start, also before `from`. A step belongs to the period that its start lies in.

A period begins when the clocks of the zone first reach its start, and ends where the next begins: so a day
may have 23 or 25 hours, and when clocks are put back over midnight the new day goes on. Hours as points are
those of UTC; in quarters they begin at each full hour of the zone's clocks, and where those change.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import pairwise
from typing import Final

from api.errors import INVALID_PERIOD, INVALID_RANGE, RANGE_TOO_LARGE, ApiError
from api.query.instants import FIRST_MS, LAST_MS, parse_instant
from api.query.periods import DEFAULT_PERIOD, HOUR, PERIODS, Period
from api.query.zones import UTC, Zone
from schemas.instants import DAY_MS, EPOCH_DAY, HOUR_MS, QUARTER_MS

MAX_POINTS: Final = 10_000

STARTS_KEPT: Final = 20_000
"""Starts of periods that are kept, as most were asked for before."""


@dataclass(frozen=True, slots=True)
class Span:
    """What counts, without its points. All times are milliseconds since 1970.

    from_ms and to_ms are both included; step_ms: how long a step is.
    """

    from_ms: int
    to_ms: int
    step_ms: int

    @property
    def steps(self) -> range:
        """The steps that count, numbered from 1970 on: those that start within the range."""
        return range(-(-self.from_ms // self.step_ms), self.to_ms // self.step_ms + 1)

    @property
    def days(self) -> range:
        """The days of UTC, since 1970, that hold the steps that count."""
        steps, in_a_day = self.steps, DAY_MS // self.step_ms
        return range(steps.start // in_a_day, (steps.stop - 1) // in_a_day + 1)


@dataclass(frozen=True, slots=True)
class Range(Span):
    """A query that was understood.

    starts: of its points, in order (a day that a zone leaves out is none); end_ms: of the last point, the
    start of the one that would follow; periods: how many it has, with those left out.
    """

    period: Period
    starts: Sequence[int]
    end_ms: int
    periods: int
    zone: Zone


@lru_cache(maxsize=STARTS_KEPT)
def _start_of(period: Period, index: int, zone: Zone) -> int:
    """When a period starts. Raises: ValueError, OverflowError outside the years 1 to 9999."""
    local = period.start_of(index) * HOUR_MS
    return local if zone is UTC else zone.reaches(local)


def _index_of(period: Period, ms: int, zone: Zone) -> int:
    """The number of the period that holds an instant. Raises: OverflowError."""
    index = period.index_of(zone.to_local(ms) // HOUR_MS)
    if zone is UTC:
        return index
    try:
        was_put_back = _start_of(period, index + 1, zone) <= ms
    except (ValueError, OverflowError):
        was_put_back = False
    return index + was_put_back


def _starts(period: Period, indices: range, zone: Zone) -> Sequence[int]:
    """When the periods start that there are. Raises: ValueError, OverflowError."""
    if zone is UTC and period.hours is not None:
        first, stop = period.start_of(indices.start), period.start_of(indices.stop)
        return range(first * HOUR_MS, stop * HOUR_MS, period.hours * HOUR_MS)
    starts = [_start_of(period, index, zone) for index in indices]
    return (*(ms for ms, following in pairwise(starts) if ms < following), starts[-1])


def _end_of(period: Period, index: int, zone: Zone) -> int:
    try:
        return _start_of(period, index + 1, zone)
    except (ValueError, OverflowError):
        return LAST_MS + 1


def _hours(zone: Zone, first_ms: int, stop_ms: int) -> list[int]:
    """When hours by the clocks of a zone start, from the first instant up to the last (excluded).

    Raises: OverflowError.
    """
    changes = zone.changes(first_ms - 1, stop_ms - 1)
    starts = set(changes)
    for start, stop in pairwise((first_ms, *changes, stop_ms)):
        ahead_ms = zone.to_local(start) - start
        full_ms = -(-(start + ahead_ms) // HOUR_MS) * HOUR_MS - ahead_ms
        starts.update(range(full_ms, stop, HOUR_MS))
    return sorted(starts)


def _last_hours(zone: Zone, last_ms: int, number: int) -> tuple[int, ...]:
    """The last so many starts of hours by the clocks of a zone up to an instant. Raises: OverflowError."""
    return tuple(_hours(zone, last_ms - number * HOUR_MS + 1, last_ms + 1)[-number:])  # none is longer


def _range_of_hours(from_ms: int, to_ms: int, zone: Zone) -> Range:
    """Raises: ApiError RANGE_TOO_LARGE; OverflowError."""
    first_ms = from_ms // HOUR_MS * HOUR_MS
    starts: Sequence[int] = range(first_ms, to_ms + 1, HOUR_MS)
    # By the clocks of a zone it may be one point less; far more need not be looked at.
    if len(starts) > MAX_POINTS + 1 or _step_ms(zone, from_ms, to_ms) == HOUR_MS:
        _check_number(len(starts))
        return Range(from_ms, to_ms, HOUR_MS, HOUR, starts, starts[-1] + HOUR_MS, len(starts), zone)
    before = _last_hours(zone, from_ms, 1)
    starts = (*before, *_hours(zone, from_ms + 1, to_ms + 1))
    _check_number(len(starts))
    try:
        end_ms = _hours(zone, to_ms + 1, to_ms + 1 + HOUR_MS)[0]
    except OverflowError:
        end_ms = LAST_MS + 1
    return Range(from_ms, to_ms, QUARTER_MS, HOUR, starts, end_ms, len(starts), zone)


def _range_of_periods(period: Period, from_ms: int, to_ms: int, zone: Zone) -> Range:
    """Raises: ApiError RANGE_TOO_LARGE; ValueError, OverflowError."""
    indices = range(_index_of(period, from_ms, zone), _index_of(period, to_ms, zone) + 1)
    _check_number(len(indices))
    starts = _starts(period, indices, zone)
    step_ms = _step_ms(zone, from_ms, to_ms)
    end_ms = _end_of(period, indices[-1], zone)
    return Range(from_ms, to_ms, step_ms, period, starts, end_ms, len(indices), zone)


def _step_ms(zone: Zone, first_ms: int, last_ms: int) -> int:
    """How long a step is. Raises: OverflowError."""
    return HOUR_MS if zone.is_on_whole_hours(max(first_ms, FIRST_MS), last_ms) else QUARTER_MS


def _check_number(points: int) -> None:
    if points > MAX_POINTS:
        raise ApiError(
            RANGE_TOO_LARGE,
            f"The range has {points:,} points and at most {MAX_POINTS:,} are given. "
            "Ask for a shorter range or a longer period.",
            "from",
        )


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
        from_ms = _points_back(period, to_ms, zone)
    except (ValueError, OverflowError):
        from_ms = FIRST_MS - 1
    if from_ms < FIRST_MS:
        raise ApiError(
            INVALID_RANGE, "The default `from` of this `to` lies before the year 1. Give a `from`.", "to"
        )
    return from_ms


def _points_back(period: Period, to_ms: int, zone: Zone) -> int:
    """The start of the first of so many points as come by default."""
    number = period.default_points
    if period is not HOUR:
        return _start_of(period, _index_of(period, to_ms, zone) - number + 1, zone)
    from_ms = (to_ms // HOUR_MS - number + 1) * HOUR_MS
    is_by_hour = _step_ms(zone, from_ms, to_ms) == HOUR_MS
    return from_ms if is_by_hour else _last_hours(zone, to_ms, number)[0]


def parse_range(
    period: str | None, from_: str | None, to: str | None, now_ms: int, zone: Zone = UTC
) -> Range:
    """Understand the parameters of a range; None where one was not given.

    now_ms: the time that `to` defaults to; zone: whose clocks cut the days and read times without an offset.
    Raises: ApiError INVALID_PERIOD, INVALID_RANGE or RANGE_TOO_LARGE.
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
        asked = (
            _range_of_hours(from_ms, to_ms, zone)
            if unit is HOUR
            else _range_of_periods(unit, from_ms, to_ms, zone)
        )
    except (ValueError, OverflowError) as error:
        raise _outside(zone) from error
    if asked.starts[0] < FIRST_MS:
        raise _outside(zone)
    return asked


def _outside(zone: Zone) -> ApiError:
    return ApiError(INVALID_RANGE, f"In {zone.name} the range leaves the years 1 to 9999.", "from")


def range_before(asked: Range) -> Range:
    """The span before: as many whole periods as the range has, up to the start of its first point.

    It counts in quarters where the range does, or where the zone lies off the hour in it.
    Raises: ApiError INVALID_RANGE where it begins before the year 1.
    """
    zone, end_ms = asked.zone, asked.starts[0]
    try:
        starts = _starts_before(asked)
        step_ms = min(asked.step_ms, _step_ms(zone, starts[0], end_ms - 1))
    except (ValueError, OverflowError):
        starts, step_ms = (FIRST_MS - 1,), HOUR_MS
    if starts[0] < FIRST_MS:
        raise ApiError(INVALID_RANGE, "The span before this range begins before the year 1.", "from")
    return Range(starts[0], end_ms - 1, step_ms, asked.period, starts, end_ms, asked.periods, zone)


def _starts_before(asked: Range) -> Sequence[int]:
    """Raises: ValueError, OverflowError."""
    zone, end_ms = asked.zone, asked.starts[0]
    if asked.period is not HOUR:
        index = _index_of(asked.period, end_ms, zone)
        return _starts(asked.period, range(index - asked.periods, index), zone)
    first_ms = end_ms - asked.periods * HOUR_MS
    is_by_hour = asked.step_ms == HOUR_MS and _step_ms(zone, first_ms, end_ms - 1) == HOUR_MS
    return range(first_ms, end_ms, HOUR_MS) if is_by_hour else _last_hours(zone, end_ms - 1, asked.periods)


def year_before(asked: Range) -> Span:
    """The same local dates a year before; 29 February becomes 28. Weeks are moved by 52 weeks.

    `from` and `to` keep their time of day, so a range that ends now is compared with one that ended so then.
    It may be a day longer or shorter, with a 29 February in one of the two, or an hour, where clocks changed.
    If it would end before it begins (from the 28th to the 29th of February; while clocks show an hour twice)
    it is as long as the range. It counts in the steps that it has if it is asked for itself.
    Raises: ApiError INVALID_RANGE where it begins before the year 1.
    """
    zone, back = asked.zone, _weeks_back if asked.period.name == "week" else _year_back
    try:
        from_ms = zone.to_utc(back(zone.to_local(asked.from_ms)))
        # By what follows: a day may end with an hour that is shown twice, and ends once.
        to_ms = zone.to_utc(back(zone.to_local(asked.to_ms)) + 1) - 1
        if to_ms < from_ms:
            to_ms = from_ms + asked.to_ms - asked.from_ms
        step_ms = _step_ms(zone, from_ms, to_ms)
    except (ValueError, OverflowError):
        from_ms, to_ms, step_ms = FIRST_MS - 1, FIRST_MS, HOUR_MS
    if from_ms < FIRST_MS:
        raise ApiError(INVALID_RANGE, "The year before this range begins before the year 1.", "from")
    return Span(from_ms, to_ms, step_ms)


def _weeks_back(local_ms: int) -> int:
    return local_ms - 52 * 7 * DAY_MS


def _year_back(local_ms: int) -> int:
    """Raises: ValueError before the year 1."""
    day, time_of_day_ms = divmod(local_ms, DAY_MS)
    date_ = date.fromordinal(day + EPOCH_DAY)
    is_leap_day = (date_.month, date_.day) == (2, 29)
    before = date_.replace(year=date_.year - 1, day=28 if is_leap_day else date_.day)
    return (before.toordinal() - EPOCH_DAY) * DAY_MS + time_of_day_ms
