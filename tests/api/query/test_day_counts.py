"""What a packed counter holds is its hours or quarters and their sum, however often it is asked for."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.query.day_counts import DayCounts, day_by_hour, day_by_quarter, in_hours
from schemas.instants import QUARTERS
from schemas.kinds import CORE_FIELDS
from schemas.packed_counter import KINDS_MAX, cell_bytes, pack_counts

KINDS = len(CORE_FIELDS)
cells = st.tuples(st.integers(0, QUARTERS - 1), st.integers(0, KINDS - 1))
days = st.dictionaries(cells, st.integers(1, 400), max_size=20)
steps = st.integers(0, QUARTERS)


def packed(day: dict[tuple[int, int], int]) -> bytes:
    return pack_counts(b"".join(cell_bytes(*cell) * count for cell, count in day.items())) or b"\0"


def walked(day: dict[tuple[int, int], int], length: int) -> list[tuple[int, ...]]:
    """Step by step, each of so many quarters."""
    return [
        tuple(sum(day.get((at + quarter, kind), 0) for quarter in range(length)) for kind in range(KINDS))
        for at in range(0, QUARTERS, length)
    ]


@given(days)
def test_a_packed_counter_is_its_counts_the_second_time_too(day: dict[tuple[int, int], int]) -> None:
    """What was kept of a packed counter is what the packed counter says, by hour and by quarter."""
    text = packed(day)
    for unpack, length in ((day_by_hour, 4), (day_by_quarter, 1)):
        first, again = unpack(text, KINDS), unpack(bytes(bytearray(text)), KINDS)
        assert first.counts == again.counts == tuple(sum(walked(day, length), ()))
        assert first.total == again.total
        assert first.step_ms == length * 900_000


@given(days, steps, steps)
def test_steps_and_sums_are_those_of_a_walk(day: dict[tuple[int, int], int], one: int, other: int) -> None:
    """Any hours or quarters of a day, each for itself and all together."""
    text = packed(day)
    by_quarter: DayCounts = day_by_quarter(text, KINDS)
    for counted, length in ((by_quarter, 1), (day_by_hour(text, KINDS), 4), (in_hours(by_quarter), 4)):
        first, stop = min(one, other) // length, max(one, other) // length
        rows = walked(day, length)
        assert counted.by_step(first, stop) == rows[first:stop]
        assert counted.sum(first, stop) == tuple(
            sum(row[kind] for row in rows[first:stop]) for kind in range(KINDS)
        )
        assert counted.total == counted.sum(0, QUARTERS // length)


@pytest.mark.parametrize("unpack", [day_by_hour, day_by_quarter])
def test_a_day_has_as_many_kinds_as_its_family(unpack: Callable[[bytes, int], DayCounts]) -> None:
    """A family has room for more: those are left out. The same bytes in another family are another day."""
    text = pack_counts(cell_bytes(5, KINDS - 1) + cell_bytes(5, KINDS_MAX - 1))
    for kinds, total in ((KINDS, 1), (KINDS_MAX, 2), (KINDS - 1, 0), (KINDS, 1)):
        day = unpack(text, kinds)
        assert sum(day.counts) == sum(day.total) == total
        assert len(day.total) == kinds
        assert in_hours(day).step_ms == 3_600_000


def test_a_damaged_packed_counter_is_damaged_each_time() -> None:
    """No error is kept as an answer."""
    for unpack in (day_by_hour, day_by_quarter):
        for _ in range(2):
            with pytest.raises(ValueError, match="below zero"):
                unpack(bytes([7, 96]), KINDS)
