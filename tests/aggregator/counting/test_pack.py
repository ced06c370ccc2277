"""The packed call, unpacked again and held against a naive count."""

from collections import Counter
from random import Random
from sys import byteorder
from typing import Any, Final
from urllib.parse import unquote

import msgpack
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.counting.checkpoints import Move
from aggregator.counting.facts import Facts, Scopes
from aggregator.counting.pack import pack, pack_moves
from aggregator.counting.states import DIGITS, HORIZON_OF, counts_of
from schemas.instants import QUARTERS
from schemas.kinds import FAMILIES, FIELDS, HORIZONS, KEY_GROUPS, KINDS
from schemas.packed_counter import KINDS_MAX, unpack_quarters
from schemas.redis_keys import BLOCK_DAYS, counter_field, member_of_id, read_counter_field
from tests.aggregator.facts import facts
from tests.aggregator.lanes import IDENTITIES, Cells, kinds, naive_count
from tests.examples import examples

MOVE: Final = Move(3, 10, 99, 1_772_539_200_000)
_FAMILIES: Final = list(FAMILIES.values())


def unpacked(argument: bytes) -> Any:
    return msgpack.unpackb(argument, raw=True, strict_map_key=False)


def packed(events: list[Facts]) -> tuple[bytes, int]:
    return pack([MOVE], events, IDENTITIES)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(facts(), max_size=25))
