"""The slow and plain way to the same answers, quarter by quarter with `datetime`; no code of the API."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from itertools import pairwise
from zoneinfo import ZoneInfo

FIELDS = ("sent", "delivered", "opened", "clicked", "bounced", "complained")
DETAILS = (
    "bounced_hard",
    "suppressed",
    "bounced_soft",
    "bounced_undetermined",
    "delayed",
    "rejected",
    "rendering_failed",
    "unsubscribed",
    "opened_human",
    "clicked_human",
)
FAMILIES = {"core": FIELDS, "details": DETAILS}
ALL = FIELDS + DETAILS
HOUR = timedelta(hours=1)
QUARTER = timedelta(minutes=15)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)

Counted = Mapping[tuple[datetime, str], int]
"""(start of a quarter of an hour, field) -> count"""


@cache
def rules(name: str) -> ZoneInfo:
    """The package's rules: those of the machine that runs the tests may be older."""
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def start_of(period: str, moment: datetime) -> datetime:
    hour = moment.replace(minute=0, second=0, microsecond=0)
    if period == "hour":
        return hour
    day = hour.replace(hour=0)
    if period == "day":
        return day
    if period == "week":
        while day.isoweekday() != 1:
            day -= timedelta(days=1)
        return day
    return day.replace(day=1)


def answer(
    period: str,
    first: datetime,
    last: datetime,
    counted: Counted,
    zone: ZoneInfo | None = None,
    *,
    fields: tuple[str, ...] = FIELDS,
) -> list[dict[str, object]]:
    """The points. zone: none is UTC. fields: of them, in order."""
    starts = list(periods(period, first, last) if zone is None else zone_periods(period, first, last, zone))
    quarters = zone is not None and not is_whole(zone, first, last)
    points = {start: dict.fromkeys(fields, 0) for start in starts}
    for (quarter, field), count in counted.items():
        step = quarter if quarters else start_of("hour", quarter)
        if field in fields and first <= step <= last:
            points[max(start for start in starts if start <= step)][field] += count
    return [{"timestamp": text(start), **counts} for start, counts in points.items()]


def periods(period: str, first: datetime, last: datetime) -> Iterator[datetime]:
    """Starts of all periods of UTC from the one that holds `first` to the one that holds `last`."""
    moment = start_of(period, first)
    end = start_of(period, last)
    while moment <= end:
        yield moment
        step = moment
        while start_of(period, step) == moment:
            step += HOUR if period == "hour" else timedelta(days=1)
        moment = step


def clock(moment: datetime, zone: ZoneInfo) -> datetime:
    """What the clocks show."""
    return moment.astimezone(zone).replace(tzinfo=None)


def offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    found = moment.astimezone(zone).utcoffset()
    assert found is not None
    return found


def is_whole(zone: ZoneInfo, first: datetime, last: datetime) -> bool:
    """Whether the clocks differ from UTC by whole hours all the time."""
    moment = first
    while moment < last:
        if offset(moment, zone) % HOUR:
            return False
        moment += HOUR
    return not offset(last, zone) % HOUR


def zone_periods(period: str, first: datetime, last: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """The same by the clocks of a zone; a period begins when they first show it."""
    if period == "hour":
        if is_whole(zone, first, last):
            yield from periods("hour", first, last)
            return
        found = clock_hours(first - 2 * HOUR, last, zone)
    else:
        begin = first - {"day": 3, "week": 9, "month": 33}[period] * DAY
        found = calendar_periods(period, begin, last, zone)
    starts = list(found)
    for start, following in pairwise((*starts, last + DAY)):
        if following > first:
            yield start


def calendar_periods(period: str, first: datetime, last: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """The starts of periods after `first` and up to `last`, looked for in each quarter, then each second."""
    shown = start_of(period, clock(first, zone))
    moment = start_of("hour", first)
    while moment <= last:
        if start_of(period, clock(moment + QUARTER, zone)) > shown:
            second = moment
            while start_of(period, clock(second, zone)) <= shown:
                second += SECOND
            if second > last:
                return
            shown = start_of(period, clock(second, zone))
            yield second
        moment += QUARTER


def year_before(period: str, first: datetime, last: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The first and the last moment of the same local dates a year before."""
    millisecond = timedelta(milliseconds=1)

    def moved(local: datetime) -> datetime:
        if period == "week":
            return local - 52 * 7 * DAY
        day = 28 if (local.month, local.day) == (2, 29) else local.day
        return local.replace(year=local.year - 1, day=day)

    def there(local: datetime) -> datetime:
        return local.replace(tzinfo=zone, fold=0).astimezone(UTC)

    start = there(moved(clock(first, zone)))
    end = there(moved(clock(last, zone)) + millisecond) - millisecond
    return start, end if end >= start else start + (last - first)


def clock_hours(first: datetime, last: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """The instants at which the clocks show a full hour or change their offset, second by second."""
    moment = start_of("hour", first)
    while moment <= last:
        if offset(moment - SECOND, zone) == offset(moment + QUARTER, zone):
            to_full = (start_of("hour", clock(moment, zone)) - clock(moment, zone)) % HOUR
            seconds = [to_full // SECOND] if to_full < QUARTER else []
        else:
            seconds = list(range(900))
        for each in seconds:
            second = moment + each * SECOND
            is_full = clock(second, zone) == start_of("hour", clock(second, zone))
            if second <= last and (is_full or offset(second, zone) != offset(second - SECOND, zone)):
                yield second
        moment += QUARTER


def text(moment: datetime) -> str:
    utc = moment.astimezone(UTC)
    date = f"{utc.year:04}-{utc.month:02}-{utc.day:02}"
    return f"{date}T{utc.hour:02}:{utc.minute:02}:{utc.second:02}.{utc.microsecond // 1000:03}Z"


def ms(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
