"""Rows that are read by whole columns state what the law says of each of them alone."""

import json
from collections.abc import Sequence
from sys import getsizeof
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.archive.columns import columns_of
from aggregator.archive.restore import SlimLaw
from aggregator.archive.slim import Reducer, SlimEvent
from aggregator.counting.facts import type_of_outcome
from aggregator.counting.reading import RECIPIENT_BYTES
from aggregator.counting.rules import NO_ERASURES, Erasures, Rules
from aggregator.history.plain import PlainLaw
from schemas.instants import DAY_MS, HOUR_MS
from tests.benchmarks.events import records as as_ses_sends_them
from tests.benchmarks.workload import REFERENCE, happenings
from tests.examples import examples
from tests.strategies import (
    DETAILS,
    NOT_COUNTED,
    SOME_DAY,
    TAGS,
    TYPES,
    Record,
    Times,
    event,
    ids,
    mostly,
    records,
    times,
)

REDUCER: Final = Reducer(b"")
RULES: Final = (
    Rules(),
    Rules(default_tenant="a"),
    Rules("campaign", (("sequence", "tenant"), ("isp", "ses:configuration-set")), None),
    Rules("Tenant", (), "house"),
)


def read(law: SlimLaw, batch: Any) -> tuple[list[type_of_outcome], int]:
    """The outcomes of a batch's rows in their order, and how many of them are plain."""
    plain = PlainLaw(law).read(batch)
    found: dict[int, type_of_outcome] = {}
    for of, (offset, facts) in zip(plain.of, plain.events, strict=True):
        assert plain.scopes[of] == facts.scopes
        assert not found or offset > max(found)
        found[offset] = facts
    number = len(found)
    assert plain.weight >= number * (getsizeof("m") + RECIPIENT_BYTES)
    for offset, outcome in plain.others:
        assert offset not in found
        found[offset] = outcome
    return [outcome for _, outcome in sorted(found.items())], number


def same(slims: Sequence[SlimEvent], rules: Rules, erasures: Erasures = NO_ERASURES) -> int:
    """All state what the law says of each, also in a part of their batch. Returns: how many are plain."""
    batch = columns_of("topic", 0, slims)
    law = SlimLaw(rules, erasures)
    by_row = [law.outcome_of(slim) for slim in slims]
    first = len(slims) // 3
    assert read(SlimLaw(rules, erasures), batch.slice(first))[0] == by_row[first:]
    found, number = read(law, batch)
    assert found == by_row
    return number


@st.composite
def erasures(draw: st.DrawFn) -> Erasures:
    """None, or some of tenants that there may be, around the times of records."""
    told = st.tuples(
        st.sampled_from(["a", "b", "{a}:b", "house", "\x00"]),
        st.one_of(st.integers(SOME_DAY - HOUR_MS, SOME_DAY + 2 * DAY_MS), st.sampled_from([-1, 0, 2**62])),
    )
    return Erasures((at, *each) for at, each in enumerate(draw(st.lists(told, max_size=2))))


@settings(max_examples=examples(300))
@given(st.lists(records(), min_size=1, max_size=8), st.sampled_from(RULES), erasures())
def test_what_was_kept_of_records_states_the_same_by_columns(
    drawn: list[Record], rules: Rules, erased: Erasures
) -> None:
    slims = [
        REDUCER.reduce(Record(each.value, each.timestamp, 3 * at, each.key)) for at, each in enumerate(drawn)
    ]
    same(slims, rules, erased)


def _named(of: dict[str, tuple[Any, ...]], name: str) -> st.SearchStrategy[Any]:
    texts = [each for each in of.get(name, ()) if isinstance(each, str)]
    return st.one_of(st.none(), st.sampled_from(texts or [""]))


