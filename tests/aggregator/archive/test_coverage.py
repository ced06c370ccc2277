"""What an archive holds by the names of its files, against sets of offsets."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.archive.coverage import (
    MERGED_AT_ONCE,
    File,
    Span,
    covered,
    file_of,
    holes,
    overlapping,
    to_merge,
    topic_id_of,
    uncovered,
)

TOPIC = "x0Xk-_3TQe2bKq1o2b3c4d"


def file(first: int, next_: int, size: int = 0) -> File:
    return File(TOPIC, 3, first, next_, size)


files = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 12)).map(lambda at: file(at[0], at[0] + at[1])), max_size=8
)


def offsets(of: list[File]) -> set[int]:
    return {offset for each in of for offset in range(each.first, each.next)}


@given(files)
def test_what_is_covered_is_what_the_files_cover(of: list[File]) -> None:
    ranges = covered(of)
    assert {offset for first, next_ in ranges for offset in range(first, next_)} == offsets(of)
    assert all(before[1] < after[0] for before, after in pairwise(ranges))


@given(files, st.integers(0, 40))
def test_going_on_leaves_no_hole_and_writes_nothing_twice(of: list[File], start: int) -> None:
    """Whoever goes on from one uncovered span to the next covers all from the start on."""
    written = list(of)
    while True:
        span = uncovered(written, start)
        assert span.first >= start
        assert span.first not in offsets(written)
        if span.next is None:
            break
        assert not offsets([file(span.first, span.next)]) & offsets(written)
        written.append(file(span.first, span.next))
    assert span.first == max({start} | {each.next for each in of})
    assert set(range(start, span.first)) <= offsets(written)


@given(files)
def test_holes_are_what_lies_between_and_is_in_no_file(of: list[File]) -> None:
    held = offsets(of)
    between = set(range(min(held), max(held))) if held else set()
    found = {offset for first, next_ in holes(of) for offset in range(first, next_ or 0)}
    assert found == between - held


@given(files)
def test_each_pair_that_overlaps_is_told_once(of: list[File]) -> None:
    pairs = [
        tuple(sorted((one, other)))
        for at, one in enumerate(of)
        for other in of[:at]
        if offsets([one]) & offsets([other])
    ]
    assert sorted(tuple(sorted(pair)) for pair in overlapping(of)) == sorted(pairs)


@given(files)
def test_a_file_is_known_by_its_name(of: list[File]) -> None:
    for each in of:
        assert file_of(each.name, 5) == each._replace(size=5)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x.parquet",
        f"{TOPIC}/00003/{0:020}-{0:020}.parquet",
        f"{TOPIC}/00003/{7:020}-{5:020}.parquet",
        f"{TOPIC}/3/{0:020}-{5:020}.parquet",
        f"{TOPIC}/0000000003/{0:020}-{5:020}.parquet",
        f"{TOPIC}/00003/0-5.parquet",
        f"{TOPIC}/00003/{0:020}-{5:020}.parquet.part",
        f"unfinished/{0:020}-{5:020}.parquet",
        f"a/{TOPIC}/00003/{0:020}-{5:020}.parquet",
    ],
)
def test_what_has_no_such_name_is_no_file_of_an_archive(name: str) -> None:
    assert file_of(name) is None


def test_an_id_of_a_topic_fits_a_name() -> None:
    """What librdkafka says is in the alphabet of base64 that has a slash, Kafka in the other one."""
    name = File(topic_id_of("MK/j1lzXRG+vB4GsNvTAlA"), 0, 0, 1).name
    assert name.startswith("MK_j1lzXRG-vB4GsNvTAlA/00000/")
    assert file_of(name) is not None


def test_what_is_not_covered_yet_has_no_end() -> None:
    assert uncovered([], 5) == Span(5, None)
    assert uncovered([file(0, 5), file(7, 9)], 0) == Span(5, 7)
    assert uncovered([file(0, 5), file(7, 9)], 8) == Span(9, None)


@pytest.mark.parametrize("sizes", [(50_000,), (2_000_000, 3_000, 3_000, 700_000, 0), (1_000, 500_000)])
def test_each_row_is_merged_few_times(sizes: tuple[int, ...]) -> None:
    """A thousand small files in a row, by day and night: few are left, and none was written often."""
    most = 128 * 1024 * 1024
    held: list[File] = []
    written = sent = 0
    for number in range(1_000):
        held.append(file(number, number + 1, sizes[number % len(sizes)]))
        sent += held[-1].size
        while run := to_merge(held, most):
            merged = file(run[0].first, run[-1].next, sum(each.size for each in run))
            held = [each for each in held if each not in run] + [merged]
            written += merged.size
    assert offsets(held) == set(range(1_000))
    assert len(held) < 2 * MERGED_AT_ONCE
    assert max(each.size for each in held) <= most
    assert written <= 6 * sent


def test_only_neighbours_without_a_gap_are_merged() -> None:
    run = [file(number, number + 1, 10) for number in range(MERGED_AT_ONCE)]
    assert to_merge(run, 1_000_000) == run
    assert to_merge([each for each in run if each.first != 3], 1_000_000) == []
    assert to_merge([*run[:-1], file(MERGED_AT_ONCE, MERGED_AT_ONCE + 1, 10)], 1_000_000) == []
    assert to_merge([each._replace(size=1_000_000) for each in run], 1_000_000) == []
