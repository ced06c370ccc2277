"""From a fetched batch to events, dead letters and counts of outcomes; and the watch for a flood."""

import json
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.counting.decode import Decoder
from aggregator.counting.facts import Refusal, Skipped
from aggregator.counting.reading import (
    FLOOD_WINDOW,
    WEIGHT_A_READING,
    FloodWatch,
    Pending,
    Record,
    read_all,
    read_batch,
)
from aggregator.counting.rules import Rules
from schemas.kinds import FIELDS
from schemas.redis_keys import lane_of
from tests.aggregator.law import stated
from tests.examples import examples
from tests.strategies import Record as Drawn
from tests.strategies import records

READER = Decoder(Rules())


@st.composite
def batches(draw: st.DrawFn) -> list[Drawn]:
    """Records by rising offset; as the topic may be told to begin anywhere, so may a batch."""
    found = draw(st.lists(records(), max_size=12))
    steps = draw(st.lists(st.integers(1, 3), min_size=len(found), max_size=len(found)))
    at = draw(st.integers(0, 10**12))
    return [
        Drawn(each.value, each.timestamp, at + sum(steps[: index + 1]), b"key")
        for index, each in enumerate(found)
    ]


@settings(max_examples=examples(100), deadline=None)
@given(batches(), st.sampled_from([1, 2, 16]))
def test_every_record_of_a_batch_has_exactly_one_outcome(batch: list[Drawn], lanes: int) -> None:
    """The counts add up; each record is an event of its tenant's lane, a dead letter, or passed over."""
    reading = read_batch(READER, lanes, iter(batch))
    assert sum(reading.outcomes.values()) == len(batch)

    expected: Counter[str] = Counter()
    for record in batch:
        outcome = stated(record.value, record.timestamp)
        expected[outcome if isinstance(outcome, str) else "counted"] += 1
    assert +reading.outcomes == expected

    by_offset = {record.offset: record for record in batch}
    events = {offset: facts for of_lane in reading.by_lane.values() for offset, facts in of_lane}
    assert len(events) == sum(map(len, reading.by_lane.values())) == reading.outcomes["counted"]
    for offset, facts in events.items():
        assert facts == READER.read(by_offset[offset].value, by_offset[offset].timestamp)
    for lane, of_lane in reading.by_lane.items():
        assert of_lane, "a lane without events is not named"
        assert {lane_of(facts.scopes.tenant, lanes) for _, facts in of_lane} == {lane}
        assert all(before < after for (before, _), (after, _) in pairwise(of_lane))

    by_kind = Counter(
        FIELDS[kind] for facts in events.values() for kind in facts.kinds for _ in facts.recipients
    )
    pending = Pending()
    pending.add(0, reading, [])
    pending.add(1, reading, [])
    assert pending.facts_by_kind() == by_kind + by_kind, "one for each kind and recipient, as often as stated"
    pending.add(2, reading, [event for of_lane in reading.by_lane.values() for event in of_lane])
    assert pending.facts_by_kind() == by_kind + by_kind, "nothing of what was counted before"

    dead_letters = [
        (dead_letter.offset, stated(dead_letter.value, dead_letter.timestamp))
        for dead_letter in reading.dead_letters
    ]
    assert [
        (dead_letter.offset, str(dead_letter.reason)) for dead_letter in reading.dead_letters
    ] == dead_letters
    for dead_letter in reading.dead_letters:
        record = by_offset[dead_letter.offset]
        assert dead_letter[:4] == (record.offset, record.timestamp, record.key, record.value), "bytes and all"
    assert len(dead_letters) == sum(reading.outcomes[reason] for reason in Refusal)
    assert not events.keys() & {offset for offset, _ in dead_letters}


@settings(max_examples=examples(50), deadline=None)
@given(batches(), st.data())
def test_how_records_are_batched_does_not_matter(batch: list[Drawn], data: st.DataObject) -> None:
    """Two batches say together what one says."""
    cut = data.draw(st.integers(0, len(batch)))
    whole = read_batch(READER, 4, iter(batch))
    first, second = (read_batch(READER, 4, iter(part)) for part in (batch[:cut], batch[cut:]))
    assert first.outcomes + second.outcomes == +whole.outcomes
    assert first.dead_letters + second.dead_letters == whole.dead_letters
    lanes = first.by_lane.keys() | second.by_lane.keys()
    assert whole.by_lane == {
        lane: first.by_lane.get(lane, []) + second.by_lane.get(lane, []) for lane in lanes
    }


def test_no_two_outcomes_have_one_name() -> None:
    """Metrics and headers tell outcomes apart by name."""
    names = [*map(str, Refusal), *map(str, Skipped), "counted"]
    assert len(set(names)) == len(names)


# What is heavy


