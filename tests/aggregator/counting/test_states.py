"""What is remembered of a message: states that say when, and identities that are nobody else's."""

import re
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from itertools import product
from random import Random

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.counters.store import SCRIPT
from aggregator.counting.facts import Scopes
from aggregator.counting.states import (
    DIGITS,
    HORIZON_OF,
    Identities,
    counts_of,
    group_of,
    merged,
    mistaken,
    quarter_of,
    states_of,
)
from schemas.instants import DAY_MS, QUARTER_MS, QUARTERS
from schemas.kinds import FAMILIES, FIELDS, HORIZONS, KEY_GROUPS, KINDS
from schemas.packed_counter import cell_bytes
from tests.aggregator.facts import STATED, longest
from tests.aggregator.lanes import IDENTITIES
from tests.examples import examples

KEY = "00112233445566778899aabbccddeeff"
FAMILY_NAMES = list(FAMILIES)


# States

Event = tuple[tuple[int, ...], int]
"""Kinds (indices), and the quarter in which they were."""


@st.composite
def events(draw: st.DrawFn) -> Event:
    stated = draw(st.sampled_from(STATED))
    last = longest(stated)
    return stated, draw(st.one_of(st.integers(0, 5), st.integers(0, last), st.integers(last - 3, last)))


def remembered(of: Sequence[Event]) -> dict[int, int]:
    """The state of each key group, of one message and recipient."""
    states: dict[int, int] = {}
    for kinds, quarter in of:
        for group, state in states_of(kinds, quarter):
            states[group] = merged(group, states[group], state) if group in states else state
    return states


