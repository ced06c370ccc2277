"""Time zones: when a day begins somewhere, in UTC. Pure but for the zone files, which come from one package.

Counters are by the hour of UTC, and by its quarters where hours are too coarse. Whether they are depends on
the time asked about: a zone may have changed its mind.

The rules are those of the package `tzdata`, never of the machine: the same query has the same answer
everywhere, and names like `right/UTC`, that some machines know and others do not, are no names here.

A local time that the clocks skip is read with the offset before the change, one that they show twice is the
first (RFC 5545, section 3.3.5).
"""

from bisect import bisect_left
from datetime import UTC as UTC_ZONE
from datetime import datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from schemas.instants import DAY_MS, HOUR_MS

EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - local times of any zone are reckoned from here too
EPOCH_UTC: Final = EPOCH.replace(tzinfo=UTC_ZONE)
MS: Final = timedelta(milliseconds=1)

STANDING_YEARS: Final = (1800, 2100)
"""Before the first no zone changes its offset, after the second each year repeats the one before."""


class Zone:
    """A time zone by its IANA name. Times are milliseconds since 1970.

    All raise OverflowError where a time lies outside the years 1 to 9999.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._rules: ZoneInfo | None = None if name == "UTC" else _rules_of(name)

    def to_local(self, ms: int) -> int:
        """The local time at an instant, as if it were UTC."""
        if self._rules is None:
            return ms
        local = (EPOCH_UTC + timedelta(milliseconds=ms)).astimezone(self._rules)
        return (local.replace(tzinfo=None) - EPOCH) // MS

    def to_utc(self, local_ms: int) -> int:
        """The instant at which the clocks show a local time."""
        if self._rules is None:
            return local_ms
        local = EPOCH + timedelta(milliseconds=local_ms)
        return local_ms - (local.replace(tzinfo=self._rules).utcoffset() or timedelta(0)) // MS

    def reaches(self, local_ms: int) -> int:
        """The first instant at which the clocks show a local time, or have skipped it."""
        ms = self.to_utc(local_ms)
        if self.to_local(ms) == local_ms:
            return ms
        before = range(ms - DAY_MS, ms)  # the clocks have never been put forward by more than a day
        at = bisect_left(before, True, key=lambda each: self.to_local(each) >= local_ms)
        return before.start + at

    def changes(self, first_ms: int, last_ms: int) -> list[int]:
        """The instants after the first and up to the last at which the clocks change their offset."""
        found = []
        for one, other in pairwise((*range(first_ms, last_ms, DAY_MS), last_ms)):
            offset = self._offset(one)
            if self._offset(other) != offset:
                between = range(one, other)
                has_changed = bisect_left(between, True, key=lambda ms: self._offset(ms) != offset)
                found.append(one + has_changed)
        return found

    def is_on_whole_hours(self, first_ms: int, last_ms: int) -> bool:
        """Whether the clocks differ from UTC by whole hours from the first to the last instant."""
        if self._rules is None:
            return True
        first_year, last_year = _year_of(first_ms), _year_of(last_ms)
        if last_year - first_year < 2:
            return self._sampled(first_ms, last_ms)
        return (
            self._sampled(first_ms, _start_of_year(first_year + 1))
            and self._sampled(_start_of_year(last_year), last_ms)
            and all(
                _year_is_on_whole_hours(self.name, min(max(year, STANDING_YEARS[0]), STANDING_YEARS[1]))
                for year in range(first_year + 1, last_year)
            )
        )

    def _offset(self, ms: int) -> int:
        return self.to_local(ms) - ms

    def _sampled(self, first_ms: int, last_ms: int) -> bool:
        """As `is_on_whole_hours`, looked at once a day: no zone keeps an offset for less."""
        moments = (*range(first_ms, last_ms, DAY_MS), last_ms)
        return all(self._offset(ms) % HOUR_MS == 0 for ms in moments)


UTC: Final = Zone("UTC")


@cache
def zone_names() -> frozenset[str]:
    """The IANA names that there are."""
    return frozenset(files("tzdata").joinpath("zones").read_text("ascii").split())


@cache
def zone_of(name: str) -> Zone:
    """The zone of an IANA name. Raises: KeyError where there is none."""
    if name not in zone_names():
        raise KeyError(name)
    return UTC if name == UTC.name else Zone(name)


def _rules_of(name: str) -> ZoneInfo:
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


@lru_cache(maxsize=100_000)
def _year_is_on_whole_hours(name: str, year: int) -> bool:
    return zone_of(name)._sampled(_start_of_year(year), _start_of_year(year + 1))


def _year_of(ms: int) -> int:
    return (EPOCH + timedelta(milliseconds=ms)).year


def _start_of_year(year: int) -> int:
    return (datetime(year, 1, 1) - EPOCH) // MS  # noqa: DTZ001 - as EPOCH
