"""Packed counters: what is packed is what is read, and what is damaged is not guessed at."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.packed_counter import CELLS, pack_counts, unpack_counter

cells = st.integers(0, CELLS - 1)
numbers = st.integers(1, 20) | st.sampled_from([3, 4, 7, 8, 255, 256, 65_536, 70_000])


@given(st.dictionaries(cells, numbers, max_size=6), st.randoms(use_true_random=False))
def test_what_is_packed_is_read_back(counts: dict[int, int], random: Random) -> None:
    """However many of however few cells, in whatever order, as packed part and as what came since."""
    named = [cell for cell, count in counts.items() for _ in range(count)]
    random.shuffle(named)
    items = pack_counts(bytes(named))
    assert len(items) <= max(7, 6 * len(counts))
    for length in (0, len(items) % 65_536):
        found = unpack_counter(length.to_bytes(2, "little") + items)
        assert len(found) == CELLS
        assert +Counter(dict(enumerate(found))) == Counter(counts)


@given(st.lists(st.lists(cells, max_size=12), max_size=4))
def test_items_one_after_the_other_add_up(calls: list[list[int]]) -> None:
    """Each call of the script appends its own: what they say together is what they say one by one."""
    items = b"".join(pack_counts(bytes(call)) for call in calls)
    found = unpack_counter(b"\x00\x00" + items)
    assert +Counter(dict(enumerate(found))) == Counter(cell for call in calls for cell in call)


@given(st.dictionaries(cells, numbers), cells)
def test_what_is_taken_back_is_one_count_less(counts: dict[int, int], cell: int) -> None:
    items = pack_counts(bytes(each for each, count in counts.items() for _ in range(count)))
    found = unpack_counter(b"\x00\x00" + items + bytes((255, cell)))
    assert found[cell] == counts.get(cell, 0) - 1
    assert sum(found) == sum(counts.values()) - 1


@pytest.mark.parametrize(
    "packed_counter",
    [
        b"",
        b"\x00",
        b"\x00\x00\xff",
        b"\x00\x00\xfe\x01",
        b"\x00\x00\xfd\x01\x01\x00\x00",
        b"\x00\x00\xff\x90",
    ],
)
def test_a_damaged_packed_counter_is_no_count(packed_counter: bytes) -> None:
    """What ends within an item, or names a cell that there is none of, is reported and not guessed at."""
    with pytest.raises(ValueError, match="damaged"):
        unpack_counter(packed_counter)


@pytest.mark.parametrize("mark", range(CELLS, 253))
def test_a_mark_that_says_nothing_is_damage(mark: int) -> None:
    with pytest.raises(ValueError, match="damaged"):
        unpack_counter(b"\x00\x00" + bytes((mark, 0, 0, 0, 0, 0)))