def test_a_reading_ends_before_it_is_too_heavy() -> None:
    """Of many records, dead letters or events, a part is read at a time, and nothing is left out."""
    mail = {"timestamp": "2026-01-05T10:00:00Z", "messageId": "m" * 100_000, "tags": {"tenant": ["a"]}}
    event = json.dumps({"eventType": "Send", "mail": mail | {"destination": ["a@x"]}}).encode()
    for value, each_weighs in ((b"{" * 100_000, 100_000), (event, 100_000), (b"{}" + b" " * 200_000, 0)):
        records = iter([Record(offset, 1_767_607_200_000, None, value) for offset in range(1_000)])
        at = dead_letters = events = 0
        parts = []
        for reading in read_all(READER, 4, records):
            dead_letters += len(reading.dead_letters)
            events += reading.outcomes["counted"]
            assert reading.weight >= each_weighs * (len(reading.dead_letters) + reading.outcomes["counted"])
            assert reading.weight < WEIGHT_A_READING + 2 * 200_000
            parts.append(reading.outcomes.total())
            at += reading.outcomes.total()
            assert reading.end in (None, at)
        assert at == 1_000
        assert len(parts) > 2
        assert dead_letters + events == (1_000 if each_weighs else 0)


# The flood


def floods(batches_: list[list[bool]]) -> list[bool]:
    """The law, naively: after each batch, whether at one of its records more than half of 1,000 were bad."""
    read: list[bool] = []
    reported = []
    for batch in batches_:
        flood = False
        for bad in batch:
            read.append(bad)
            flood |= len(read) >= 1000 and sum(read[-1000:]) > 500
        reported.append(flood)
    return reported


def watched(batches_: list[list[bool]]) -> list[bool]:
    watch, at, reported = FloodWatch(), 0, []
    for batch in batches_:
        unreadable = [at + index for index, bad in enumerate(batch) if bad]
        reported.append(watch.is_flood(0, at, at + len(batch), unreadable))
        at += len(batch)
    return reported


def up_to_the_first(reported: list[bool]) -> list[bool]:
    """The worker leaves at the first flood; what the watch would say after it matters to nobody."""
    return reported[: reported.index(True) + 1] if True in reported else reported


runs = st.lists(
    st.tuples(st.sampled_from([1, 2, 250, 498, 499, 500, 501, 502, 999, 1000, 1001]), st.booleans()),
    max_size=6,
)


@settings(max_examples=examples(150), deadline=None)
@given(runs, st.lists(st.sampled_from([0, 1, 100, 499, 500, 999, 1000, 1500, 3000]), max_size=8))
def test_a_flood_is_more_than_half_of_the_last_thousand(
    stretches: list[tuple[int, bool]], sizes: list[int]
) -> None:
    """Whatever the batches, the watch says what a naive count over all records says."""
    history = [bad for length, bad in stretches for _ in range(length)]
    cut: list[list[bool]] = []
    for size in [*sizes, len(history)]:
        cut.append(history[:size])
        history = history[size:]
    assert up_to_the_first(watched(cut)) == up_to_the_first(floods(cut))


@pytest.mark.parametrize(
    ("batches_", "reported"),
    [
        ([[True] * 999], [False]),
        ([[True] * 1000], [True]),
        ([[True] * 500 + [False] * 500], [False]),
        ([[True] * 501 + [False] * 499], [True]),
        ([[False] * 1000 + [True] * 500], [False]),
        ([[False] * 5000, [True] * 501], [False, True]),
        ([[True] * 501 + [False] * 498, [True]], [False, True]),
        ([[True, False] * 5000], [False]),
        ([[True] * 500, [False] * 1000, [True] * 500], [False, False, False]),
        ([], []),
        ([[]], [False]),
    ],
)
def test_floods_by_example(batches_: list[list[bool]], reported: list[bool]) -> None:
    """Half is no flood, one more is, and never before the first thousand."""
    assert FLOOD_WINDOW == 1000
    assert watched(batches_) == floods(batches_) == reported


def test_a_flood_that_good_records_complete_is_one() -> None:
    """The thousandth record may be a good one, in a batch without a bad one."""
    assert floods([[True] * 999, [False]]) == [False, True]
    assert watched([[True] * 999, [False]]) == [False, True]
    assert watched([[True] * 501, [False] * 499]) == [False, True]


def test_what_is_read_again_is_no_flood() -> None:
    """Ten unreadable records stay ten, however many resyncs read them again; each partition has its own."""
    watch = FloodWatch()
    for _ in range(200):
        assert not watch.is_flood(0, 0, 10, range(10))
        assert not watch.is_flood(1, 0, 20, range(10, 20))
    assert not watch.is_flood(0, 5, 991, range(5, 490))
    assert not watch.is_flood(0, 0, 991, range(490)), "all of it was seen"
    assert watch.is_flood(0, 900, 3_000, range(900, 3_000))
