"""The law of erasures: what a record states is decided by its tenant, its own time and the latest erasure."""

from collections.abc import Sequence
from typing import Final

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aggregator.archive.restore import SlimLaw
from aggregator.archive.slim import Reducer, SlimEvent
from aggregator.counting.decode import Decoder
from aggregator.counting.facts import Facts, Refusal, Skipped
from aggregator.counting.reading import KafkaRecord, Record
from aggregator.counting.rules import NO_ERASURES, Erasures, Rules
from aggregator.errors import ErasedError
from schemas.archive import ERASED
from schemas.redis_keys import lane_of
from tests.chaos import arena
from tests.pipeline import oracle
from tests.pipeline.place import time_of

TENANTS: Final = ("alder", "birch", "house")
RULES: Final = Rules(default_tenant="house")
NOW: Final = 1_764_000_000_000

told = st.lists(st.tuples(st.sampled_from(TENANTS), st.integers(NOW - 9, NOW + 9)), max_size=6)
records = st.builds(
    lambda kind, tenant, late: arena.event(kind, "m", (NOW, NOW), None, tenant=tenant)._replace(
        time_ms=NOW + late
    ),
    st.sampled_from(["Send", "Open", "Unheard-of"]),
    st.sampled_from(TENANTS),
    st.integers(-10, 10),
)

AT_THE_BOUND: Final = arena.event("Send", "m", (NOW, NOW), None, tenant="alder")._replace(time_ms=NOW)
"""Of the very time of an erasure, which is not drawn in each run."""


def erasures_of(said: Sequence[tuple[str, int]]) -> Erasures:
    return Erasures([(offset, *each) for offset, each in enumerate(said)], len(said))


def latest(said: Sequence[tuple[str, int]], tenant: str) -> int:
    return max((at for of, at in said if of == tenant), default=-1)


@given(told, records)
@example([("alder", NOW)], AT_THE_BOUND)
def test_an_erased_record_states_nothing_and_all_others_what_they_did(
    said: list[tuple[str, int]], record: KafkaRecord
) -> None:
    """By a decoder, by one that learns of it later, and by the archive's law."""
    value, at = record.value, record.time_ms  # type: ignore[attr-defined]
    before = Decoder(RULES).read(value, at)
    facts = oracle.read(value, time_of(at), {}).facts
    expected = Skipped.ERASED if facts and at <= latest(said, facts[0].tenant) else before
    erasures = erasures_of(said)
    assert Decoder(RULES, erasures).read(value, at) == expected
    assert Decoder(RULES).knowing(erasures).read(value, at) == expected
    slim = Reducer(RULES.recipient_key).reduce(Record(0, at, None, value))
    assert SlimLaw(RULES, erasures).outcome_of(slim) == expected


@given(st.permutations([("alder", NOW), ("alder", NOW - 5), ("birch", NOW - 7)]))
def test_the_latest_erasure_holds_in_whatever_order_they_were_written(said: list[tuple[str, int]]) -> None:
    erasures = erasures_of(said)
    assert [erasures.through(tenant) for tenant in TENANTS] == [NOW, NOW - 7, None]
    assert {erasures.table["alder"].number, erasures.table["birch"].number} <= {1, 2, 3}
    assert max(each.number for each in erasures.table.values()) == 3


@given(told, st.integers(1, 5))
def test_a_lane_stands_at_the_last_erasure_of_its_tenants(said: list[tuple[str, int]], lanes: int) -> None:
    """It names all of them: those after any number are told, and no other number is taken for it."""
    erasures = erasures_of(said)
    for lane in range(lanes):
        numbers = {n: of for n, (of, _) in enumerate(said, 1) if lane_of(of, lanes) == lane}
        stands = erasures.of_lane(lane, lanes)
        assert stands == max(numbers, default=0)
        for number in range(len(said) + 1):
            assert erasures.since(number, lane, lanes) == sorted(
                {of for n, of in numbers.items() if n > number}
            )
            if number == stands:
                erasures.check(number, lane, lanes)
            else:
                with pytest.raises(ErasedError):
                    erasures.check(number, lane, lanes)


def test_compaction_takes_nothing_away() -> None:
    """Of two records that say the same the earlier one may go: who reads later knows no less."""
    whole = Erasures([(0, "alder", 5), (1, "birch", 5), (2, "alder", 5)], 3)
    compacted = Erasures([(1, "birch", 5), (2, "alder", 5)], 3)
    assert compacted.table == whole.table
    assert compacted.end == whole.end


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"mail": {"messageId": "", "timestamp": "x"}}, Refusal.UNREADABLE),
        ({"eventType": "Unheard-of"}, Skipped.IGNORED),
        ({"mail": {"messageId": "m", "timestamp": "no time", "tags": {"tenant": ["alder"]}}}, Skipped.ERASED),
        ({"mail": {"messageId": "m", "timestamp": "no time", "tags": {"tenant": [1]}}}, Refusal.BAD_TAG),
    ],
)
def test_it_is_decided_as_soon_as_the_tenant_is_known(change: dict[str, object], outcome: object) -> None:
    """What cannot name its tenant is no tenant's; of what can no dead letter is kept either."""
    event = {"eventType": "Open", "open": {"timestamp": "2025-11-24T16:00:00Z"}} | change
    assert Decoder(RULES, erasures_of([("alder", NOW)])).read(msgspec.json.encode(event), NOW) == outcome


def test_without_erasures_nothing_is_erased() -> None:
    record = arena.event("Open", "m", (NOW, NOW), None, tenant="alder")
    assert type(Decoder(RULES, NO_ERASURES).read(record.value, NOW)) is Facts


def test_an_erased_row_of_the_archive_is_no_dead_letter() -> None:
    assert SlimLaw(RULES).outcome_of(SlimEvent(7, NOW, ERASED)) is Skipped.ERASED
