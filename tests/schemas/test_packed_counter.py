"""Packed counters: what is packed is what is read, and what is damaged is not guessed at.

That the script packs what these read: `tests/aggregator/counters/test_packing.py`.
"""

import re
from collections import Counter
from random import Random
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.instants import QUARTERS
from schemas.packed_counter import (
    CELLS,
    HOUR_CELLS,
    KINDS_MAX,
    cell_bytes,
    pack_counts,
    unpack_cells,
    unpack_hours,
    unpack_quarters,
)
from schemas.redis_keys import IS_WIDE
from tests.examples import examples

Cells = Counter[tuple[int, int]]
"""(quarter of the day, place of the kind) -> count."""

cells = st.tuples(st.integers(0, QUARTERS - 1) | st.integers(30, 37), st.integers(0, KINDS_MAX - 1))
numbers = st.integers(1, 12) | st.sampled_from([7, 8, 29, 30, 255, 256, 65_535, 65_536, 70_000])
counts = st.dictionaries(cells, numbers, max_size=8).map(Counter)


def items(of: Cells) -> bytes:
    """As the format says, written a second time."""
    text = b""
    for (quarter, place), count in of.items():
        few, byte, four = 0x60 + place + 16 * count, 0xE0 + place, 0xF0 + place
        text += bytes((quarter,))
        if 0 < count < 8:
            text += bytes((few,))
        elif 0 < count < 256:
            text += bytes((byte, count))
        else:
            text += bytes((four,)) + count.to_bytes(4, "little")
    return text