def least(of: Sequence[Event]) -> dict[int, int]:
    """The law by itself: each kind at its least quarter."""
    found: dict[int, int] = {}
    for kinds, quarter in of:
        for kind in kinds:
            found[kind] = min(found.get(kind, quarter), quarter)
    return found


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(events(), max_size=12), st.randoms(use_true_random=False))
def test_a_state_says_each_kind_at_its_least_quarter(of: list[Event], random: Random) -> None:
    """Of all kinds that share it, in whatever order and however often they came."""
    again = of * 2
    random.shuffle(again)
    states = remembered(again)
    assert states == remembered(of)
    assert all(0 < state <= 2**53 for state in states.values())
    told: Counter[tuple[int, int, bytes]] = Counter()
    for group, state in states.items():
        for (days, family), cells in counts_of(group, state):
            told.update((days, family, cells[at : at + 2]) for at in range(0, len(cells), 2))
    expected: Counter[tuple[int, int, bytes]] = Counter()
    for index, quarter in least(of).items():
        family, place = (
            FAMILY_NAMES.index(KINDS[index].family),
            FAMILIES[KINDS[index].family].index(KINDS[index].field),
        )
        expected[quarter // QUARTERS, family, cell_bytes(quarter % QUARTERS, place)] += 1
    assert told == expected
    asked = {kind: quarter_of(kind, states.get(group_of(kind), 0)) for kind in range(len(KINDS))}
    assert {kind: at for kind, at in asked.items() if at is not None} == least(of)


@pytest.mark.parametrize("group", range(len(KEY_GROUPS)), ids=[each.name for each in KEY_GROUPS])
def test_a_state_fits_a_number_of_lua(group: int) -> None:
    """The greatest that the digits can say is below 2^53, and no two of them share a place."""
    divisor = 1
    for digit in DIGITS[group]:
        assert digit.divisor == divisor
        divisor *= digit.last + 1
    assert divisor <= 2**53
    assert HORIZONS[HORIZON_OF[group]] is KEY_GROUPS[group].horizon


def test_each_kind_has_one_digit() -> None:
    """By its family and place, in the group that the table of kinds says."""
    for group, key_group in enumerate(KEY_GROUPS):
        of = {
            (FAMILY_NAMES[family], FAMILIES[FAMILY_NAMES[family]][place])
            for *_, family, place in DIGITS[group]
        }
        assert of == {(kind.family, kind.field) for kind in KINDS if kind.key_group is key_group}
        assert len(of) == len(DIGITS[group])


@pytest.mark.parametrize("index", range(len(KINDS)), ids=[kind.field for kind in KINDS])
def test_a_digit_reaches_to_the_horizon_and_no_further(index: int) -> None:
    """A mail of a day's last instant has its last fact in the last quarter that the digit can say."""
    kind = KINDS[index]
    told_ms = DAY_MS - 1 + (0 if kind.body is None else kind.horizon.late_ms)
    last = told_ms // QUARTER_MS
    ((group, _),) = states_of((index,), 0)
    place = FAMILIES[kind.family].index(kind.field)
    family = FAMILY_NAMES.index(kind.family)
    (digit,) = [each for each in DIGITS[group] if (each.family, each.place) == (family, place)]
    assert digit.last == last + 1, "0 says that it is not counted"
    for quarter in (0, last):
        ((_, state),) = states_of((index,), quarter)
        days, within = divmod(quarter, QUARTERS)
        assert counts_of(group, state) == (((days, family), cell_bytes(within, place)),)


def test_what_happens_soon_after_is_a_small_number() -> None:
    """What mails usually do is a number of few digits, as most of what Redis holds is this."""
    sent, delivered = states_of((0,), 40)[0], states_of((1,), 40)[0]
    assert len(str(merged(sent[0], sent[1], delivered[1]))) <= 3


# Identity

Known = tuple[str, tuple[str | None, ...], str, bytes | None, int]
"""Tenant, ids of the further scopes, message id, pseudonym, key group."""


def identity(known: Known, identities: Identities = IDENTITIES) -> tuple[bytes, int]:
    tenant, ids, message_id, recipient, group = known
    (found,) = identities.of(Scopes(tenant, ids), {(message_id, recipient, group): 0})
    return found


parts = st.one_of(st.sampled_from(["", "a", "b", "ab", "\x00", "None", "é"]), st.text(max_size=3))
pseudonyms = st.none() | st.binary(min_size=16, max_size=16)
known_by = st.tuples(
    parts,
    st.tuples(st.none() | parts, st.none() | parts),
    parts,
    pseudonyms,
    st.integers(0, len(KEY_GROUPS) - 1),
)


@given(known_by, known_by)
def test_two_messages_have_two_identities(one: Known, other: Known) -> None:
    """Equal where all parts are, else not; none is no empty text."""
    assert (identity(one) == identity(other)) is (one == other)


BASE: Known = ("one", ("s", None, "c", None), "m", b"x" * 16, 0)


@pytest.mark.parametrize(
    "changed",
    [
        ("two", *BASE[1:]),
        ("one", ("s", None, "c", ""), *BASE[2:]),
        ("one", ("s", None, "d", None), *BASE[2:]),
        ("one", (None, "s", "c", None), *BASE[2:]),
        ("one", ("s", None, None, "c"), *BASE[2:]),
        (*BASE[:2], "n", *BASE[3:]),
        (*BASE[:3], b"y" * 16, 0),
        (*BASE[:3], None, 0),
        (*BASE[:4], 1),
    ],
    ids=[
        "tenant",
        "empty id",
        "id",
        "order of ids",
        "scope of an id",
        "message",
        "recipient",
        "none",
        "group",
    ],
)
def test_each_part_alone_makes_another_one(changed: Known) -> None:
    assert identity(changed) != identity(BASE)


def test_the_secret_of_the_generation_makes_another_one() -> None:
    """So nobody who knows the code can look for messages that are taken for one another."""
    others = [Identities(KEY[:-1] + digit) for digit in "0123456789abcdef"]
    assert len({identity(BASE, each) for each in others}) == 16
    assert identity(BASE, Identities(KEY)) == identity(BASE)


def test_parts_of_an_identity_do_not_run_together() -> None:
    """What one part ends with and the next begins with is told apart, byte for byte."""
    texts = ["", "a", "b", "ab", "ba", "\u00e9", "e\u0301"]
    close: list[Known] = [
        (tenant, (one, other), message, None, 0)
        for tenant, message in product(texts, texts)
        for one, other in [
            (None, None),
            ("a", None),
            (None, "a"),
            ("a", "b"),
            ("ab", None),
            ("", None),
            (None, ""),
        ]
    ]
    known = [identity(each) for each in close]
    assert len(set(known)) == len(close)


def by_formula(known: Known) -> tuple[bytes, int]:
    """What Redis holds was made by: keyed by a salt, 6 bytes and a number of 32 bits."""
    tenant, ids, message_id, recipient, group = known
    packed = msgpack.packb([tenant, message_id, list(ids)]) + bytes((group,)) + (recipient or b"")
    digest = blake2b(packed, digest_size=10, salt=bytes.fromhex(KEY)).digest()
    return digest[:6], int.from_bytes(digest[6:], "big")


@pytest.mark.parametrize("size", [1, 50, 127, 128, 129, 1_024, 70_000])
def test_an_identity_is_the_same_however_long_the_message_id_is(size: int) -> None:
    """A mail is hashed once for all its recipients; what is stored must not tell, nor whose turn it was."""
    recipients = [None, b"x" * 16, b"y" * 16]
    messages = [text * size for text in ("m", "n", "é")]
    groups = range(len(KEY_GROUPS))
    for ids in [(None, None), ("s", None), ("s" * 255, "ß" * 120)]:
        scopes = Scopes("one", ids)
        for entries in (
            product(messages, recipients, groups),
            product(messages[::-1], recipients, groups[::-1]),
        ):
            asked = dict.fromkeys(entries, 0)
            found = IDENTITIES.of(scopes, asked)
            assert list(found) == [by_formula(("one", ids, *entry)) for entry in asked]


def test_an_identity_is_small_and_spreads_evenly() -> None:
    """6 bytes that are stored, 32 bits that choose a bucket: all bytes vary, no bucket is crowded."""
    known = [identity(("one", ("s", "t"), f"0100018{n}-000000", b"x" * 16, 0)) for n in range(4096)]
    assert all(len(stored) == 6 and 0 <= bucket_hash < 2**32 for stored, bucket_hash in known)
    assert len({stored for stored, _ in known}) == len(known)
    for position in range(6):
        assert len({stored[position] for stored, _ in known}) > 200
    for buckets in (8, 16, 20):
        sizes = Counter(bucket_hash * buckets // 2**32 for _, bucket_hash in known)
        assert len(sizes) == buckets
        assert max(sizes.values()) < 1.5 * 4096 / buckets


# The odds

FILL = int(re.findall(r"FILL = (\d+)", SCRIPT)[0])
ENTRIES_A_MAIL = 2
"""Of a mail that is sent, delivered, opened and clicked by one recipient; twice as many events, at least."""


def test_the_odds_of_taking_one_for_another_are_as_claimed() -> None:
    """One in some 10^12; of a million mails a day in thousands of years, of the greatest log in years."""
    usual = [states_of((FIELDS.index(field),), 0) for field in ("sent", "delivered", "opened", "clicked")]
    assert len({group for ((group, _),) in usual}) == ENTRIES_A_MAIL
    assert FILL == 200
    assert 1e12 < mistaken(FILL) < 2e12
    years_small = mistaken(FILL) / (ENTRIES_A_MAIL * 1_000_000 * 365)
    assert 1_000 < years_small < 10_000
    years_large = mistaken(FILL) / (100e9 / 2 * 12)
    assert 1 < years_large < 10


@pytest.mark.parametrize("bits", [10, 14])
def test_the_odds_are_those_of_the_hash(bits: int) -> None:
    """Found by trying: with few of the stored bits, pairs within a bucket agree as often as claimed.

    So nothing but the number of bits and what shares a bucket decides, also not that ids are much alike.
    """
    buckets, number = 64, 64 * FILL
    sizes: Counter[tuple[int, int]] = Counter()
    for n in range(number):
        stored, bucket_hash = identity(("one", ("s", None), f"0100018f{n:08x}-000000", None, 2))
        sizes[bucket_hash * buckets // 2**32, int.from_bytes(stored, "big") >> (48 - bits)] += 1
    found = sum(size * (size - 1) // 2 for size in sizes.values())
    # On average an entry meets half of those that its bucket holds in the end.
    expected = number / mistaken(FILL // 2) * 2 ** (48 - bits)
    assert expected > 50
    assert found == pytest.approx(expected, rel=0.3)
