"""Slim events: under any rules one states what its record states, and no address is in it.

Each record is read twice: as it is, and as what the archive keeps of it.
"""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.archive.restore import SlimLaw
from aggregator.archive.slim import Reducer, SlimEvent
from aggregator.counting.decode import Decoder
from aggregator.counting.facts import Facts, Pseudonyms, Refusal
from aggregator.counting.reading import DeadLetter, KafkaRecord, outcome_of
from aggregator.counting.reading import Record as WithHeaders
from aggregator.counting.rules import Rules
from schemas.archive import ALWAYS_DROPPED
from schemas.topics import VALUE_MAX_BYTES
from tests.examples import examples
from tests.strategies import SOME_DAY, Record, event, ids, records

KEY: Final = b"sixteen bytes or more"
RULES: Final = (
    Rules(recipient_key=KEY),
    Rules(default_tenant="house", recipient_key=KEY),
    Rules("campaign", (("sequence", "tenant"), ("isp", "ses:configuration-set")), None, KEY),
    Rules("Tenant", (), "house", KEY),
)
READERS: Final = [(Decoder(rules), SlimLaw(rules)) for rules in RULES]
REDUCER: Final = Reducer(KEY)

SAMPLES: Final = Path(__file__).parents[4] / "shared" / "ses-samples"


def states_the_same(record: KafkaRecord) -> SlimEvent:
    """The slim event of a record, which states the same under all of the rules."""
    slim = REDUCER.reduce(record)
    assert (slim.offset, slim.record_ms) == (record.offset, record.timestamp)
    for decoder, law in READERS:
        assert law.outcome_of(slim) == outcome_of(decoder, record)
    return slim


def of_value(value: bytes | None, record_ms: int = SOME_DAY) -> SlimEvent:
    return states_the_same(Record(value, record_ms, offset=7))


@settings(max_examples=examples(500))
@given(records())
def test_a_slim_event_states_what_its_record_states(record: Record) -> None:
    states_the_same(record)


PLAIN: Final = '["acme"]'
ODD: Final = (
    "null",
    '""',
    '"acme"',
    "[]",
    "{}",
    "[[]]",
    '[""]',
    '["acme",null]',
    "1e999",
    "-",
    '["\\ud800"]',
    '"\\ud83d\\ude00"',
    '"\\x"',
    '{"tenant":["acme"]}',
    "[" * 508 + "]" * 508,
    '["a \\" b","{,:}"]',
    f'["{"x" * 256}"]',
)
"""What may stand in the place of a tag, as it is written."""


