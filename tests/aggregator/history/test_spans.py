"""Where history begins, what is missing and what is read where, against sets of offsets."""

from hypothesis import assume, given
from hypothesis import strategies as st

from aggregator.archive.coverage import File
from aggregator.history.spans import begins, furthest, missing, turn

LAST = 45
"""No offset of these tests is above it; the topic ends there."""


def file(first: int, next_: int) -> File:
    return File("topic", 3, first, next_)


files = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 12)).map(lambda at: file(at[0], at[0] + at[1])), max_size=6
)
offsets = st.integers(0, LAST)


def held(of: list[File]) -> set[int]:
    return {offset for each in of for offset in range(each.first, each.next)}


@given(files, offsets)
def test_history_begins_where_nothing_is_missing_any_more(of: list[File], topic_first: int) -> None:
    """From there on each offset is in a file or the topic, and the one before is in neither."""
    there = held(of) | set(range(topic_first, LAST + 1))
    begin = begins(of, topic_first)
    assert set(range(begin, LAST + 1)) <= there
    assert begin - 1 not in there


@given(files, offsets)
def test_what_is_missing_behind_the_archives_first_offset_is_told(of: list[File], topic_first: int) -> None:
    there = held(of) | set(range(topic_first, LAST + 1))
    found = {offset for first, next_ in missing(of, topic_first) for offset in range(first, next_ or 0)}
    assert found == set(range(min(there), LAST + 1)) - there


@given(files, offsets, offsets, offsets, st.one_of(st.none(), offsets))
def test_the_archive_is_read_up_to_the_turn_and_then_the_topic(
    of: list[File], topic_first: int, start: int, stop: int, topic_from: int | None
) -> None:
    """What begins in the history is read without a hole, and ends early only where something is missing."""
    assume(start <= stop)
    at = turn(of, topic_first, start, stop, topic_from)
    assert start <= at <= stop
    assert set(range(start, at)) <= held(of)
    if at < min(topic_first, stop):
        assert at not in held(of), "and is told"
        assert start < begins(of, topic_first)
    elif topic_from is None:
        assert at == stop or at not in held(of), "as far as it goes"
    else:
        assert not set(range(max(start, topic_first, topic_from), at)), "the topic has it and is preferred"


@given(files, offsets)
def test_the_file_that_goes_furthest_is_read(of: list[File], offset: int) -> None:
    ends = [each.next for each in of if each.first <= offset < each.next]
    found = furthest(of, offset)
    assert (found is None) == (not ends)
    if found is not None:
        assert found.first <= offset
        assert found.next == max(ends)
