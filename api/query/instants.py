"""Times as the API reads and writes them, as milliseconds since 1970 in UTC. Pure."""

import re
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

from api.query.zones import EPOCH, UTC, Zone
from schemas.instants import CLOCK, DATE, DAY_MS, EPOCH_DAY, SECONDS, ZONE, read_time

FIRST_MS: Final = (date.min.toordinal() - EPOCH_DAY) * DAY_MS
LAST_MS: Final = (date.max.toordinal() - EPOCH_DAY + 1) * DAY_MS - 1

INSTANTS_KEPT: Final = 20_000
"""Times that are kept in writing, as answers tell the same ones again and again: the hours of two years."""

_INSTANT: Final = re.compile(f"{DATE}(?:{CLOCK}(?:{SECONDS})?{ZONE}?)?", re.ASCII)


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
    ms, ahead_ms = read_time(match)
    if ahead_ms is not None:
        return _in_range(ms - ahead_ms)
    if match["hour"] is None and end_of_day:
        return _in_range(_there(ms + DAY_MS, zone) - 1)
    return _in_range(_there(ms, zone))


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
