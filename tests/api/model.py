"""The slow and plain way to the same answers, hour by hour with `datetime`; no code of the API."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

FIELDS = ("sent", "delivered", "opened", "clicked", "bounced", "complained")
HOUR = timedelta(hours=1)

Counted = Mapping[tuple[datetime, str], int]
"""(start of an hour, field) -> count"""


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


def periods(period: str, first: datetime, last: datetime) -> Iterator[datetime]:
    """Starts of all periods from the one that holds `first` to the one that holds `last`."""
    moment = start_of(period, first)
    end = start_of(period, last)
    while moment <= end:
        yield moment
        step = moment
        while start_of(period, step) == moment:
            step += HOUR if period == "hour" else timedelta(days=1)
        moment = step


def answer(period: str, first: datetime, last: datetime, counted: Counted) -> list[dict[str, object]]:
    points = {start: dict.fromkeys(FIELDS, 0) for start in periods(period, first, last)}
    for (hour, field), count in counted.items():
        if first <= hour <= last:
            points[start_of(period, hour)][field] += count
    return [{"timestamp": text(start), **counts} for start, counts in points.items()]


def text(moment: datetime) -> str:
    utc = moment.astimezone(UTC)
    date = f"{utc.year:04}-{utc.month:02}-{utc.day:02}"
    return f"{date}T{utc.hour:02}:{utc.minute:02}:{utc.second:02}.{utc.microsecond // 1000:03}Z"


def ms(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
