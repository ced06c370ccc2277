"""When: the timestamps of SES, as milliseconds since 1970.

Seen in SES's documentation and in real events: `2025-09-01T10:20:30.123Z`, no fraction, offsets with and
without a colon, and a space before the zone. A zone is required; the fraction is cut, not rounded.
"""

import re
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
_EPOCH: Final = date(1970, 1, 1).toordinal()
_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d+))? ?(?:Z|([+-])(\d\d):?(\d\d))", re.ASCII
)
_MINUTE: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d):(\d\d):", re.ASCII)


def parse_ms(text: object) -> int | None:  # noqa: PLR0911  # each form that is no time
    """The instant that a timestamp of SES names.

    text: any JSON value.
    Returns: milliseconds since 1970-01-01T00:00Z (negative before), or none where it is no such time.
    """
    if type(text) is not str:
        return None
    if len(text) == 24 and text[19] == "." and text[23] == "Z":  # what SES sends nearly always
        minute, rest = _minute_ms(text[:17]), text[17:19] + text[20:23]
        if minute is not None and rest.isascii() and rest.isdigit() and rest < "60":
            return minute + int(rest)
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    day, hour, minutes, seconds, fraction, sign, zone_hours, zone_minutes = match.groups()
    minute = _minute_of(day, hour, minutes)
    if minute is None or seconds >= "60":
        return None
    ms = minute + int(seconds) * 1000 + int((fraction or "")[:3].ljust(3, "0"))
    if sign is None:
        return ms
    if zone_hours >= "24" or zone_minutes >= "60":
        return None
    offset = (int(zone_hours) * 60 + int(zone_minutes)) * 60_000
    return ms - offset if sign == "+" else ms + offset


@lru_cache(maxsize=65_536)
def _minute_ms(text: str) -> int | None:
    match = _MINUTE.fullmatch(text)
    return _minute_of(*match.groups()) if match else None


def _minute_of(day: str, hour: str, minutes: str) -> int | None:
    if hour >= "24" or minutes >= "60":
        return None
    try:
        ordinal = date.fromisoformat(day).toordinal()
    except ValueError:
        return None
    return (ordinal - _EPOCH) * DAY_MS + int(hour) * HOUR_MS + int(minutes) * 60_000


def iso(ms: int) -> str:
    """An instant as people read it, in UTC and to the second.

    ms: since 1970; a number stays one where the year is none of four digits.
    """
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (OverflowError, ValueError):
        return f"{ms} ms"
