"""What was counted of one scope and family of kinds on one day, by hour or by quarter of an hour. Pure.

Most of an answer's work would be to decode the days' packed counters, and a day that is past seldom changes.
So what a packed counter says is kept by its bytes: it follows from nothing else, so it cannot be stale.

A day is cut into *steps*: its 24 hours, or where a time zone lies off the hour its 96 quarters.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, TypeAlias

import msgspec

from schemas.instants import DAY_MS, HOUR_MS, QUARTERS, QUARTERS_AN_HOUR
from schemas.packed_counter import KINDS_MAX, unpack_hours, unpack_quarters

Counts: TypeAlias = tuple[int, ...]
"""A number for each of some fields, in their order."""

COUNTERS_KEPT: Final = 16_384
"""Some 45 years of days, or 45 scopes with a year each; 2 to 6 KB a day, the more the greater its numbers."""

QUARTERS_KEPT: Final = 4_096
"""The same by quarter: 5 to 20 KB a day."""


class DayCounts(msgspec.Struct, frozen=True, eq=False, gc=False):
    """The counts of a day: of each of its steps one for each kind, and its total. Equal to itself alone."""

    counts: tuple[int, ...]
    total: Counts

    @property
    def step_ms(self) -> int:
        """How long its steps are: an hour or a quarter."""
        return DAY_MS * len(self.total) // len(self.counts)

    def by_step(self, first: int, stop: int) -> list[Counts]:
        """The counts of each step from `first` up to `stop` (0 to 24, or 96)."""
        kinds = len(self.total)
        return [self.counts[at : at + kinds] for at in range(first * kinds, stop * kinds, kinds)]

    def sum(self, first: int, stop: int) -> Counts:
        """The counts of all steps from `first` up to `stop` (0 to 24, or 96) together."""
        kinds = len(self.total)
        is_whole = (stop - first) * kinds == len(self.counts)
        return self.total if is_whole else _sum(self.counts, first, stop, kinds)


def _sum(counts: Sequence[int], first: int, stop: int, kinds: int) -> Counts:
    return tuple(sum(counts[first * kinds + kind : stop * kinds : kinds]) for kind in range(kinds))


def day_of(counts: Sequence[int], kinds: int) -> DayCounts:
    """A day of those counts, step by step, each of so many kinds."""
    return DayCounts(tuple(counts), _sum(counts, 0, len(counts) // kinds, kinds))


@lru_cache(maxsize=COUNTERS_KEPT)
def day_by_hour(packed_counter: bytes, kinds: int) -> DayCounts:
    """The day that a packed counter holds. kinds: how many its family has.

    Raises: ValueError where it is damaged; no count is below zero.
    """
    return _unpack(unpack_hours, packed_counter, kinds)


def total_of_day(packed_counter: bytes, kinds: int) -> Counts:
    """The total of such a day, of which nothing is kept. Raises: ValueError as above."""
    return _unpack(unpack_hours, packed_counter, kinds).total


@lru_cache(maxsize=QUARTERS_KEPT)
def day_by_quarter(packed_counter: bytes, kinds: int) -> DayCounts:
    """The same by quarter of an hour."""
    return _unpack(unpack_quarters, packed_counter, kinds)


@lru_cache(maxsize=QUARTERS_KEPT)
def in_hours(day: DayCounts) -> DayCounts:
    """A day by hour; it may be by quarter."""
    if day.step_ms == HOUR_MS:
        return day
    each = range(0, QUARTERS, QUARTERS_AN_HOUR)
    return day_of([count for at in each for count in day.sum(at, at + QUARTERS_AN_HOUR)], len(day.total))


def _unpack(unpack: Callable[[bytes], list[int]], packed_counter: bytes, kinds: int) -> DayCounts:
    cells = unpack(packed_counter)
    counts: list[int] = []
    for at in range(0, len(cells), KINDS_MAX):
        counts += cells[at : at + kinds]
    if min(counts) < 0:
        raise ValueError("damaged counter: below zero")
    return day_of(counts, kinds)
