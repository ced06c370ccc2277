"""The packed call, unpacked again and held against a naive count; and what a message is known by."""

from collections import Counter
from hashlib import blake2b
from itertools import combinations
from typing import Any
from urllib.parse import unquote

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.counting.facts import Facts, Scopes
from aggregator.counting.pack import LONG, identity, pack
from schemas.kinds import KINDS
from schemas.packed_counter import unpack_counter
from tests.aggregator.lanes import naive_count
from tests.examples import examples

few_ids = st.sampled_from([None, "a", "b:{c}", "ü\x00%", "\N{GRINNING FACE}" * 63])
tenants = st.sampled_from(["one", "two:{x}", "drei ß\n"])
MOVE = (3, 10, 99, 1_772_539_200_000)


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    kind = draw(st.integers(0, len(KINDS) - 1))
    addresses: tuple[str | None, ...] = (None,)
    if not KINDS[kind].per_message:
        addresses = tuple(draw(st.lists(st.sampled_from(["x", "y", "", "é"]), min_size=1, unique=True)))
    longest = 23 if KINDS[kind].body is None else 62 * 24 + 23
    hour = draw(st.one_of(st.integers(0, 3), st.integers(0, longest), st.just(longest)))
    day = draw(st.sampled_from([20_000, 20_001, 0, -1, -719_163]))
    return Facts(
        Scopes(draw(tenants), draw(few_ids), draw(few_ids)),
        day,
        hour,
        draw(st.sampled_from("mno")),
        kind,
        addresses,
    )


def unpacked(argument: bytes) -> Any:
    return msgpack.unpackb(argument, raw=True, strict_map_key=False)