def _tags() -> st.SearchStrategy[Any]:
    names = st.sampled_from([*TAGS, "campaign", "ses:configuration-set", "Tenant"])
    text = st.one_of(st.sampled_from(["a", "b", "{a}:b", ""]), ids())
    texts = mostly(st.tuples(text), st.lists(text, max_size=3).map(tuple))
    tenant = st.tuples(st.tuples(st.just("tenant"), texts))
    some = st.lists(st.tuples(names, texts), max_size=5).map(tuple)
    return mostly(st.one_of(some, st.tuples(tenant, some).map(lambda both: both[0] + both[1])), st.none())


@st.composite
def slim_events(draw: st.DrawFn) -> SlimEvent:
    """Slim events of any shape, those too that are made of no record."""
    event_type = draw(mostly(st.sampled_from(sorted(TYPES)), st.sampled_from([None, *sorted(NOT_COUNTED)])))
    of = DETAILS.get(event_type or "", {})
    when = draw(mostly(st.just(Times(SOME_DAY, SOME_DAY + HOUR_MS, SOME_DAY + HOUR_MS)), times()))
    pseudonym = st.binary(min_size=16, max_size=16)
    return SlimEvent(
        0,
        draw(mostly(st.just(when.record), st.sampled_from([-1, -(2**63), 2**63 - 1]))),
        draw(
            mostly(
                st.none(), st.sampled_from(["unreadable", "too_large", *["erased"] * (event_type is None)])
            )
        ),
        event_type,
        draw(st.booleans()),
        draw(mostly(st.sampled_from(["m-1", "m-2", "\N{GRINNING FACE}\x00"]), st.sampled_from([None, ""]))),
        draw(mostly(st.just(when.sent), st.none())),
        draw(mostly(st.just(when.reported), st.none())),
        draw(_tags()),
        draw(mostly(st.none(), st.just('{"mail":{"tags":{"tenant":null}}}'))),
        draw(_named(of, "bounceType")),
        draw(_named(of, "bounceSubType")),
        draw(_named(of, "complaintFeedbackType")),
        draw(st.sampled_from([None, False, True])),
        draw(_named(of, "isBotEvent")),
        draw(_named(of, "userAgent")),
        draw(mostly(st.lists(pseudonym, min_size=1, max_size=3).map(tuple), st.sampled_from([None, ()]))),
    )


@settings(max_examples=examples(500))
@given(st.lists(slim_events(), min_size=1, max_size=8), st.sampled_from(RULES), erasures())
def test_any_slim_events_state_the_same_by_columns(
    drawn: list[SlimEvent], rules: Rules, erased: Erasures
) -> None:
    same([msgspec.structs.replace(slim, offset=3 * at) for at, slim in enumerate(drawn)], rules, erased)


@pytest.mark.parametrize(
    ("event_type", "late_ms", "stale_ms"),
    [("Delivery", 3 * DAY_MS, 18 * DAY_MS), ("Open", 62 * DAY_MS, 78 * DAY_MS)],
)
def test_up_to_its_bounds_a_row_is_plain_and_not_beyond(event_type: str, late_ms: int, stale_ms: int) -> None:
    """late_ms, stale_ms: after the send."""
    plain = {
        (late_ms, late_ms): 1,
        (late_ms + 1, late_ms): 0,
        (0, stale_ms): 1,
        (0, stale_ms + 1): 0,
        (DAY_MS, 0): 1,
        (DAY_MS + 1, 0): 0,
        (-1, 0): 1,
    }
    for (reported_ms, record_ms), number in plain.items():
        sent = event(event_type, reported_ms=SOME_DAY + reported_ms)
        record = Record(json.dumps(sent).encode(), SOME_DAY + record_ms)
        assert same([REDUCER.reduce(record)], Rules()) == number


def test_nearly_all_rows_of_usual_traffic_are_plain() -> None:
    sent = [
        Record(each.value, each.timestamp_ms, at)
        for at, each in enumerate(as_ses_sends_them(happenings(REFERENCE, 3_000)))
    ]
    assert same(list(map(REDUCER.reduce, sent)), Rules()) > 0.95 * len(sent)
