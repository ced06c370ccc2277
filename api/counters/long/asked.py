"""What `read.lua` is asked of a tenant, and how it is cut into pieces that are short calls. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

from api.counters.replies import MAX_GROUP_FIELDS
from schemas.redis_keys import BLOCK_DAYS

AT_ONCE: Final = 1_000
"""Fields that one call looks at, at most: one to three milliseconds of Redis, whatever stands in them.

A year by day is less; so is a month with its groups where they are few."""

EMPTY: Final = b""
"""An argument that is not given."""


class Block(NamedTuple):
    """A block of days that there is. days: that are wanted; size: fields to look through for groups."""

    number: int
    days: range
    size: int = 0


class Piece(NamedTuple):
    """What one call reads: some blocks. is_part: of one block, whose groups take several calls."""

    blocks: Sequence[Block]
    is_part: bool = False


def together(days: Iterable[range]) -> list[range]:
    """Ranges of days as the script takes them: as one where no block is between them, and none that is empty.

    days: in the order of their starts.
    """
    ranges: list[range] = []
    for each in filter(None, days):
        if ranges and each.start // BLOCK_DAYS <= ranges[-1].stop // BLOCK_DAYS:
            before = ranges.pop()
            ranges.append(range(before.start, max(before.stop, each.stop)))
        else:
            ranges.append(each)
    return ranges


def blocks_of(days: range) -> range:
    """The numbers of the blocks that days lie in, of which there is one."""
    return range(days.start // BLOCK_DAYS, (days.stop - 1) // BLOCK_DAYS + 1)


def within(days: range, number: int) -> range:
    """Those of some days that lie in a block."""
    return _common(days, range(number * BLOCK_DAYS, (number + 1) * BLOCK_DAYS))


@dataclass(frozen=True, slots=True)
class Asked:
    """All that one answer needs.

    scope: whose counters, as `member_of_id` has it; days: as `together` has them; places: of the families;
    by_quarter: whether by quarters of an hour; group: the scope whose ids are wanted too, likewise, or empty;
    group_days: their days, or none.
    """

    scope: bytes
    days: Sequence[range]
    places: bytes
    by_quarter: bool
    group: bytes
    group_days: range

    def whole(self, at_once: int | None) -> tuple[bytes | str | int, ...]:
        """The arguments of the script for all of it. at_once: fields it may look at; none: any number."""
        return self._arguments(self.days, self.group_days, at_once, EMPTY)

    def piece(self, piece: Piece, at_once: int, cursor: bytes) -> tuple[bytes | str | int, ...]:
        """Its arguments for a piece. cursor: where the groups of a part go on."""
        days = _hull(piece.blocks, self.days)
        group_days = range(0)
        if piece.blocks:
            first, last = piece.blocks[0].days.start, piece.blocks[-1].days.stop
            group_days = _common(self.group_days, range(first, last))
        return self._arguments(days, group_days, at_once, cursor if piece.is_part else EMPTY)

    def has_groups(self, number: int) -> bool:
        """Whether ids of a block are wanted."""
        return bool(self.group and within(self.group_days, number))

    def pieces(self, blocks: Sequence[Block], at_once: int, last: int) -> Iterator[Piece]:
        """Pieces of up to `at_once` fields, the oldest first, and at last one of up to `last`, the newest.

        blocks: in their order. The last piece may be of no blocks.
        """
        at, room = len(blocks), last
        while at and (room := room - self._weight(blocks[at - 1])) >= 0:
            at -= 1
        some: list[Block] = []
        room = at_once
        for block in blocks[:at]:
            weight = self._weight(block)
            if some and weight > room:
                yield Piece(some)
                some, room = [], at_once
            if weight > at_once:
                yield Piece([block], is_part=True)
            else:
                some.append(block)
                room -= weight
        if some:
            yield Piece(some)
        yield Piece(blocks[at:])

    def _weight(self, block: Block) -> int:
        return BLOCK_DAYS * len(self.places) + block.size

    def _arguments(
        self, days: Iterable[range], group_days: range, at_once: int | None, cursor: bytes
    ) -> tuple[bytes | str | int, ...]:
        return (
            self.scope,
            _text(days),
            self.places,
            "1" if self.by_quarter else EMPTY,
            self.group if group_days else EMPTY,
            _text([group_days]),
            MAX_GROUP_FIELDS,
            EMPTY if at_once is None else at_once,
            cursor,
        )


def _text(days: Iterable[range]) -> str:
    return " ".join(f"{each.start} {each.stop - 1}" for each in days if each)


def _common(some: range, others: range) -> range:
    return range(max(some.start, others.start), min(some.stop, others.stop))


def _hull(blocks: Iterable[Block], days: Sequence[range]) -> Iterator[range]:
    """Of each of the ranges the days from the first to the last one of blocks in it."""
    for _, of_range in groupby(
        blocks, lambda block: next(at for at, each in enumerate(days) if block.days.start in each)
    ):
        first, *others = of_range
        yield range(first.days.start, (others or [first])[-1].days.stop)
