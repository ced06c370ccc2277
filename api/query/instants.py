"""Times as the API reads and writes them, as milliseconds since 1970 in UTC. Pure."""

import re
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

from api.query.zones import DAY_MS, EPOCH, UTC, Zone

EPOCH_DAY: Final = EPOCH.toordinal()
FIRST_MS: Final = (date.min.toordinal() - EPOCH_DAY) * DAY_MS
LAST_MS: Final = (date.max.toordinal() - EPOCH_DAY + 1) * DAY_MS - 1

INSTANTS_KEPT: Final = 20_000
"""Times that are kept in writing, as answers tell the same ones again and again: the hours of two years."""

_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ](?P<hour>\d\d):(\d\d)(?::(\d\d)(?:\.(?P<fraction>\d+))?)?(?P<zone>Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)


def parse_instant(text: str, *, end_of_day: bool, zone: Zone = UTC) -> int:
    """The time that a parameter names.

    text: an ISO 8601 date, or date and time with `T` (or a space); seconds, fraction (cut to the
        millisecond) and offset may be absent.
    end_of_day: whether a date alone is its last millisecond rather than its first.
    zone: where a date alone, or a time without an offset, is meant.
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
        return _in_range(_there(ms + DAY_MS, zone) - 1 if end_of_day else _there(ms, zone))
    ms += ((hour * 60 + minute) * 60 + second) * 1000 + int((match["fraction"] or "")[:3].ljust(3, "0"))
    offset = match["zone"]
    if offset is None:
        return _in_range(_there(ms, zone))
    if offset != "Z":
        offset_hours, offset_minutes = int(offset[1:3]), int(offset[-2:])
        if offset_hours > 23 or offset_minutes > 59:
            raise ValueError("no such offset")
        ms -= int(offset[0] + "1") * (offset_hours * 60 + offset_minutes) * 60_000
    return _in_range(ms)


@lru_cache(maxsize=INSTANTS_KEPT)
def format_instant(ms: int) -> str:
    """A time as the API writes it: `2025-09-01T00:00:00.000Z`."""
    return (EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds") + "Z"


def _there(local_ms: int, zone: Zone) -> int:
    try:
        return zone.to_utc(local_ms)
    except OverflowError:
        raise ValueError("outside the years 1 to 9999") from None


def _in_range(ms: int) -> int:
    if not FIRST_MS <= ms <= LAST_MS:
        raise ValueError("outside the years 1 to 9999")
    return ms