def packed(of: Cells, tail: bytes = b"") -> bytes:
    """As the format says: hours at their first quarter, then what of them is in the other quarters."""
    hours: Cells = Counter()
    for (quarter, place), count in of.items():
        hours[quarter // 4 * 4, place] += count
    parts = items(hours), items(Counter({cell: count for cell, count in of.items() if cell[0] % 4}))
    return pack("<BHH", 255, *map(len, parts)) + b"".join(parts) + tail


def without_quarters(value: bytes) -> bytes:
    """As `read.lua` answers it."""
    if value[:1] != b"\xff":
        return value
    hours, quarters = (int.from_bytes(value[at : at + 2], "little") for at in (1, 3))
    return value[:3] + b"\0\0" + value[5 : 5 + hours] + value[5 + hours + quarters :]


def by_quarter(value: bytes) -> Cells:
    found = unpack_quarters(value)
    assert len(found) == CELLS
    held = {cell: count for cell, count in enumerate(found) if count}
    assert unpack_cells(value) == held
    return Counter({divmod(cell, KINDS_MAX): count for cell, count in held.items()})


def by_hour(value: bytes) -> Cells:
    found = unpack_hours(value)
    assert len(found) == HOUR_CELLS
    return Counter({divmod(cell, KINDS_MAX): count for cell, count in enumerate(found) if count})


def hours_of(of: Cells) -> Cells:
    hours: Cells = Counter()
    for (quarter, place), count in of.items():
        hours[quarter // 4, place] += count
    return Counter({cell: count for cell, count in hours.items() if count})


@given(counts, counts)
def test_what_is_packed_is_read_back(of: Cells, since: Cells) -> None:
    """However many of however few cells, as packed parts and as what came since."""
    tail = items(since)
    values = [packed(of, tail)] + [items(of) + tail] * bool(of or since)
    for value in values:
        assert by_quarter(value) == of + since
        assert by_hour(value) == hours_of(of + since)
        assert unpack_hours(without_quarters(value)) == unpack_hours(value)


@given(st.lists(cells, min_size=1, max_size=100), st.randoms(use_true_random=False))
def test_a_call_packs_what_its_facts_name(named: list[tuple[int, int]], random: Random) -> None:
    """In whatever order; calls one after the other add up."""
    few = [*named, *random.choices(named[:3], k=20)]
    tail = pack_counts(b"".join(cell_bytes(*cell) for cell in few))
    assert by_quarter(tail) == Counter(few)
    random.shuffle(few)
    assert pack_counts(b"".join(cell_bytes(*cell) for cell in few)) == tail
    assert by_quarter(packed(Counter(named), tail + tail)) == Counter([*named, *few, *few])


@given(counts, st.lists(cells, max_size=5))
def test_what_is_taken_back_is_one_count_less(of: Cells, back: list[tuple[int, int]]) -> None:
    """Also to below nothing, as items of one call may come after those of another one."""
    tail = b"".join(bytes((quarter, 96 + place)) for quarter, place in back)
    value = packed(of, tail)
    expected = of.copy()
    expected.subtract(back)
    assert by_quarter(value) == Counter({cell: count for cell, count in expected.items() if count})
    assert by_hour(value) == hours_of(expected)


@pytest.mark.parametrize("number", [1, 7, 8, 255, 256, 65_536, 70_000])
def test_many_counts_of_one_cell_are_few_bytes(number: int) -> None:
    """A quarter and a count; every place of a family and the last quarter have room."""
    for cell in ((0, 0), (QUARTERS - 1, KINDS_MAX - 1)):
        value = pack_counts(cell_bytes(*cell) * number)
        assert len(value) == (2 if number <= 7 else 3 if number < 256 else 6)
        assert by_quarter(value) == {cell: number}


def test_the_format_is_as_written() -> None:
    """Redis holds these bytes, and other releases read them."""
    value = bytes.fromhex("ff 0600 0300 24 71 80 e2 ff 00 25 71 80 0c 61 f0 01000100".replace(" ", ""))
    # Hours: 9 o'clock, one of place 1, two of 0, 255 of 2; of quarter 9:15 one of place 1, two of 0.
    expected = {(36, 2): 255, (37, 1): 1, (37, 0): 2, (12, 1): -1, (12, 0): 65_537}
    assert value[5:11] == bytes.fromhex("247180e2ff00"), "a quarter without counts says nothing"
    assert by_quarter(value) == expected


# Damage

TOKEN = re.compile(
    rb"(?P<quarter>[\x00-\x5f])|(?P<few>[\x60-\xdf])|(?P<byte>[\xe0-\xef])(.)|(?P<four>[\xf0-\xff])(.{4})",
    re.DOTALL,
)


def read_part(part: bytes) -> Cells | None:
    """The items of a part, said a second time as a grammar; none where it is no such thing."""
    found: Cells = Counter()
    at, quarter = 0, None
    while at < len(part):
        token = TOKEN.match(part, at)
        if token is None:
            return None
        at = token.end()
        if token["quarter"]:
            quarter = token["quarter"][0]
            continue
        if quarter is None:
            return None
        place = token[0][0] % 16
        if token["few"]:
            found[quarter, place] += token["few"][0] // 16 - 6 or -1
        else:
            found[quarter, place] += int.from_bytes(token[0][1:], "little")
    return found


def read(value: bytes) -> tuple[Cells, Cells, Cells] | None:
    """Hours, quarters and tail."""
    if value[:1] != b"\xff":
        tail = read_part(value) if value else None
        return None if tail is None else (Counter(), Counter(), tail)
    if len(value) < 5:
        return None
    middle = 5 + int.from_bytes(value[1:3], "little")
    end = middle + int.from_bytes(value[3:5], "little")
    if len(value) < end:
        return None
    parts = [read_part(part) for part in (value[5:middle], value[middle:end], value[end:])]
    hours, quarters, tail = parts
    return None if hours is None or quarters is None or tail is None else (hours, quarters, tail)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A value of which bytes are changed, lost or come twice; or anything."""
    value = bytearray(packed(draw(counts), items(draw(counts))))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(value)))
        match draw(st.sampled_from(["change", "lose", "insert", "cut"])):
            case "change":
                value[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case "lose":
                del value[at : at + draw(st.integers(1, 6))]
            case "insert":
                value[at:at] = draw(st.binary(max_size=6))
            case _:
                del value[at:]
    return bytes(value)


values = damaged() | st.binary(max_size=20) | st.binary(max_size=20).map(lambda rest: b"\xff" + rest)


@settings(max_examples=examples(500), deadline=None)
@given(values)
def test_damage_is_reported_and_not_guessed_at(value: bytes) -> None:
    """Whatever bytes: what they say by the grammar, or ValueError; hours are the sum of their quarters."""
    parts = read(value)
    if parts is None:
        for unpack in (unpack_quarters, unpack_cells):
            with pytest.raises(ValueError, match="damaged counter"):
                unpack(value)
    else:
        hours, quarters, tail = parts
        first = Counter({(quarter // 4 * 4, place): 0 for quarter, place in quarters})
        for (quarter, place), count in quarters.items():
            first[quarter // 4 * 4, place] -= count
        assert by_quarter(value) == total(hours, tail, quarters, first)
        assert by_hour(value) == hours_of(total(hours, tail)) == hours_of(by_quarter(value))
        assert unpack_hours(without_quarters(value)) == unpack_hours(value)


def total(*of: Cells) -> Cells:
    """Also of counts below nothing, which `+` leaves out."""
    total: Cells = Counter()
    for each in of:
        for cell, count in each.items():
            total[cell] += count
    return Counter({cell: count for cell, count in total.items() if count})


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff",
        b"\xff\0\0\0",
        b"\xff\1\0\0\0",
        b"\xff\0\0\1\0",
        b"\xff\1\0\0\0\x70",
        b"\xff\0\0\1\0\x70",
        b"\x70",
        IS_WIDE,
        b"\0\xe0",
        b"\0\xf0\0\0\0",
        b"\xff\2\0\0\0\0\xe0\7",
    ],
    ids=lambda value: value.hex(" "),
)
def test_a_value_that_is_cut_off_is_damage(value: bytes) -> None:
    """Within its head, a part or an item, or without a quarter; an item does not go on in the next part."""
    with pytest.raises(ValueError, match="damaged counter"):
        unpack_quarters(value)


@given(counts.filter(bool))
def test_packed_parts_that_are_cut_anywhere_are_damage(of: Cells) -> None:
    value = packed(of)
    for end in range(len(value)):
        with pytest.raises(ValueError, match="damaged counter"):
            unpack_quarters(value[:end])