def is_known(e: Facts, recipient: str | None) -> tuple[Any, ...]:
    """What makes a message and recipient another one than all others of the tenant."""
    return (e.day, *identity(e.message_id, e.scopes.sequence, e.scopes.template, recipient))


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(facts(), max_size=25))
def test_a_call_counts_each_of_its_facts_once_at_its_least_hour(events: list[Facts]) -> None:
    """The counts of a packed call are those of the naive model, for every scope, day, hour and kind."""
    argument, number = pack([MOVE], events)
    moves, (kinds, _, parts) = unpacked(argument)
    assert [tuple(move) for move in moves] == [MOVE]
    assert kinds == len(KINDS)
    counted: Counter[tuple[str, bytes, int, int, str]] = Counter()
    for name, _, _, _, counts in parts:
        for day, scopes, tails in counts:
            assert len(set(scopes)) == len(scopes) == len(tails)
            for scope, tail in zip(scopes, tails, strict=True):
                for cell, count in enumerate(unpack_counter(b"\x00\x00" + tail)):
                    hour, kind = divmod(cell, kinds)
                    key = (unquote(name.decode()), scope, day, hour, KINDS[kind].field)
                    counted[key] += count
    assert +counted == naive_count(events)
    assert number == sum(count for (_, scope, *_), count in counted.items() if scope == b"t")


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(facts(), max_size=25))
def test_a_call_holds_one_state_for_each_message_and_recipient(events: list[Facts]) -> None:
    """By id, spread and day; a kind's digit is its least hour plus 1, the scopes are the mail's own."""
    _, (_, digits, parts) = unpacked(pack([MOVE], events)[0])
    assert [unquote(part[0].decode()) for part in parts] == list(
        dict.fromkeys(e.scopes.tenant for e in events)
    )
    for tenant, sequences, templates, blocks, _ in parts:
        of = [e for e in events if e.scopes.tenant == unquote(tenant.decode())]
        scopes_of = {
            is_known(e, recipient): (e.scopes.sequence, e.scopes.template, recipient is None)
            for e in of
            for recipient in e.recipients
        }
        found: dict[tuple[Any, ...], dict[int, int]] = {}
        for day, *columns in blocks:
            assert list(columns[0]) == sorted(columns[0]), "by rising spread"
            for bucket_hash, entry_id, text, key_group, pair in zip(*columns, strict=True):
                sequence = sequences[pair // 65_536 - 1].decode() if pair // 65_536 else None
                template = templates[pair % 65_536 - 1].decode() if pair % 65_536 else None
                known = (day, entry_id, bucket_hash)
                assert known not in found, "an id stands in one place of a day"
                assert scopes_of[known] == (sequence, template, key_group == 2)
                state = int(text)
                assert state <= 2**53
                found[known] = {
                    kind: state // divisor % size - 1
                    for kind, divisor, size in digits[key_group - 1]
                    if state // divisor % size
                }
        assert len(blocks) == len({block[0] for block in blocks}), "a day stands once"
        expected: dict[tuple[Any, ...], dict[int, int]] = {}
        for e in of:
            for recipient in e.recipients:
                kinds = expected.setdefault(is_known(e, recipient), {})
                kinds[e.kind] = min(kinds.get(e.kind, e.hour), e.hour)
        assert found == expected
        assert sorted(sequences) == sorted(
            {e.scopes.sequence.encode() for e in of if e.scopes.sequence is not None}
        )
        assert sorted(templates) == sorted(
            {e.scopes.template.encode() for e in of if e.scopes.template is not None}
        )


@settings(max_examples=100, deadline=None)
@given(st.lists(facts(), max_size=12), st.randoms(use_true_random=False))
def test_neither_order_nor_duplicates_change_what_a_call_says(events: list[Facts], random: Any) -> None:
    """Shuffled and told twice, the same facts are counted and the same number of them."""

    def said(of: list[Facts]) -> tuple[Any, ...]:
        argument, number = pack([MOVE], of)
        _, (_, _, parts) = unpacked(argument)
        counts = {
            (name, day, scope): unpack_counter(b"\x00\x00" + tail)
            for name, _, _, _, each in parts
            for day, scopes, tails in each
            for scope, tail in zip(scopes, tails, strict=True)
        }
        states = {
            (name, day, entry): state
            for name, _, _, blocks, _ in parts
            for day, *columns in blocks
            for _, entry, state, _, _ in zip(*columns, strict=True)
        }
        return number, counts, states

    shuffled = events * 2
    random.shuffle(shuffled)
    assert said(shuffled) == said(events)


@pytest.mark.parametrize("number", [1, 3, 4, 7, 8, 255, 256, 65_536, 70_000])
def test_many_counts_of_one_cell_are_said_in_few_bytes(number: int) -> None:
    """A tail says any number of counts, short where they are many, and none is lost on the way."""
    many = Facts(Scopes("t", None, None), 20_000, 5, "m", 1, tuple(str(n) for n in range(number)))
    _, (_, _, ((*_, counts),)) = unpacked(pack([MOVE], [many])[0])
    ((day, scopes, (tail,)),) = counts
    assert (day, scopes) == (20_000, [b"t"])
    assert sum(unpack_counter(b"\x00\x00" + tail)) == number
    assert len(tail) < 8


def test_a_call_without_events_only_moves() -> None:
    """Ticks move many checkpoints at once; a call that is left without events still moves its own."""
    moves = [(0, 1, 2, -1), (7, 0, 0, 5)]
    assert unpacked(pack(moves)[0]) == [[list(move) for move in moves], False]
    assert pack(moves)[1] == 0
    argument, number = pack([MOVE], [])
    assert number == 0
    assert unpacked(argument)[1][2] == []


# Identity

parts = st.one_of(st.sampled_from(["", "a", "b", "ab", "\x00", "None"]), st.text(max_size=3))
known_by = st.tuples(parts, st.none() | parts, st.none() | parts, st.none() | parts)


@given(known_by, known_by)
def test_two_messages_have_two_identities(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    """Equal where message, sequence, template and recipient are, else not; none is no empty text."""
    assert (identity(*one) == identity(*other)) is (one == other)


def test_parts_of_an_identity_do_not_run_together() -> None:
    """What one part ends with and the next begins with is told apart, byte for byte."""
    close = [
        ("ab", None, None, "c"),
        ("a", None, None, "bc"),
        ("ab", "c", None, None),
        ("ab", None, "c", None),
        ("ab", None, None, None),
        ("ab", "", None, None),
        ("ab", None, "", None),
        ("ab", None, None, ""),
        ("AB", None, None, "c"),
        ("\u00e9", None, None, None),
        ("e\u0301", None, None, None),
    ]
    assert all(identity(*one) != identity(*other) for one, other in combinations(close, 2))


def identity_by_formula(
    message_id: str, sequence: str | None, template: str | None, recipient: str | None
) -> tuple[bytes, int]:
    """What Redis holds was made by: BLAKE2b of the four as a MessagePack array, 6 bytes and a number."""
    packed = msgpack.packb([message_id, sequence, template, recipient])
    digest = blake2b(packed, digest_size=10).digest()
    return digest[:6], int.from_bytes(digest[6:], "big")


@pytest.mark.parametrize("size", [1, 50, LONG - 1, LONG, LONG + 1, 70_000, 700_000])
def test_an_identity_is_the_same_however_long_the_message_id_is(size: int) -> None:
    """A long id is hashed once for many recipients; what is stored must not tell, nor whose turn it was."""
    recipients = [None, "", "ada@example.com", "ü" * 40, "x" * 300, "y" * 70_000]
    scopes = [(None, None), ("s", None), (None, "p"), ("s" * 255, "ß" * 120)]
    mails = [(text * size, *of) for text in ("m", "n", "é") for of in scopes]
    for recipient in recipients:
        for mail in mails:
            assert identity(*mail, recipient) == identity_by_formula(*mail, recipient)
    for mail in mails:
        for recipient in recipients:
            assert identity(*mail, recipient) == identity_by_formula(*mail, recipient)


def test_an_identity_is_small_and_bucket_hash_evenly() -> None:
    """6 bytes that are stored, 32 bits that choose a bucket: all bytes vary, no bucket is crowded."""
    known = [identity(f"0100018{n}-000000", "s", "t", "ada@example.com") for n in range(4096)]
    assert all(len(stored) == 6 and 0 <= bucket_hash < 2**32 for stored, bucket_hash in known)
    assert len({stored for stored, _ in known}) == len(known)
    for position in range(6):
        assert len({stored[position] for stored, _ in known}) > 200
    for buckets in (8, 16, 20):
        sizes = Counter(bucket_hash % buckets for _, bucket_hash in known)
        assert len(sizes) == buckets
        assert max(sizes.values()) < 1.5 * 4096 / buckets
