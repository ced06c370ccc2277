"""Times: how they are counted, and how ISO 8601 is read. Pure.

An instant is a number of milliseconds since 1970-01-01T00:00Z, negative before. Whoever reads a text decides
by a regular expression of its own which of the parts below it may or must have; what they mean is said here.
"""

import re
from datetime import date
from typing import Final

HOURS: Final = 24
"""Of a day."""
HOUR_MS: Final = 3_600_000
DAY_MS: Final = HOURS * HOUR_MS
QUARTERS_AN_HOUR: Final = 4
QUARTERS: Final = HOURS * QUARTERS_AN_HOUR
"""Of a day, each a quarter of an hour."""
QUARTER_MS: Final = DAY_MS // QUARTERS
EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
"""The first day of 1970, in days of the calendar."""

DATE: Final = r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
CLOCK: Final = r"[T ](?P<hour>\d\d):(?P<minute>\d\d)"
SECONDS: Final = r":(?P<second>\d\d)(?:\.(?P<fraction>\d+))?"
ZONE: Final = r"(?P<zone>Z|[+-]\d\d:?\d\d)"
"""Parts of a time, each to stand at most once in an expression; to be compiled with `re.ASCII`."""


def read_time(match: re.Match[str]) -> tuple[int, int | None]:
    """The time that a text names.

    match: by an expression of all the parts in their order; all but the date may have matched nothing.
    Returns: what calendar and clock show, in ms since 1970 as if that were UTC, the fraction cut and not
    rounded; and by how many ms they are ahead of UTC, none where the text does not say.
    Raises: ValueError where there is no such date, time of day or offset; leap seconds and 24:00 are none.
    """
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    ms = int(fraction[:3].ljust(3, "0")) if fraction else 0
    if hour is not None:
        if hour >= "24" or minute >= "60" or (second or "") >= "60":
            raise ValueError("no such time of day")
        ms += ((int(hour) * 60 + int(minute)) * 60 + int(second or 0)) * 1000
    ms += (date(int(year), int(month), int(day)).toordinal() - EPOCH_DAY) * DAY_MS
    if zone is None or zone == "Z":
        return ms, None if zone is None else 0
    if zone[1:3] >= "24" or zone[-2:] >= "60":
        raise ValueError("no such offset")
    ahead = (int(zone[1:3]) * 60 + int(zone[-2:])) * 60_000
    return ms, ahead if zone[0] == "+" else -ahead
