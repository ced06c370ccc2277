"""When: the timestamps of SES, as milliseconds since 1970.

Seen in SES's documentation and in real events: `2025-09-01T10:20:30.123Z`, no fraction, offsets with and
without a colon, and a space before the zone. A zone is required; the fraction is cut, not rounded.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from schemas.instants import CLOCK, DATE, SECONDS, ZONE, read_time

_TIME: Final = re.compile(f"{DATE}{CLOCK}{SECONDS} ?{ZONE}", re.ASCII)


def parse_ms(text: Any) -> int | None:
    """The instant that a timestamp of SES names.

    text: any JSON value.
    Returns: milliseconds since 1970-01-01T00:00Z (negative before), or none where it is no such time.
    """
    try:  # what SES sends nearly always: `2025-09-01T10:`, `20:30.`, `123Z`
        hour_ms: int = _HOURS[text[:14]]
        return hour_ms + _SECONDS[text[14:20]] + _MILLISECONDS[text[20:]]
    except (KeyError, TypeError):
        return _parse_any_ms(text) if type(text) is str else None


def _parse_any_ms(text: str) -> int | None:
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    try:
        ms, ahead_ms = read_time(match)
    except ValueError:
        return None
    return ms - (ahead_ms or 0)


class _Hours(dict[str, int]):
    """The start of each hour that was asked for, in ms: by the text up to the colon before the minutes.

    So few that they stay at hand, while the minutes of some weeks would not.
    """

    def __missing__(self, text: str) -> int:
        hour = _parse_any_ms(f"{text}00:00Z")
        if hour is None:
            raise KeyError(text)
        if len(self) >= _HOURS_KEPT:
            self.clear()
        self[text] = hour
        return hour


_HOURS_KEPT: Final = 65_536
_HOURS: Final = _Hours()
_SECONDS: Final = {
    f"{minute:02}:{second:02}.": (minute * 60 + second) * 1000 for minute in range(60) for second in range(60)
}
_MILLISECONDS: Final = {f"{ms:03}Z": ms for ms in range(1000)}


def iso(ms: int) -> str:
    """An instant as people read it, in UTC and to the second.

    ms: since 1970; a number stays one where the year is none of four digits.
    """
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (OverflowError, ValueError):
        return f"{ms} ms"


def iso_ms(ms: int) -> str:
    """An instant of four digits of the year in UTC, to the millisecond. ms: since 1970."""
    whole = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    return whole.isoformat(timespec="milliseconds").replace("+00:00", "Z")