@st.composite
def tags(draw: st.DrawFn) -> str:
    """An object of tags as it is written: of equal names too, escaped ones, and with spaces between."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from(ODD))
    name = st.sampled_from(
        ['"tenant"', '"campaign"', '"sequence"', '"t\\u0065nant"', '"ses:source-ip"', '"other"', '"\\ud800"']
    )
    space = st.sampled_from(["", " ", "\n\t"])
    value = st.one_of(st.just(PLAIN), st.just(PLAIN), st.sampled_from(ODD), ids().map(_in_a_list))
    members = st.lists(st.tuples(space, name, space, value, space), max_size=4)
    return "{" + ",".join(f"{a}{key}{b}:{held}{c}" for a, key, b, held, c in draw(members)) + "}"


def _in_a_list(text: str) -> str:
    return json.dumps([text])


@settings(max_examples=examples(500))
@given(tags(), st.one_of(st.none(), tags()), st.booleans(), st.sampled_from(["Send", "Open", "Other"]))
def test_tags_of_any_shape_state_the_same(mine: str, other: str | None, wrapped: bool, of_type: str) -> None:
    """The tags of the event, and those that may stand beside it: around it, or in a `detail` that is none."""
    text = json.dumps(event(of_type, tags="MINE")).replace('"MINE"', mine)
    beside = "" if other is None else f'"mail":{{"tags":{other}}}'
    if wrapped:
        text = f'{{"detail":{text}{"," if beside else ""}{beside}}}'
    elif beside:
        text = f'{text[:-1]},"detail":{{{beside}}}}}'
    of_value(text.encode())


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("form", ["%s", '{"tenant":%s}', '{"tenant":%s,"tenant":["acme"]}', '{"other":%s}'])
def test_each_odd_tag_states_the_same(form: str, odd: str) -> None:
    text = json.dumps(event("Open", tags="MINE"))
    of_value(text.replace('"MINE"', form % odd).encode())


def test_the_examples_state_the_same() -> None:
    found = [
        path.read_bytes()
        for folder in ("counted", "ignored", "dead-letter")
        for path in (files("schemas") / "examples" / folder).iterdir()
    ]
    assert len(found) > 50
    slim = [of_value(value, SOME_DAY + days * 86_400_000) for value in found for days in (0, 1, 17, 80)]
    assert {each.reason for each in slim} == {None, Refusal.UNREADABLE, Refusal.TOO_LARGE}


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no genuine samples beside the checkout")
def test_the_genuine_samples_state_the_same() -> None:
    found = [path.read_bytes() for path in SAMPLES.rglob("*.json")]
    assert len(found) > 90
    for value in found:
        for record_ms in (0, SOME_DAY, 1_450_000_000_000):
            of_value(value, record_ms)
            try:
                of_value(json.loads(value)["Message"].encode(), record_ms)
            except (ValueError, KeyError, TypeError, AttributeError):
                continue


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (DeadLetter(7, 1, None, None, Refusal.UNREADABLE), "unreadable"),
        (DeadLetter(7, 1, b"k", b"{", Refusal.TOO_LARGE, 5_000_000), "too_large"),
        (WithHeaders(7, 1, b"k", b"{" + b" " * VALUE_MAX_BYTES + b"}"), "too_large"),
        (WithHeaders(7, 1, b"k", b"{}", (("a", b"x" * 2_000_000),)), "too_large"),
        (Record(None, 1, offset=7), "unreadable"),
        (Record(b"ada@example.com", 1, offset=7), "unreadable"),
        (Record(b'{"eventType":5,"mail":{"messageId":"m"}}', 1, offset=7), "unreadable"),
    ],
)
def test_what_no_rules_can_read_leaves_its_offset_and_the_reason(record: KafkaRecord, reason: str) -> None:
    assert states_the_same(record) == SlimEvent(7, 1, reason)


def test_a_list_that_cannot_be_read_leaves_all_else() -> None:
    """Whether it matters is up to the rules: a tag may be wrong by some of them, and goes before."""
    slim = of_value(
        json.dumps(event("Delivery") | {"delivery": {"timestamp": "?", "recipients": 1}}).encode()
    )
    assert (slim.reason, slim.event_type, slim.message_id) == ("unreadable", "Delivery", "m-1")
    many = tuple(f"{number}@example.com" for number in range(1_001))
    slim = of_value(json.dumps(event("Send", addresses=many)).encode())
    assert (slim.reason, slim.event_type, slim.recipients) == ("too_large", "Send", None)


def test_recipients_are_known_by_their_pseudonyms() -> None:
    slim = of_value(json.dumps(event("Bounce", addresses=("ada@example.com", "bob@example.org"))).encode())
    pseudonym = Pseudonyms(KEY).of
    assert slim.recipients == (pseudonym("ada@example.com"), pseudonym("bob@example.org"))


def test_a_rule_of_tomorrow_counts_what_was_kept_today() -> None:
    """A tag that no rule named when the event was kept."""
    labels = {"tenant": ["acme"], "ses:recipient-isp": ["Gmail"]}
    slim = of_value(json.dumps(event("Click", tags=labels)).encode())
    outcome = SlimLaw(Rules("ses:recipient-isp", ())).outcome_of(slim)
    assert isinstance(outcome, Facts)
    assert outcome.scopes.tenant == "Gmail"


@pytest.mark.parametrize("odd", [[], None])
def test_tags_with_ips_and_those_that_are_named_are_not_kept(odd: Any) -> None:
    """Also beside one of another shape, also where the name is escaped."""
    labels = {
        "ses:source-ip": ["192.0.2.1"],
        "ses:outgoing-ip": ["192.0.2.2"],
        "customer": ["Ada"],
        "tenant": ["acme"],
        "odd": odd,
    }
    value = json.dumps(event("Open", tags=labels)).replace('"customer"', '"c\\u0075stomer"').encode()
    slim = Reducer(KEY, ALWAYS_DROPPED | {"customer"}).reduce(Record(value, SOME_DAY))
    if odd is None:
        assert slim.tags is None
        assert slim.odd_tags == '{"mail":{"tags":{"tenant":["acme"],"odd":null}}}'
    else:
        assert slim.tags == (("tenant", ("acme",)), ("odd", ()))


IP = '"ses:source-ip":["%s"]'


@pytest.mark.parametrize(
    "form",
    [
        '{%s,"tenant":["acme"]}',
        '{"tenant":["acme"],%s}',
        '{"tenant":["acme"],"x":{%s}}',
        '{"tenant":["acme"],"x":[{%s}]}',
        '{"tenant":["acme"],"x":["{%s}"]}',
        '{"tenant":"acme",%s}',
        '{"tenant":["acme"],"sequence":[",%s"]}',
        '{"tenant":["a"],%s,"tenant":["b"]}',
        "{%s}",
        "[%s]",
    ],
)
def test_mails_that_differ_in_what_is_dropped_are_kept_alike_and_no_others(form: str) -> None:
    """What is remembered of tags by the text that is left of them is what each of them would leave."""
    reducer = Reducer(KEY)
    for address in ("192.0.2.1", "192.0.2.2", "{}", "a,b"):
        for within in (IP % address, (IP % address).replace('"', '\\"')):
            text = json.dumps(event("Open", tags="MINE")).replace('"MINE"', form % within)
            record = Record(text.encode(), SOME_DAY, offset=7)
            assert reducer.reduce(record) == Reducer(KEY).reduce(record)
            states_the_same(record)


def test_what_is_remembered_of_tags_is_bounded() -> None:
    reducer = Reducer(KEY)
    for number in range(20_000):
        reducer.reduce(Record(json.dumps(event("Open", tags={"t": [str(number)]})).encode(), SOME_DAY))
    assert len(reducer._tags._known) <= 16_384
