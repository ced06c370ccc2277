"""Records parsed from pieces: whatever the pieces are, and whatever may be wrong with them."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aggregator.counting.facts import Refusal
from aggregator.counting.reading import DeadLetter, KafkaRecord, Record
from aggregator.log.record_parser import WHOLE_MAX, Numbering, parsed
from aggregator.log.unpacking import DamagedError
from schemas.topics import CUT_KEY_BYTES, CUT_VALUE_BYTES
from tests.wire import Raw, field, record, varint

BASE, FIRST_MS = 70, 1_764_000_000_000

contents = st.none() | st.binary(max_size=20)
headers = st.lists(st.tuples(st.text(max_size=5).map(str.encode), contents), max_size=3).map(tuple)
raws = st.builds(Raw, contents, contents, headers, st.integers(FIRST_MS - 10**6, FIRST_MS + 10**6))


def numbering(count: int, append_ms: int | None = None) -> Numbering:
    return Numbering(count, BASE, BASE + count, FIRST_MS, append_ms)


def payload(records: Iterable[Raw]) -> bytes:
    return b"".join(record(raw, number, FIRST_MS) for number, raw in enumerate(records))


def body(delta: int = 0, rest: bytes = field(None) + field(None) + varint(0)) -> bytes:
    """A record with the length that it has. delta: of its offset. rest: key, value, headers."""
    content = b"\0" + varint(0) + varint(delta) + rest
    return varint(len(content)) + content


@given(st.lists(raws, max_size=4), st.data())
@example([Raw(b"v" * 300)], None)
def test_where_pieces_end_is_no_matter(records: list[Raw], data: st.DataObject | None) -> None:
    whole = payload(records)
    ends = range(len(whole)) if data is None else data.draw(st.lists(st.integers(0, len(whole))))
    cuts = [0, *sorted(ends), len(whole)]
    found = list(parsed((whole[one:other] for one, other in pairwise(cuts)), numbering(len(records))))
    assert found == [
        Record(
            BASE + number,
            raw.time_ms,
            raw.key,
            raw.value,
            tuple((name.decode(), content) for name, content in raw.headers),
        )
        for number, raw in enumerate(records)
    ]


def test_a_batch_whose_broker_set_the_time_has_that() -> None:
    (found,) = parsed(iter([payload([Raw(b"v", time_ms=FIRST_MS + 5)])]), numbering(1, append_ms=77))
    assert found.timestamp == 77


def test_what_is_too_large_is_cut_and_the_next_one_is_read() -> None:
    large = Raw(b"v" * WHOLE_MAX, b"k" * (CUT_KEY_BYTES + 9), ((b"h", b"x"),), FIRST_MS)
    cut, following = parsed(iter([payload([large, Raw(b"next", time_ms=FIRST_MS)])]), numbering(2))
    assert cut == DeadLetter(
        BASE, FIRST_MS, b"k" * CUT_KEY_BYTES, b"v" * CUT_VALUE_BYTES, Refusal.TOO_LARGE, WHOLE_MAX
    )
    assert (following.offset, following.value) == (BASE + 1, b"next")


@pytest.mark.parametrize(
    ("damaged", "why"),
    [
        (b"", "within a number"),
        (b"\xff" * 10, "more than 64 bits"),
        (varint(-1), "a record of -1 bytes"),
        (body()[:-1], "within a number"),
        (varint(40) + body()[1:-1] + varint(1) + field(b"long")[:-2], "within a record"),
        (body(delta=1), "offset 71 after 69"),
        (body(delta=-1), "offset 69 after 69"),
        (body(rest=varint(9) + b"key"), "9 bytes where a record has 3 left"),
        (body(rest=varint(-2)), "-2 bytes"),
        (body(rest=field(None) + field(None) + varint(-1)), "-1 headers"),
        (body(rest=field(None) + field(None) + varint(1) + field(None)), "without a name"),
        (body(rest=field(None) + field(None) + varint(0) + b"?"), "1 bytes after the headers"),
    ],
)
def test_each_way_to_be_damaged(damaged: bytes, why: str) -> None:
    with pytest.raises(DamagedError, match=why):
        list(parsed(iter([damaged]), numbering(1)))


def test_records_before_the_damage_come_first() -> None:
    found: list[KafkaRecord] = []

    def take(records: Iterator[KafkaRecord]) -> None:
        for each in records:
            found.append(each)  # noqa: PERF402  # what came before the error counts

    with pytest.raises(DamagedError):
        take(parsed(iter([payload([Raw(b"v", time_ms=FIRST_MS)]), b"\1"]), numbering(2)))
    assert [each.value for each in found] == [b"v"]
