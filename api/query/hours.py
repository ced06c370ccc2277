"""What was counted of one scope on one day, hour by hour. Pure.

Most of an answer's work would be to decode the days' packed counters, and a day that is past seldom changes.
So what a packed counter says is kept by its bytes: it follows from nothing else, so it cannot be stale.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import msgspec

from schemas.instants import HOURS
from schemas.kinds import KINDS
from schemas.packed_counter import CELLS, unpack_counter

Counts: TypeAlias = tuple[int, ...]
"""A number for each kind, in the order of KINDS."""

COUNTERS_KEPT = 16_384
"""Some 45 years of days, or 45 scopes with a year each; 2 to 6 KB a day, the more the greater its numbers."""

_KINDS = len(KINDS)


class Cells(msgspec.Struct, frozen=True, eq=False, gc=False):
    """The counts of a day: by cell (`schemas.packed_counter.CELLS`), and its total. Equal to itself alone."""

    counts: tuple[int, ...]
    total: Counts

    def by_hour(self, first: int, stop: int) -> list[Counts]:
        """The counts of each hour from `first` up to `stop` (0 to 24)."""
        return [self.counts[at : at + _KINDS] for at in range(first * _KINDS, stop * _KINDS, _KINDS)]

    def sum(self, first: int, stop: int) -> Counts:
        """The counts of all hours from `first` up to `stop` (0 to 24) together."""
        return self.total if stop - first == HOURS else _sum(self.counts, first, stop)


def _sum(counts: Sequence[int], first: int, stop: int) -> Counts:
    return tuple(sum(counts[first * _KINDS + kind : stop * _KINDS : _KINDS]) for kind in range(_KINDS))


def cells_of(counts: Sequence[int]) -> Cells:
    """A day of those counts by cell."""
    return Cells(tuple(counts), _sum(counts, 0, HOURS))


NOTHING = cells_of([0] * CELLS)
"""A day on which nothing was counted."""


@lru_cache(maxsize=COUNTERS_KEPT)
def unpack_cells(packed_counter: bytes) -> Cells:
    """The day that a packed counter holds. Raises: ValueError where it is damaged; no count is below zero."""
    counts = unpack_counter(packed_counter)
    if min(counts) < 0:
        raise ValueError("damaged counter: below zero")
    return cells_of(counts)
