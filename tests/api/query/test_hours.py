"""What a packed counter holds is its hours and their sum, however often it is asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.query.hours import Cells, cells_of, unpack_cells
from schemas.instants import HOURS
from schemas.kinds import KINDS
from schemas.packed_counter import CELLS, MINUS, unpack_counter
from tests.api.writer import pack

days = st.dictionaries(st.integers(0, CELLS - 1), st.integers(1, 10**9), max_size=40)
hours = st.integers(0, HOURS)


def plain(cells: Cells, first: int, stop: int) -> list[tuple[int, ...]]:
    """The hours from `first` up to `stop`, cell by cell."""
    kinds = range(len(KINDS))
    return [tuple(cells.counts[hour * len(KINDS) + kind] for kind in kinds) for hour in range(first, stop)]


@given(days)
def test_a_packed_counter_is_its_cells_the_second_time_too(day: dict[int, int]) -> None:
    """What was kept of a packed counter is what the packed counter says."""
    packed_counter = pack(day)
    first, again = unpack_cells(packed_counter), unpack_cells(bytes(bytearray(packed_counter)))
    plain = cells_of(unpack_counter(packed_counter))
    assert first.counts == again.counts == plain.counts
    assert first.total == again.total == plain.total
    assert {cell: count for cell, count in enumerate(again.counts) if count} == day


@given(days, hours, hours)
def test_hours_and_sums_are_those_of_a_walk_over_the_cells(day: dict[int, int], one: int, other: int) -> None:
    """Any hours of a day, each for itself and all together."""
    cells, first, stop = unpack_cells(pack(day)), min(one, other), max(one, other)
    walked = plain(cells, first, stop)
    assert cells.by_hour(first, stop) == walked
    sums = tuple(sum(hour[kind] for hour in walked) for kind in range(len(KINDS)))
    assert cells.sum(first, stop) == sums
    assert cells.total == cells.sum(0, HOURS)


def test_a_damaged_packed_counter_is_damaged_each_time() -> None:
    """No error is kept as an answer."""
    for _ in range(2):
        with pytest.raises(ValueError, match="below zero"):
            unpack_cells(bytes([2, 0, MINUS, 7]))
