"""The four ways to cut time into points. Pure.

Hours are numbered from 1970 on (below zero before), by the clocks of the place that is asked about, so that a
period is two whole-number functions: which one holds an hour, and at which hour one starts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from schemas.instants import EPOCH_DAY, HOURS

MONDAY: Final = 3
"""Days from the Monday before 1970 to 1970-01-01, a Thursday."""


@dataclass(frozen=True, slots=True)
class Period:
    """One way to cut time into points.

    name: its word in the API; default_points: how many come back where `from` is left out;
    index_of: the number of the period that holds an hour; start_of: the first hour of a period
    (ValueError before the year 1 and after 9999); hours: how long each is where no clock is ever put forward,
    None where that differs.
    """

    name: str
    default_points: int
    index_of: Callable[[int], int]
    start_of: Callable[[int], int]
    hours: int | None


def _month_of(hour: int) -> int:
    day = date.fromordinal(hour // HOURS + EPOCH_DAY)
    return day.year * 12 + day.month - 1


def _start_of_month(month: int) -> int:
    return (date(month // 12, month % 12 + 1, 1).toordinal() - EPOCH_DAY) * HOURS


# Of an hour that the clocks show twice, each is a point: see `api.query.ranges`.
HOUR: Final = Period("hour", 24, lambda hour: hour, lambda index: index, 1)
DAY: Final = Period("day", 30, lambda hour: hour // HOURS, lambda index: index * HOURS, HOURS)

PERIODS: Final[Mapping[str, Period]] = {
    period.name: period
    for period in (
        HOUR,
        DAY,
        Period(
            "week",
            12,
            lambda hour: (hour // HOURS + MONDAY) // 7,
            lambda index: (index * 7 - MONDAY) * HOURS,
            7 * HOURS,
        ),
        Period("month", 12, _month_of, _start_of_month, None),
    )
}

DEFAULT_PERIOD: Final = "day"
