"""How a long read is cut: whatever there is, all of it is read, in calls that are as short as they can be."""

from hypothesis import given
from hypothesis import strategies as st

from api.counters.long.asked import Asked, Block, blocks_of, together, within
from schemas.redis_keys import BLOCK_DAYS

PLACES = b"\0\1"
AT_ONCE = 40


def asked(days: list[range]) -> Asked:
    """By day, with groups of the last range."""
    return Asked(b"\0", together(days), PLACES, by_quarter=False, group=b"\1", group_days=days[-1])


@st.composite
def reads(draw: st.DrawFn) -> tuple[Asked, list[Block]]:
    """One range of days or two, the second one later, and some of their blocks, of any size."""
    days: list[range] = []
    start = 0
    for _ in range(draw(st.integers(1, 2))):
        start += draw(st.integers(-20, 20)) if not days else draw(st.integers(0, 20))
        days.append(range(start, start + draw(st.integers(1, 80))))
        start = days[-1].stop
    read = asked(days)
    blocks = []
    for each in read.days:
        for number in blocks_of(each):
            if draw(st.booleans()):
                size = draw(st.integers(0, 2 * AT_ONCE)) if read.has_groups(number) else 0
                blocks.append(Block(number, within(each, number), size))
    return read, blocks


def numbers(text: object) -> set[int]:
    """The days that an argument of the script names."""
    ends = list(map(int, str(text).split()))
    return {day for first, last in zip(ends[::2], ends[1::2], strict=True) for day in range(first, last + 1)}


@given(reads(), st.integers(1, 4))
def test_pieces_are_all_blocks_in_order_and_no_call_is_longer_than_it_may_be(
    read: tuple[Asked, list[Block]], times: int
) -> None:
    """Each block is in one piece. One that is too big is one block, which is read by a cursor."""
    what, blocks = read
    *before, newest = what.pieces(blocks, AT_ONCE, times * AT_ONCE)
    assert [block for piece in (*before, newest) for block in piece.blocks] == blocks

    def fields(some: list[Block]) -> int:
        return sum(BLOCK_DAYS * len(PLACES) + block.size for block in some)

    assert fields(list(newest.blocks)) <= times * AT_ONCE
    for piece in before:
        assert piece.blocks
        assert piece.is_part == (fields(list(piece.blocks)) > AT_ONCE)
        assert not piece.is_part or len(piece.blocks) == 1


@given(reads())
def test_each_day_of_a_block_is_asked_for_once_and_no_day_of_another(
    read: tuple[Asked, list[Block]],
) -> None:
    """Of the scope, and of the groups those that are among their days."""
    what, blocks = read
    of_groups = set(what.group_days)
    days: list[int] = []
    for piece in what.pieces(blocks, AT_ONCE, AT_ONCE):
        _, text, places, _, group, group_text, *_ = what.piece(piece, AT_ONCE, b"0")
        wanted = {day for block in piece.blocks for day in block.days}
        named = numbers(text)
        there = {block.number for block in blocks}
        assert {day for day in named if day // BLOCK_DAYS in there} == wanted
        assert {day for day in numbers(group_text) if day in wanted} == wanted & of_groups
        assert bool(group) >= bool(wanted & of_groups)
        assert places == PLACES
        days += wanted
    assert len(days) == len(set(days))
