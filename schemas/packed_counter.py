"""The packed counter: the counts of one scope on one day, as Redis holds them.

Pure. A packed counter is two bytes (little endian) with the length of its packed part, the packed part, and
what came since. Both parts are *items*, one after the other:

    CELL                    one count
    254 CELL BYTE           so many counts
    253 CELL FOUR BYTES     so many counts (little endian)
    255 CELL                one count is taken back

`aggregator/counters/apply.lua` alone writes packed counters: it adds the items of a call (`pack_counts`), and
its own `pack` packs what has grown. So three pieces of code know this format: that one and the two here.
"""

from collections import Counter
from typing import Final

from schemas.instants import HOURS
from schemas.kinds import KINDS

CELLS: Final = HOURS * len(KINDS)
"""A cell is `hour * len(KINDS) + index of the kind`: one number of one day."""

MANY, SEVERAL, MINUS = 253, 254, 255
assert CELLS <= MANY, "cells and the marks of a packed counter share one byte"


def pack_counts(cells: bytes) -> bytes:
    """The items that count each of some cells once, in few bytes where one is named often.

    cells: a byte each, in any order.
    """
    if len(cells) < 8:
        return cells
    items = []
    for cell, count in Counter(cells).items():
        if count <= 3:
            items.append(bytes((cell,)) * count)
        elif count < 256:
            items.append(bytes((SEVERAL, cell, count)))
        else:
            items.append(bytes((MANY, cell)) + count.to_bytes(4, "little"))
    return b"".join(items)


def unpack_counter(packed_counter: bytes) -> list[int]:
    """The counts of one scope and day.

    Returns: `CELLS` counts, by cell.
    Raises: ValueError where the packed counter ends within an item or names no cell: the counter is damaged.
    """
    counts = [0] * CELLS
    at, end = 2, len(packed_counter)
    try:
        while at < end:
            mark = packed_counter[at]
            if mark < CELLS:
                counts[mark] += 1
                at += 1
            elif mark == MINUS:
                counts[packed_counter[at + 1]] -= 1
                at += 2
            elif mark == SEVERAL:
                counts[packed_counter[at + 1]] += packed_counter[at + 2]
                at += 3
            elif mark == MANY and at + 6 <= end:
                counts[packed_counter[at + 1]] += int.from_bytes(packed_counter[at + 2 : at + 6], "little")
                at += 6
            else:
                raise ValueError(f"damaged counter: mark {mark} at byte {at}")
    except IndexError:
        raise ValueError("damaged counter: it ends within an item or names no cell") from None
    if end < 2:
        raise ValueError("damaged counter: no length")
    return counts
