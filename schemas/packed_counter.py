"""The packed counter: the counts of one family, scope and day by quarter of an hour, as Redis holds them.

Pure. A packed counter is made of *items*, each of which counts something in one cell:

    an item    two bytes, the lower first: CELL + 2048 * COUNT, with COUNT in 1 to 29 that many counts;
               30: as many as the next byte says; 31: as many as the next four bytes say, the lowest first;
               0: one count is taken back
    CELL       quarter of the day (0 to 95) * `KINDS_MAX` + place of the kind in its family

It begins with a byte. 0: nothing is packed, and the *tail* follows, the items as they came. 1: two lengths
follow, of two bytes each, then the *hours*, the *quarters* and the tail. The hours are items for whole hours,
whose CELL is that of the hour's first quarter. The quarters say what of an hour's count lies in its second,
third and fourth quarter; what is left lies in its first. So whoever wants hours takes the hours and the tail
(`api/counters/read.lua` leaves the quarters out), and quarters cost a scope with few counts next to nothing.

`aggregator/counters/apply.lua` alone writes packed counters: it adds the items of a call (`pack_counts`), and
its own `pack` packs what has grown. So three pieces of code know this format: that one, `read.lua`, and the
ones here.
"""

from collections import Counter
from struct import Struct, unpack_from
from typing import Final

from schemas.instants import HOURS
from schemas.kinds import FAMILIES
from schemas.redis_keys import FAMILIES_MAX

QUARTERS_AN_HOUR: Final = 4
QUARTERS: Final = HOURS * QUARTERS_AN_HOUR
"""Of a day."""

KINDS_MAX: Final = 16
"""Kinds of one family: what a cell has room for."""

CELLS: Final = QUARTERS * KINDS_MAX
"""Of a day: `quarter * KINDS_MAX + place of the kind in its family`."""

HOUR_CELLS: Final = HOURS * KINDS_MAX
"""The same by hour: `hour * KINDS_MAX + place of the kind`."""

COUNT: Final = 2048
"""What one count adds to the number of an item."""

MINUS, MOST, BYTE, FOUR_BYTES = 0, 29, 30, 31

assert CELLS <= COUNT, "the cells fit an item"
assert len(FAMILIES) <= FAMILIES_MAX, "the families fit a field"
assert all(len(fields) <= KINDS_MAX for fields in FAMILIES.values()), "the kinds fit a family"

_HOUR_CELL: Final = KINDS_MAX * QUARTERS_AN_HOUR
_item: Final = Struct("<H").pack
_lengths: Final = Struct("<xHH").unpack_from


def count_once(cell: int) -> bytes:
    """The item that counts once in a cell."""
    return _item(COUNT + cell)


def pack_counts(items: bytes) -> bytes:
    """Items that count the same in few bytes where one cell is named often.

    items: of `count_once`, in any order.
    """
    number = len(items) // 2
    if number < 8:
        return items
    packed = []
    for item, count in Counter(unpack_from(f"<{number}H", items)).items():
        cell = item - COUNT
        if count <= MOST:
            packed.append(_item(cell + COUNT * count))
        elif count < 256:
            packed.append(_item(cell + COUNT * BYTE) + bytes((count,)))
        else:
            packed.append(_item(cell + COUNT * FOUR_BYTES) + count.to_bytes(4, "little"))
    return b"".join(packed)


def unpack_hours(packed_counter: bytes) -> list[int]:
    """The counts by hour. packed_counter: its quarters may have been left out.

    Returns: `HOUR_CELLS` counts.
    Raises: ValueError where an item is cut off or names no cell: the counter is damaged.
    """
    hours, _, tail = _parts(packed_counter)
    counts = [0] * HOUR_CELLS
    for part in (hours, tail):
        for cell, count in _items(part):
            counts[cell // _HOUR_CELL * KINDS_MAX + cell % KINDS_MAX] += count
    return counts


def unpack_quarters(packed_counter: bytes) -> list[int]:
    """The counts by quarter of an hour.

    Returns: `CELLS` counts.
    Raises: ValueError where an item is cut off or names no cell: the counter is damaged.
    """
    hours, quarters, tail = _parts(packed_counter)
    counts = [0] * CELLS
    for part in (hours, tail):
        for cell, count in _items(part):
            counts[cell] += count
    for cell, count in _items(quarters):
        counts[cell] += count
        counts[cell // _HOUR_CELL * _HOUR_CELL + cell % KINDS_MAX] -= count
    return counts


def _parts(packed_counter: bytes) -> tuple[bytes, bytes, bytes]:
    """Hours, quarters and tail. Raises: ValueError."""
    if packed_counter[:1] == b"\0":
        return b"", b"", packed_counter[1:]
    if packed_counter[:1] != b"\1" or len(packed_counter) < 5:
        raise ValueError("damaged counter: no head")
    hours, quarters = _lengths(packed_counter)
    if len(packed_counter) < 5 + hours + quarters:
        raise ValueError("damaged counter: it ends within a part")
    at = 5 + hours
    return packed_counter[5:at], packed_counter[at : at + quarters], packed_counter[at + quarters :]


def _items(part: bytes) -> list[tuple[int, int]]:
    """(cell, count) of each item. Raises: ValueError."""
    found = []
    at, end = 0, len(part)
    try:
        while at < end:
            count, cell = divmod(part[at] + 256 * part[at + 1], COUNT)
            at += 2
            if count > MOST:
                length = 1 if count == BYTE else 4
                count = int.from_bytes(part[at : at + length], "little")
                at += length
                if at > end:
                    raise ValueError("damaged counter: it ends within an item")
            elif count == MINUS:
                count = -1
            if cell >= CELLS:
                raise ValueError(f"damaged counter: cell {cell}")
            found.append((cell, count))
    except IndexError:
        raise ValueError("damaged counter: it ends within an item") from None
    return found