def test_a_call_counts_each_of_its_facts_once_at_its_least_quarter(events: list[Facts]) -> None:
    """The counts of a packed call are those of the naive model, for every scope, day, quarter and kind."""
    argument, number = packed(events)
    moves, (horizons, digits, tenants, _, _, counts) = unpacked(argument)
    assert [tuple(move) for move in moves] == [MOVE]
    assert horizons == [[each.name.encode(), each.stale_ms // 1000] for each in HORIZONS]
    assert [[tuple(digit) for digit in group] for group in digits] == list(DIGITS)
    found: Cells = Counter()
    blocks = [(tenant, block) for tenant, block, *_ in counts]
    assert len(set(blocks)) == len(blocks), "a block of a tenant once"
    for tenant, block, fields, tails in counts:
        assert len(set(fields)) == len(fields) == len(tails)
        for field, tail in zip(fields, tails, strict=True):
            day, family, scope, raw = read_counter_field(block, field)
            for cell, count in enumerate(unpack_quarters(tail)):
                quarter, place = divmod(cell, KINDS_MAX)
                if count:
                    of = unquote(tenants[tenant - 1].decode()), scope, raw.decode()
                    found[*of, day, quarter, _FAMILIES[family][place]] += count
    assert found == naive_count(events)
    assert number == sum(count for (_, scope, *_), count in found.items() if scope == 0)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(facts(), max_size=25))
def test_a_call_holds_one_state_for_each_message_and_recipient(events: list[Facts]) -> None:
    """By horizon, send day and identity; what it says is the least quarter of each kind, for its scopes."""
    _, (_, _, tenants, scopes, days, _) = unpacked(packed(events)[0])
    assert [unquote(each.decode()) for each in tenants] == list(
        dict.fromkeys(e.scopes.tenant for e in events)
    )
    found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    assert len({(horizon, day) for horizon, day, *_ in days}) == len(days), "a day of a horizon once"
    for horizon, day, *columns in days:
        assert list(columns[0]) == sorted(columns[0]), "by rising bucket hash"
        for bucket_hash, entry_id, state, group, of in zip(*columns, strict=True):
            assert HORIZON_OF[group - 1] == horizon - 1
            tenant, suffixes = scopes[of - 1]
            known = day, entry_id, bucket_hash
            assert known not in found, "an identity stands in one place of a day"
            found[known] = unquote(tenants[tenant - 1].decode()), suffixes, told(group - 1, int(state))
    assert found == expected_states(events)


def expected_states(events: list[Facts]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """By send day and identity: the tenant, what it counts for, and each kind's least quarter."""
    least: dict[tuple[Scopes, int, str, bytes | None, int], dict[int, int]] = {}
    for e in events:
        for kind in e.kinds:
            for recipient in e.recipients:
                group = KEY_GROUPS.index(KINDS[kind].key_group)
                entry = least.setdefault((e.scopes, e.day, e.message_id, recipient, group), {})
                entry[kind] = min(entry.get(kind, e.quarter), e.quarter)
    expected = {}
    for (scopes, day, *known), quarters in least.items():
        ((stored, bucket_hash),) = IDENTITIES.of(scopes, {tuple(known): 0})  # type: ignore[dict-item]
        suffixes = [b"\0", *(member_of_id(n, raw) for n, raw in enumerate(scopes.ids, 1) if raw is not None)]
        expected[day, stored, bucket_hash] = scopes.tenant, suffixes, quarters
    return expected


def told(group: int, state: int) -> dict[int, int]:
    """The quarter of each kind that a state says."""
    found = {}
    for (days, family), cells in counts_of(group, state):
        for at in range(0, len(cells), 2):
            quarter, place = divmod(int.from_bytes(cells[at : at + 2], byteorder), KINDS_MAX)
            found[FIELDS.index(_FAMILIES[family][place])] = days * QUARTERS + quarter
    return found


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(facts(), max_size=12), st.randoms(use_true_random=False))
def test_neither_order_nor_duplicates_change_what_a_call_says(events: list[Facts], random: Random) -> None:
    """Shuffled and reported twice, the same facts are counted and the same number of them."""

    def said(of: list[Facts]) -> tuple[Any, ...]:
        argument, number = packed(of)
        _, (_, _, tenants, scopes, days, counts) = unpacked(argument)
        tails = {
            (tenants[tenant - 1], block, field): tail
            for tenant, block, fields, each in counts
            for field, tail in zip(fields, each, strict=True)
        }
        states = {
            (horizon, day, entry): (state, group, tenants[scopes[of - 1][0] - 1], *scopes[of - 1][1])
            for horizon, day, *columns in days
            for _, entry, state, group, of in zip(*columns, strict=True)
        }
        return number, tails, states

    shuffled = events * 2
    random.shuffle(shuffled)
    assert said(shuffled) == said(events)


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(facts(), max_size=12), st.lists(facts(), max_size=12))
def test_what_one_tenant_says_changes_nothing_of_anothers(events: list[Facts], others: list[Facts]) -> None:
    """Also with the same messages and recipients in one call."""

    def of_tenant(of: list[Facts], tenant: str) -> tuple[Any, ...]:
        _, (_, _, tenants, scopes, days, counts) = unpacked(packed(of)[0])
        names = [unquote(each.decode()) for each in tenants]
        tails = {
            (block, field): tail
            for number, block, fields, each in counts
            for field, tail in zip(fields, each, strict=True)
            if names[number - 1] == tenant
        }
        states = {
            (horizon, day, *entry[:4]): scopes[entry[4] - 1][1]
            for horizon, day, *columns in days
            for entry in zip(*columns, strict=True)
            if names[scopes[entry[4] - 1][0] - 1] == tenant
        }
        return tails, states

    mine = [msgspec.structs.replace(each, scopes=Scopes("mine", each.scopes.ids)) for each in events]
    same = [msgspec.structs.replace(each, scopes=Scopes("theirs", each.scopes.ids)) for each in events]
    assert of_tenant([*same, *mine, *others], "mine") == of_tenant(mine, "mine")


@pytest.mark.parametrize("number", [1, 7, 8, 255, 256, 65_536, 70_000])
def test_many_counts_of_one_cell_are_said_in_few_bytes(number: int) -> None:
    """A tail says any number of counts, short where they are many, and none is lost on the way."""
    people = tuple(b"%d" % n for n in range(number))
    many = Facts(Scopes("t", (None, "c")), 20_000, 100, "m", kinds("delivered"), people)
    *_, ((_, block, fields, tails),) = unpacked(packed([many])[0])[1]
    assert (block, fields) == (
        20_001 // BLOCK_DAYS,
        [counter_field(20_001, 0, 0), counter_field(20_001, 0, 2, "c")],
    )
    for tail in tails:
        assert sum(unpack_quarters(tail)) == number
        assert len(tail) <= 6


def test_a_call_without_events_only_moves() -> None:
    """Ticks move many checkpoints at once; a call that is left without events still moves its own."""
    moves = [Move(0, 1, 2), Move(7, 0, 0, 5)]
    assert unpacked(pack_moves(moves)) == [[[0, 1, 2, -1], [7, 0, 0, 5]], False]
    argument, number = packed([])
    assert number == 0
    assert unpacked(argument)[0] == [list(MOVE)]
    assert unpacked(argument)[1][2:] == [[], [], [], []]
