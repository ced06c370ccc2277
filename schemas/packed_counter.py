"""The packed counter: the counts of one family, scope and day by quarter of an hour, as Redis holds them.

Pure. A packed counter is made of *items*, a byte each and some more where a count is large:

    0 to 95      the items that follow are of this quarter of the day
    96 to 255    96 + place of the kind in its family + 16 * COUNT: so many counts. COUNT is 1 to 7; or 8: as
                 many as the next byte says; or 9: as many as the next four bytes say, the lowest first; or 0:
                 one count is taken back

and begins with a quarter, or with 255: then two lengths follow, of two bytes each, then the *hours*, the
*quarters* and the *tail*, each of items, beginning with a quarter. The hours count whole hours, at the first
quarter of each. The quarters say what of an hour's count lies in its second, third and fourth quarter; what
is left lies in its first. The tail is what came since, by quarter; where nothing is packed, all is tail. So
whoever wants hours takes the hours and the tail (`api/counters/read.lua` leaves the quarters out), and
quarters cost a scope with few counts next to nothing.

`aggregator/counters/apply.lua` alone writes packed counters: it adds the items of a call (`pack_counts`), and
packs what has grown. So three pieces of code know this format: that one, `read.lua`, and the
ones here.
"""

from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from struct import Struct
from sys import byteorder
from typing import Final

from schemas.instants import HOURS, QUARTERS, QUARTERS_AN_HOUR
from schemas.kinds import FAMILIES
from schemas.redis_keys import FAMILIES_MAX

KINDS_MAX: Final = 16
"""Kinds of one family: what an item has room for."""

CELLS: Final = QUARTERS * KINDS_MAX
"""Of a day: `quarter * KINDS_MAX + place of the kind in its family`."""

HOUR_CELLS: Final = HOURS * KINDS_MAX
"""The same by hour: `hour * KINDS_MAX + place of the kind`."""

MINUS, MOST, BYTE, FOUR_BYTES = 0, 7, 8, 9
PACKED: Final = 255

assert QUARTERS + KINDS_MAX * (FOUR_BYTES + 1) <= 256, "quarters and counts share one byte"
assert len(FAMILIES) <= FAMILIES_MAX, "the families fit a field"
assert all(len(fields) <= KINDS_MAX for fields in FAMILIES.values()), "the kinds fit a family"

_HOUR_CELL: Final = KINDS_MAX * QUARTERS_AN_HOUR
_HEAD: Final = Struct("<BHH")
_SHORT: Final = 64
"""Calls name few cells of most counters, and the same ones of many: up to so many are kept."""
_FEW_ITEMS: Final = 16
"""So do counters hold few, and the same ones: what is not longer is kept unpacked, half a kilobyte each."""


def pack_counts(cells: bytes) -> bytes:
    """The items that count each of some cells once.

    cells: `cell_bytes` of each, in any order.
    """
    return _pack_few(cells) if len(cells) <= _SHORT else _pack(cells)


def cell_bytes(quarter: int, place: int) -> bytes:
    """A cell, for `pack_counts`. quarter: of the day. place: of the kind in its family."""
    return (quarter * KINDS_MAX + place).to_bytes(2, byteorder)


def _pack(cells: bytes) -> bytes:
    counts: dict[int, int] = {}
    for cell in memoryview(cells).cast("H"):  # quicker than a Counter: most are of few cells
        counts[cell] = counts.get(cell, 0) + 1
    packed: list[int] = []
    before = -1
    for cell in sorted(counts):
        quarter = cell // KINDS_MAX
        if quarter != before:
            packed.append(quarter)
            before = quarter
        count = counts[cell]
        kind = QUARTERS + cell % KINDS_MAX
        if count <= MOST:
            packed.append(kind + KINDS_MAX * count)
        elif count < 256:
            packed += kind + KINDS_MAX * BYTE, count
        else:
            packed += kind + KINDS_MAX * FOUR_BYTES, *count.to_bytes(4, "little")
    return bytes(packed)


_pack_few: Final = lru_cache(maxsize=32_768)(_pack)


