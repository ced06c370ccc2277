"""What became of a fact: each word where it belongs, and the same as counting the records one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.tracing.standing import Lane, Standing, Told, Word, standing_of

MINE = Told(offset=10, quarter=40)
LANE = Lane(checkpoint=20)


@pytest.mark.parametrize(
    ("told", "held", "lane", "kept", "expected"),
    [
        ([], 40, LANE, True, Standing(Word.COUNTED, 40, 10)),
        ([Told(12, 40)], 40, LANE, True, Standing(Word.COUNTED, 40, 10)),
        ([Told(5, 50)], 40, LANE, True, Standing(Word.COUNTED, 40, 10)),
        ([Told(5, 40)], 40, LANE, True, Standing(Word.REPEATED, 40, 5)),
        ([Told(5, 30)], 30, LANE, True, Standing(Word.REPEATED, 30, 5)),
        ([Told(5, 40), Told(12, 30)], 30, LANE, True, Standing(Word.REPEATED, 30, 12)),
        ([Told(12, 30), Told(15, 30)], 30, LANE, True, Standing(Word.MOVED, 30, 12)),
        ([Told(5, 50), Told(12, 30)], 30, LANE, True, Standing(Word.MOVED, 30, 12)),
        ([], None, Lane(10), True, Standing(Word.NOT_YET)),
        ([Told(5, 50)], 50, Lane(10), True, Standing(Word.NOT_YET, 50, 5)),
        ([Told(12, 30)], None, Lane(10), True, Standing(Word.NOT_YET)),
        ([], 30, LANE, True, Standing(Word.EARLIER, 30)),
        ([Told(25, 30)], 30, LANE, True, Standing(Word.EARLIER, 30)),
        ([], None, LANE, False, Standing(Word.EXPIRED, 40, 10)),
        ([Told(12, 30)], None, LANE, False, Standing(Word.EXPIRED, 30, 12)),
        ([], None, LANE, True, Standing(Word.WRONG)),
        ([], 41, LANE, True, Standing(Word.WRONG, 41)),
        ([], None, Lane(20, start=11), True, Standing(Word.BEFORE_START)),
        ([Told(5, 40)], 40, Lane(20, start=6), True, Standing(Word.COUNTED, 40, 10)),
    ],
)
def test_each_word_is_said_where_it_belongs(
    told: list[Told], held: int | None, lane: Lane, kept: bool, expected: Standing
) -> None:
    assert standing_of(MINE, told, held, lane, kept=kept) == expected


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.integers(0, 7))
def test_it_is_what_counting_the_records_one_by_one_does(quarters: list[int], checkpoint: int) -> None:
    """Law: a record that set the time when it was counted is counted or moved, all others are repeated."""
    records = [Told(offset, quarter) for offset, quarter in enumerate(quarters)]
    held: int | None = None
    set_it: dict[int, bool] = {}
    for record in records[:checkpoint]:
        set_it[record.offset] = held is None or record.quarter < held
        held = record.quarter if held is None else min(held, record.quarter)
    for record in records:
        others = [each for each in records if each != record]
        found = standing_of(record, others, held, Lane(checkpoint), kept=True)
        assert found.quarter == held
        if record.offset >= checkpoint:
            assert found.word is Word.NOT_YET
        elif set_it[record.offset]:
            assert found.word is (Word.COUNTED if record.quarter == held else Word.MOVED)
        else:
            assert found.word is Word.REPEATED
        if held is not None:
            assert found.by == min(each.offset for each in records[:checkpoint] if each.quarter == held)
