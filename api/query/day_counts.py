"""What was counted of one scope on one day, by hour or by quarter of an hour. Pure.

Most of an answer's work would be to decode the days' packed counters, and a day that is past seldom changes.
So what a packed counter says is kept by its bytes: it follows from nothing else, so it cannot be stale.

A day is cut into *steps*: its 24 hours, or where a time zone lies off the hour its 96 quarters.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, TypeAlias

import msgspec

from schemas.instants import DAY_MS, HOUR_MS, HOURS, QUARTERS, QUARTERS_AN_HOUR
from schemas.kinds import CORE_FIELDS
from schemas.packed_counter import KINDS_MAX, unpack_hours, unpack_quarters

Counts: TypeAlias = tuple[int, ...]
"""A number for each kind, in the order of CORE_FIELDS."""

COUNTERS_KEPT: Final = 16_384
"""Some 45 years of days, or 45 scopes with a year each; 2 to 6 KB a day, the more the greater its numbers."""

QUARTERS_KEPT: Final = 4_096
"""The same by quarter: 5 to 20 KB a day."""

_KINDS: Final = len(CORE_FIELDS)


class DayCounts(msgspec.Struct, frozen=True, eq=False, gc=False):
    """The counts of a day: `_KINDS` of each of its steps, and its total. Equal to itself alone."""

    counts: tuple[int, ...]
    total: Counts

    @property
    def step_ms(self) -> int:
        """How long its steps are: an hour or a quarter."""
        return DAY_MS * _KINDS // len(self.counts)

    def by_step(self, first: int, stop: int) -> list[Counts]:
        """The counts of each step from `first` up to `stop` (0 to 24, or 96)."""
        return [self.counts[at : at + _KINDS] for at in range(first * _KINDS, stop * _KINDS, _KINDS)]

    def sum(self, first: int, stop: int) -> Counts:
        """The counts of all steps from `first` up to `stop` (0 to 24, or 96) together."""
        is_whole = (stop - first) * _KINDS == len(self.counts)
        return self.total if is_whole else _sum(self.counts, first, stop)


def _sum(counts: Sequence[int], first: int, stop: int) -> Counts:
    return tuple(sum(counts[first * _KINDS + kind : stop * _KINDS : _KINDS]) for kind in range(_KINDS))


def day_of(counts: Sequence[int]) -> DayCounts:
    """A day of those counts, step by step."""
    return DayCounts(tuple(counts), _sum(counts, 0, len(counts) // _KINDS))


NOTHING: Final = day_of([0] * HOURS * _KINDS)
"""A day on which nothing was counted."""


@lru_cache(maxsize=COUNTERS_KEPT)
def day_by_hour(packed_counter: bytes) -> DayCounts:
    """The day that a packed counter holds. Raises: ValueError where it is damaged; no count is below zero."""
    return _unpack(unpack_hours, packed_counter)


@lru_cache(maxsize=QUARTERS_KEPT)
def day_by_quarter(packed_counter: bytes) -> DayCounts:
    """The same by quarter of an hour."""
    return _unpack(unpack_quarters, packed_counter)


@lru_cache(maxsize=QUARTERS_KEPT)
def in_hours(day: DayCounts) -> DayCounts:
    """A day by hour; it may be by quarter."""
    if day.step_ms == HOUR_MS:
        return day
    each = range(0, QUARTERS, QUARTERS_AN_HOUR)
    return day_of([count for at in each for count in day.sum(at, at + QUARTERS_AN_HOUR)])


def _unpack(unpack: Callable[[bytes], list[int]], packed_counter: bytes) -> DayCounts:
    cells = unpack(packed_counter)
    counts: list[int] = []
    for at in range(0, len(cells), KINDS_MAX):
        counts += cells[at : at + _KINDS]
    if min(counts) < 0:
        raise ValueError("damaged counter: below zero")
    return day_of(counts)