def unpack_hours(packed_counter: bytes) -> list[int]:
    """The counts by hour. packed_counter: its quarters may have been left out.

    Returns: `HOUR_CELLS` counts.
    Raises: ValueError where it is cut off, or an item is of no quarter: the counter is damaged.
    """
    hours, _, tail = _parts(packed_counter)
    counts = [0] * HOUR_CELLS
    _add(hours, counts, _CELL_OF_HOUR)
    _add(tail, counts, _CELL_OF_HOUR)
    return counts


def unpack_quarters(packed_counter: bytes) -> list[int]:
    """The counts by quarter of an hour.

    Returns: `CELLS` counts.
    Raises: ValueError where it is cut off, or an item is of no quarter: the counter is damaged.
    """
    counts = [0] * CELLS
    _add_quarters(packed_counter, counts)
    return counts


def unpack_cells(packed_counter: bytes) -> Mapping[int, int]:
    """The same, of the cells alone whose count is not 0: for who reads many counters of few cells each.

    Raises: as `unpack_quarters`.
    """
    return _unpack_few(packed_counter) if len(packed_counter) <= _FEW_ITEMS else _unpack(packed_counter)


def _unpack(packed_counter: bytes) -> Mapping[int, int]:
    counts: defaultdict[int, int] = defaultdict(int)
    _add_quarters(packed_counter, counts)
    return {cell: count for cell, count in counts.items() if count}


_unpack_few: Final = lru_cache(maxsize=32_768)(_unpack)


def _add_quarters(packed_counter: bytes, counts: list[int] | defaultdict[int, int]) -> None:
    hours, quarters, tail = _parts(packed_counter)
    _add(hours, counts, _CELL)
    _add(tail, counts, _CELL)
    _add(quarters, counts, _CELL)
    _add(quarters, counts, _CELL_OF_FIRST, -1)


def _parts(packed_counter: bytes) -> tuple[bytes, bytes, bytes]:
    """Hours, quarters and tail. Raises: ValueError."""
    if not packed_counter:
        raise ValueError("damaged counter: nothing in it")
    if packed_counter[0] != PACKED:
        return b"", b"", packed_counter
    if len(packed_counter) < _HEAD.size:
        raise ValueError("damaged counter: it ends within its head")
    _, hours, quarters = _HEAD.unpack_from(packed_counter)
    middle = _HEAD.size + hours
    tail = middle + quarters
    if len(packed_counter) < tail:
        raise ValueError("damaged counter: it ends within a part")
    return packed_counter[_HEAD.size : middle], packed_counter[middle:tail], packed_counter[tail:]


_CELL: Final = tuple(quarter * KINDS_MAX for quarter in range(QUARTERS))
"""Of each quarter its first cell."""
_CELL_OF_FIRST: Final = tuple(cell // _HOUR_CELL * _HOUR_CELL for cell in _CELL)
"""The same of the first quarter of its hour."""
_CELL_OF_HOUR: Final = tuple(cell // QUARTERS_AN_HOUR for cell in _CELL_OF_FIRST)
"""The same in counts by hour."""

_FEW, _MANY = QUARTERS + KINDS_MAX, QUARTERS + KINDS_MAX * (MOST + 1)
"""Counts from the first and below the second are told in their own byte."""
_COUNTS: Final = tuple((byte - QUARTERS) // KINDS_MAX for byte in range(256))
_PLACES: Final = tuple((byte - QUARTERS) % KINDS_MAX for byte in range(256))


def _add(
    part: bytes, counts: list[int] | defaultdict[int, int], cells: tuple[int, ...], times: int = 1
) -> None:
    """Add each count of a part, so many times, to its cell. cells: the first of each quarter.

    Raises: ValueError. It is written for speed: most of an answer's work may be here.
    """
    first = -1
    following = iter(part)
    for byte in following:
        if byte < QUARTERS:
            first = cells[byte]
        elif first < 0:
            raise ValueError("damaged counter: a count of no quarter")
        elif _FEW <= byte < _MANY:
            counts[first + _PLACES[byte]] += times * _COUNTS[byte]
        else:
            length = {MINUS: 0, BYTE: 1}.get(_COUNTS[byte], 4)
            digits = bytes(islice(following, length))
            if len(digits) < length:
                raise ValueError("damaged counter: a count that is cut off")
            count = int.from_bytes(digits, "little") if length else -1
            counts[first + _PLACES[byte]] += times * count
