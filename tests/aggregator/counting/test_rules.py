"""The rules of counting: what the fingerprint tells apart."""

from dataclasses import replace
from hashlib import sha256
from itertools import combinations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.counting import corpus, rules
from aggregator.counting.events import EventDecoder
from aggregator.counting.rules import Rules
from schemas import machines
from schemas.counters import LAYOUT
from schemas.kinds import FIELDS, FUTURE_MS, KINDS, Horizon, Kind

SEQUENCE, TEMPLATE = Rules().scopes

VARIANTS = [
    Rules(),
    Rules("sequence", (("sequence", "tenant"), TEMPLATE)),
    Rules(scopes=(("sequence", "template"), ("template", "sequence"))),
    Rules(scopes=(TEMPLATE, SEQUENCE)),
    Rules(scopes=(SEQUENCE,)),
    Rules(scopes=()),
    Rules("Tenant"),
    Rules(scopes=(("sequence", "campaign"), TEMPLATE)),
    Rules(scopes=(SEQUENCE, ("template", "layout"))),
    Rules(scopes=(SEQUENCE, TEMPLATE, ("campaign", "campaign"))),
    Rules(scopes=(SEQUENCE, TEMPLATE, ("campaign", "step"))),
    Rules(scopes=(SEQUENCE, TEMPLATE, ("step", "campaign"))),
    Rules(scopes=(SEQUENCE, TEMPLATE, ("campaign", "campaign"), ("step", "step"))),
    Rules(scopes=(SEQUENCE, TEMPLATE, ("step", "step"), ("campaign", "campaign"))),
    Rules(default_tenant="tenant"),
    Rules(default_tenant="None"),
    Rules(default_tenant="null"),
    Rules(default_tenant="\N{GRINNING FACE}"),
    Rules(recipient_key=bytes(16)),
    Rules(recipient_key=bytes(17)),
    Rules(recipient_key=b"k" * 64),
]

texts = st.text(st.characters(codec="utf-8"), max_size=4)
pairs = st.tuples(texts, texts)
all_rules = st.builds(
    Rules, texts, st.lists(pairs, max_size=3).map(tuple), st.none() | texts, st.binary(max_size=3)
)


@given(all_rules, all_rules)
def test_equal_rules_have_equal_fingerprints_and_others_others(one: Rules, other: Rules) -> None:
    """A fingerprint is a function of the rules and tells any two apart."""
    assert (one.fingerprint == other.fingerprint) is (one == other)
    assert one.fingerprint == replace(one).fingerprint


@pytest.mark.parametrize(("one", "other"), list(combinations(VARIANTS, 2)))
def test_each_setting_is_in_the_fingerprint(one: Rules, other: Rules) -> None:
    """Tags and names by their place, the default tenant (none is not a tenant of that name), the key."""
    assert one.fingerprint != other.fingerprint


def with_row(of: str, /, **changes: object) -> tuple[Kind, ...]:
    """The table with one row changed."""
    return tuple(replace(kind, **changes) if kind.field == of else kind for kind in KINDS)  # type: ignore[arg-type]  # as the test names them


GROUP = KINDS[0].key_group
HARD = KINDS[FIELDS.index("bounced_hard")].conditions


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VERSION", rules.VERSION + 1),
        ("LAYOUT", LAYOUT + 1),
        ("FUTURE_MS", FUTURE_MS + 1),
        ("KINDS", KINDS[:-1]),
        ("KINDS", KINDS[::-1]),
        ("KINDS", with_row("sent", event_type="Sent")),
        ("KINDS", with_row("sent", recipients=None)),
        ("KINDS", with_row("sent", field="handed_over")),
        ("KINDS", with_row("sent", family="other")),
        ("KINDS", with_row("sent", body="delivery")),
        ("KINDS", with_row("sent", address_key="emailAddress")),
        ("KINDS", with_row("sent", key_group=KINDS[2].key_group)),
        (
            "KINDS",
            with_row("sent", key_group=replace(GROUP, horizon=Horizon("s", 1, GROUP.horizon.stale_ms))),
        ),
        ("KINDS", with_row("sent", key_group=replace(GROUP, horizon=Horizon("s", GROUP.horizon.late_ms, 1)))),
        ("KINDS", with_row("complained", conditions=())),
        ("KINDS", with_row("bounced_hard", conditions=HARD[::-1])),
        ("KINDS", with_row("bounced_hard", conditions=HARD[:1])),
        ("KINDS", with_row("bounced_hard", conditions=(HARD[0]._replace(among=False), HARD[1]))),
        ("KINDS", with_row("bounced_hard", conditions=(HARD[0], HARD[1]._replace(values=("General",))))),
        (
            "KINDS",
            with_row("bounced_hard", conditions=(HARD[0]._replace(path=("timestamp",)), HARD[1])),
        ),
        ("KINDS", with_row("bounced_hard", part_of=None)),
        ("KINDS", with_row("opened_human", by_people=False)),
    ],
)
def test_each_constant_is_in_the_fingerprint(
    name: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version of counting, layout, table of kinds with all that a row says, and bounds of time."""
    before = Rules().fingerprint
    monkeypatch.setattr(rules, name, value)
    assert Rules().fingerprint != before


@pytest.mark.parametrize("at", range(len(machines.TABLE)))
def test_the_table_of_machines_is_in_the_fingerprint(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What SES says of a machine, and each list of user agents."""
    before, table = Rules().fingerprint, list(machines.TABLE)
    assert set(table) == {machines.LIKELY, machines.WHOLE, machines.ENDINGS, machines.PARTS}
    part = table[at]
    table[at] = f"{part}!" if isinstance(part, str) else (*part, "NewScanner/")
    monkeypatch.setattr(machines, "TABLE", tuple(table))
    assert Rules().fingerprint != before


def test_the_fingerprint_does_not_tell_the_recipient_key() -> None:
    """It stands in Redis and in logs: neither the key nor its plain hash is in it, or in what rules print."""
    key = b"0123456789abcdef"
    with_key = Rules(recipient_key=key)
    assert with_key.fingerprint not in sha256(key).hexdigest()
    for telling in (key.decode(), key.hex(), repr(key), sha256(key).hexdigest()):
        assert telling not in f"{with_key} {with_key.fingerprint}"


def test_a_decoder_that_does_otherwise_is_another_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the decoder refuses is a dead letter, so what it does is part of the rules; its version is not."""
    before = Rules().fingerprint
    monkeypatch.setattr(msgspec, "__version__", msgspec.__version__ + ".1")
    corpus.decoder_digest.cache_clear()
    assert Rules().fingerprint == before
    decode = EventDecoder.decode
    monkeypatch.setattr(
        EventDecoder, "decode", lambda self, value: decode(self, value.removeprefix(b"\xef\xbb\xbf"))
    )
    assert Rules().fingerprint == before, "the corpus runs once in a process"
    corpus.decoder_digest.cache_clear()
    try:
        assert Rules().fingerprint != before
    finally:
        corpus.decoder_digest.cache_clear()


def test_a_fingerprint_is_short_and_plain() -> None:
    """16 hexadecimal digits: it stands in every lane and in every call."""
    assert len(Rules().fingerprint) == 16
    int(Rules().fingerprint, 16)
