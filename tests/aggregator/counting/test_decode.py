"""Reading a record: each step of the law by itself, and all of them against a second statement of it.

Long because it is the law step by step, each with its table of cases, and is read beside `law`.
"""

import gc
import json
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aggregator.counting import decode
from aggregator.counting.decode import Decoder
from aggregator.counting.event_types import event_types
from aggregator.counting.facts import Facts, Refusal, type_of_outcome
from aggregator.counting.rules import Rules
from schemas.kinds import FIELDS, KINDS
from tests.aggregator.law import Fact, pseudonym, stated
from tests.examples import examples
from tests.strategies import (
    BODIES,
    DAY,
    HOUR,
    NOT_COUNTED,
    PERSON,
    PREFETCH,
    SOME_DAY,
    TIMED,
    TYPES,
    Record,
    event,
    records,
    spelled,
)

QUARTER: Final = HOUR // 4
NOON: Final = SOME_DAY + 12 * HOUR
RULES: Final = (
    Rules(),
    Rules(default_tenant="house"),
    Rules(
        "ses:configuration-set",
        (("sequence", "campaign"), ("template", "tenant")),
        "{h}:\N{GRINNING FACE}",
        b"key" * 8,
    ),
    Rules("Tenant"),
    Rules(scopes=(*Rules().scopes, ("campaign", "campaign"), ("isp", "ses:recipient-isp"), ("step", "step"))),
    Rules(scopes=()),
)
DECODERS: Final = {rules: Decoder(rules) for rules in RULES}
PLAIN: Final = DECODERS[RULES[0]]
HOUSE: Final = DECODERS[RULES[1]]


def plainly(outcome: type_of_outcome) -> str | set[Fact]:
    """The outcome in the words of the second statement."""
    if not isinstance(outcome, Facts):
        return str(outcome)
    o = outcome
    found = [
        Fact(*o.scopes, o.day, o.message_id, each, FIELDS[kind], o.day * 96 + o.quarter)
        for kind in o.kinds
        for each in o.recipients
    ]
    assert len(set(found)) == len(found) > 0, "no recipient or kind twice, and never no fact"
    assert list(o.kinds) == sorted(o.kinds)
    assert o.quarter >= 0
    return set(found)


def read(value: bytes | None, record_ms: int = NOON, rules: Rules = RULES[0]) -> str | set[Fact]:
    """What a record states; both statements of the law have to agree on it."""
    found = plainly(DECODERS[rules].read(value, record_ms))
    assert found == stated(value, record_ms, rules.default_tenant, rules.tags, rules.recipient_key)
    return found


def fields(found: str | set[Fact]) -> set[str]:
    """Which kinds facts are of."""
    assert isinstance(found, set), found
    return {fact.field for fact in found}


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def at_noon(event_type: str = "Send", **changes: Any) -> dict[str, Any]:
    return event(event_type, sent_ms=NOON, **changes)


def changed(change: Callable[[dict[str, Any]], object], event_type: str = "Send") -> bytes:
    reported = at_noon(event_type)
    change(reported)
    return as_json(reported)


@settings(
    max_examples=examples(800),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(records(), st.sampled_from(RULES))
def test_every_record_has_the_outcome_that_the_law_states(record: Record, rules: Rules) -> None:
    """However a record is spoilt, reading it raises nothing and agrees with the law said a second time."""
    read(record.value, record.timestamp, rules)


@settings(max_examples=examples(100), deadline=None)
@given(records(), st.sampled_from(RULES))
def test_reading_remembers_nothing(record: Record, rules: Rules) -> None:
    """A record states the same to a new decoder as to one that has read much."""
    assert Decoder(rules).read(record.value, record.timestamp) == DECODERS[rules].read(
        record.value, record.timestamp
    )


# Step 1: a JSON object

SEND: Final = as_json(at_noon())


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b" ",
        b"\x00",
        b"{",
        b"null",
        b"[]",
        b"[" + SEND + b"]",
        b'"Send"',
        b"\xef\xbb\xbf" + SEND,
        SEND.decode().encode("utf-16"),
        SEND + b"x",
        SEND + b"\x00",
        SEND + SEND,
        SEND[:-1],
        SEND[:-1] + b",}",
        SEND[:-1] + b', "x": NaN}',
        SEND[:-1] + b', "x": -Infinity}',
        SEND[:-1] + b', "x": 01}',
        SEND[:-1] + b', "x": "\\ud800"}',
        SEND[:-1] + b', "x": "\\udc00\\ud800"}',
        SEND[:-1] + b', "\\ud83d": 1}',
        SEND[:-1] + b', "x": "\xed\xa0\x80"}',
        SEND[:-1] + b', "x": "caf\xe9"}',
        SEND[:-1] + b', "x": "\x00"}',
        SEND[:-1] + b', "x": "\n"}',
        SEND[:-1] + b', "x": "\\x"}',
        SEND[:-1] + b', "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        SEND[:-1] + b', "x": ' + b"[" * 100_000,
        b"[" * 100_000,
    ],
)
def test_what_is_no_json_object_is_unreadable(value: bytes | None) -> None:
    """No value, no JSON, no object, no UTF-8: a dead letter, also where nobody would have looked."""
    assert read(value) == read(value, rules=RULES[1]) == "unreadable"


@pytest.mark.parametrize(
    "value",
    [
        b" \t\r\n" + SEND + b"\n",
        SEND[:-1] + b', "x": "\\ud83d\\ude00 \xf0\x9f\x98\x80 \\u0000 \x7f"}',
        SEND[:-1] + b', "x": [1e999, -1E-999, ' + b"9" * 10_000 + b"]}",
        SEND[:-1] + b', "x": "' + b"x" * 1_000_000 + b'"}',
        SEND.replace(b'"eventType"', b'"event\\u0054ype"'),
        b'{"eventType": 5, ' + SEND[1:],
        b'{"mail": null, ' + SEND[1:],
    ],
)
def test_what_is_json_is_read(value: bytes) -> None:
    """Spaces, escapes, long and huge values that nobody looks at; of a key written twice, the last."""
    assert read(value) == read(SEND)
    assert len(read(value)) == 1


@pytest.mark.parametrize(("before", "after"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_is_read_down_to_a_depth_that_is_the_same_for_everybody(before: bytes, after: bytes) -> None:
    """512 levels are read and 513 refused, whatever they hold; brackets in texts and in a row are none."""
    for where in (b', "x": ', b', "bounce": '):
        for depth, expected in ((511, read(SEND)), (512, "unreadable")):
            inner = before * depth + b"1" + after * depth
            assert read(SEND[:-1] + where + inner + b"}") == expected
    beside = (before + b"1" + after + b",") * 600
    text = b'"\\\\\\"' + before.replace(b'"', b"'") * 600 + b'"'
    assert read(SEND[:-1] + b', "x": [' + beside + text + b"]}") == read(SEND)


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"9" * 5000, b"9" * 5000 + b".5"])
def test_a_number_that_the_decoder_cannot_hold_is_unreadable_where_it_is_decoded(number: bytes) -> None:
    """The decoder is part of the rules: beyond its range a number is refused in a field that we decode.

    In a field that nobody reads the same number is only JSON.
    """
    assert PLAIN.read(SEND[:-1] + b', "bounce": {"timestamp": ' + number + b"}}", NOON) is Refusal.UNREADABLE
    assert PLAIN.read(SEND.replace(b'["acme"]', number), NOON) is Refusal.UNREADABLE
    assert plainly(PLAIN.read(SEND[:-1] + b', "x": ' + number + b"}", NOON)) == read(SEND)


# Envelopes and types


def wrapped(value: Any, **beside: Any) -> bytes:
    return as_json({"version": "0", "source": "aws.ses", "detail": value, **beside})


def test_an_eventbridge_envelope_is_opened_once() -> None:
    """An object `detail` without a type key beside it is the event; no second envelope is opened."""
    assert read(wrapped(at_noon())) == read(SEND)
    assert read(wrapped(at_noon(type_key="notificationType"))) == read(SEND)
    assert read(wrapped({"detail": at_noon()})) == "ignored"
    assert read(wrapped(at_noon("Received"))) == "ignored"
    assert read(wrapped(at_noon(), eventType="Received")) == "ignored"
    assert read(wrapped(at_noon(), eventType=None)) == "unreadable"
    assert read(wrapped(at_noon(), notificationType=None)) == "unreadable"
    assert read(wrapped(at_noon(), **at_noon("Open"))) == read(as_json(at_noon("Open")))
    no_event: tuple[Any, ...] = (None, [], [at_noon()], "x", 1, {})
    for detail in no_event:
        assert read(wrapped(detail)) == "ignored"


def test_the_type_is_the_event_type_if_that_key_exists() -> None:
    """Else the notification's; none at all is passed over; what is no text is unreadable."""
    assert read(as_json(at_noon() | {"notificationType": "Bounce"})) == read(SEND)
    assert read(as_json(at_noon() | {"notificationType": None})) == read(SEND)
    assert read(as_json({"eventType": None} | at_noon(type_key="notificationType"))) == "unreadable"
    assert read(b"{}") == read(b'{"mail": {}, "event": "Send"}') == "ignored"
    no_text: tuple[Any, ...] = (None, 1, [], ["Send"], {}, True)
    for kind in no_text:
        assert read(as_json(at_noon() | {"eventType": kind})) == "unreadable"


# Step 2: what is not counted needs nothing else


@pytest.mark.parametrize("kind", sorted(NOT_COUNTED | {"SEND", "Send ", "sent", "Bounce\x00"}))
@pytest.mark.parametrize("key", ["eventType", "notificationType"])
def test_a_type_that_is_not_counted_is_never_a_dead_letter(kind: str, key: str) -> None:
    """Types that are unknown or not counted are passed over, whatever else the record holds."""
    for rest in ({}, {"mail": None}, {"mail": {"messageId": 5, "tags": 7, "timestamp": "?"}}):
        assert read(as_json({key: kind, **rest})) == "ignored"


def test_a_retraction_is_never_a_dead_letter() -> None:
    """A complaint of type not-spam needs nothing else; any other feedback is a complaint."""
    retraction = {"complaint": {"complaintFeedbackType": "not-spam"}}
    for rest in ({}, {"mail": None}, {"mail": {"messageId": "", "tags": 7}}):
        assert read(as_json({"eventType": "Complaint", **retraction, **rest})) == "ignored"
        assert read(as_json({"notificationType": "Complaint", **retraction, **rest})) == "ignored"
    for feedback in ("abuse", "Not-Spam", "not-spam ", "", None, ["not-spam"], 1):
        value = changed(lambda e, f=feedback: e["complaint"].update(complaintFeedbackType=f), "Complaint")  # type: ignore[misc]  # mypy cannot infer a lambda's default
        assert fields(read(value)) == {"complained"}
    assert (
        len(read(changed(lambda e: e["delivery"].update(complaintFeedbackType="not-spam"), "Delivery"))) == 1
    )


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_a_counted_type_needs_a_mail_with_a_message_id(kind: str) -> None:
    """No object `mail`, or in it no text `messageId` with something in it: unreadable, before all tags."""
    for mail in (None, [], "m", 1, [{"messageId": "m"}]):
        assert read(changed(lambda e, m=mail: e.update(mail=m), kind)) == "unreadable"  # type: ignore[misc]  # as above
    no_id: tuple[Any, ...] = (None, "", 1, [], ["m"], {})
    for message_id in no_id:
        reported = at_noon(kind, tags=7)
        reported["mail"]["messageId"] = message_id
        assert read(as_json(reported)) == "unreadable"
    assert read(changed(lambda e: e.pop("mail"), kind)) == "unreadable"
    assert read(changed(lambda e: e["mail"].pop("messageId"), kind)) == "unreadable"


# The table of kinds


def test_each_type_states_its_facts() -> None:
    """One fact for each address, or for the message; quarter and day by the times that the table names."""
    later = NOON + 30 * HOUR + 16 * 60_000
    expected = {
        "Send": ({"sent"}, NOON, True),
        "Delivery": ({"delivered"}, later, True),
        "Open": ({"opened", "opened_human"}, later, False),
        "Click": ({"clicked", "clicked_human"}, later, False),
        "Bounce": ({"bounced", "bounced_hard"}, later, True),
        "Complaint": ({"complained"}, later, True),
        "DeliveryDelay": ({"delayed"}, later, True),
        "Reject": ({"rejected"}, NOON, True),
        "Rendering Failure": ({"rendering_failed"}, NOON, True),
        "Subscription": ({"unsubscribed"}, later, False),
    }
    assert expected.keys() == TYPES
    for kind, (stated_fields, time, for_each) in expected.items():
        reported = at_noon(kind, reported_ms=later, addresses=("x", "y", "X", "x"))
        recipients = {pseudonym("x"), pseudonym("y"), pseudonym("X")} if for_each else {None}
        for key in ("eventType", "notificationType"):
            reported = {key: kind, **{k: v for k, v in reported.items() if not k.endswith("Type")}}
            assert read(as_json(reported), later) == {
                Fact("acme", ("welcome", "hello"), NOON // DAY, "m-1", each, field, time // QUARTER)
                for each in recipients
                for field in stated_fields
            }


def test_an_event_counts_in_its_quarter_of_an_hour() -> None:
    """From its first millisecond to its last, in the send day and after it."""
    for sent, at in ((NOON, NOON), (NOON + 7, NOON + QUARTER), (NOON, SOME_DAY + 2 * DAY)):
        for ms, quarter in (
            (at, at // QUARTER),
            (at + QUARTER - 1, at // QUARTER),
            (at + QUARTER, at // QUARTER + 1),
        ):
            found = read(as_json(event("Delivery", sent_ms=sent, reported_ms=max(ms, sent))), ms)
            assert {fact.quarter for fact in found if isinstance(fact, Fact)} == {quarter}


@pytest.mark.parametrize("kind", sorted(TIMED))
def test_an_event_before_its_own_send_counts_in_the_quarter_of_the_send(kind: str) -> None:
    """Clocks of mail servers do that; also across the start of the send day."""
    for sent in (SOME_DAY, SOME_DAY + QUARTER, NOON + QUARTER - 1):
        for reported_ms in (sent, sent - 1, sent - QUARTER, SOME_DAY - 400 * DAY):
            value = as_json(event(kind, sent_ms=sent, reported_ms=reported_ms))
            assert {(fact.day, fact.quarter) for fact in read(value) if isinstance(fact, Fact)} == {
                (SOME_DAY // DAY, sent // QUARTER)
            }


# Conditions

NOT_ATTEMPTED: Final = (
    "OnAccountSuppressionList",
    "OnTenantSuppressionList",
    "EmailValidationSuppressed",
    "UnsubscribedRecipient",
)
NO_TEXT: Final[tuple[Any, ...]] = (None, 0, 1, True, ["Permanent"], ["Transient"], {"Permanent": 1}, [[]])


def in_body(event_type: str, **said: Any) -> bytes:
    """An event with other fields in its object. said: `...` takes one away."""
    reported = at_noon(event_type)
    body = reported[BODIES[event_type]]
    body.update(said)
    for name, value in said.items():
        if value is ...:
            del body[name]
    return as_json(reported)


@pytest.mark.parametrize(
    ("bounce_type", "sub_type", "field"),
    [
        *(("Permanent", each, "suppressed") for each in NOT_ATTEMPTED),
        *(("Permanent", each.lower(), "bounced_hard") for each in NOT_ATTEMPTED),
        *(("Permanent", [each], "bounced_hard") for each in NOT_ATTEMPTED),
        *(("Permanent", each, "bounced_hard") for each in ("General", "NoEmail", "Suppressed", "", ...)),
        *(("Permanent", each, "bounced_hard") for each in NO_TEXT),
        *(("Transient", each, "bounced_soft") for each in ("General", ..., None, *NOT_ATTEMPTED)),
        *(("Undetermined", each, "bounced_undetermined") for each in ("Undetermined", *NOT_ATTEMPTED)),
        *((each, "General", "bounced_undetermined") for each in ("permanent", "Transient ", "", ...)),
        *((each, "OnAccountSuppressionList", "bounced_undetermined") for each in NO_TEXT),
    ],
)
def test_a_bounce_is_of_exactly_one_sort(bounce_type: Any, sub_type: Any, field: str) -> None:
    """By type and subtype, whatever JSON stands there; and it is a bounce beside that."""
    found = fields(read(in_body("Bounce", bounceType=bounce_type, bounceSubType=sub_type)))
    assert found == {"bounced", field}


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        (True, True),
        *((each, False) for each in (False, None, 1, 1.0, 0, "true", "True", [True], {"a": True})),
    ],
)
def test_only_who_unsubscribes_from_all_is_unsubscribed(said: object, counts: bool) -> None:
    """`true` and nothing like it; a Subscription that says anything else needs nothing else."""
    value = in_body("Subscription", newTopicPreferences={"unsubscribeAll": said, "topics": []})
    if counts:
        assert fields(read(value)) == {"unsubscribed"}
        return
    assert read(value) == "ignored"
    body = {"subscription": {"newTopicPreferences": {"unsubscribeAll": said}}}
    assert read(as_json({"eventType": "Subscription", "mail": 7, **body})) == "ignored"


def test_a_subscription_without_preferences_is_skipped() -> None:
    """None, of another shape, or in the old preferences alone; also without an object."""
    others: tuple[Any, ...] = (..., None, [], [{"unsubscribeAll": True}], True, "unsubscribeAll", {})
    for preferences in others:
        value = in_body("Subscription", newTopicPreferences=preferences, unsubscribeAll=True)
        assert read(value) == "ignored"
    value = in_body("Subscription", newTopicPreferences=..., oldTopicPreferences={"unsubscribeAll": True})
    assert read(value) == "ignored"
    bodies: tuple[Any, ...] = (None, [], "x", {})
    for body in bodies:
        assert read(as_json(at_noon("Subscription") | {"subscription": body})) == "ignored"


@pytest.mark.parametrize("kind", ["Open", "Click"])
@pytest.mark.parametrize("agent", ["Mozilla/5.0", "Slackbot 1.0", PERSON, None, ...])
@pytest.mark.parametrize(
    ("bot_event", "human"),
    [
        ("Likely", False),
        *((each, True) for each in ("Unlikely", "likely", "LIKELY", "", None, True, False, 0, 1)),
        *((each, True) for each in ([], ["Likely"], {}, {"Likely": True})),
    ],
)
def test_what_ses_says_of_a_machine_goes_before_the_table(
    kind: str, agent: object, bot_event: object, human: bool
) -> None:
    """`Likely` is a machine; all else, null too, is a person, whatever the user agent is."""
    field = {"Open": "opened", "Click": "clicked"}[kind]
    found = fields(read(in_body(kind, isBotEvent=bot_event, userAgent=agent)))
    assert found == {field} | ({f"{field}_human"} if human else set())


@pytest.mark.parametrize("kind", ["Open", "Click"])
def test_where_ses_says_nothing_the_table_of_machines_holds(kind: str) -> None:
    """Of texts; no user agent, or another JSON value, is a person's."""
    field = {"Open": "opened", "Click": "clicked"}[kind]
    for agent in ("Mozilla/5.0", f"x {PREFETCH}", "a Slackbot", "a" * 600 + "Slackbot"):
        for _ in range(2):
            assert fields(read(in_body(kind, userAgent=agent))) == {field}
    no_machines: tuple[Any, ...] = (
        ...,
        None,
        5,
        True,
        ["Mozilla/5.0"],
        {"Mozilla/5.0": 1},
        "",
        PERSON,
        "a" * 600,
    )
    for agent in no_machines:
        assert fields(read(in_body(kind, userAgent=agent))) == {field, f"{field}_human"}


def test_conditions_are_those_of_the_event_s_own_object() -> None:
    """What another type's object says, or the mail, is about something else."""
    likely = {"isBotEvent": "Likely", "userAgent": "Mozilla/5.0", "bounceType": "Transient"}
    reported = at_noon("Open") | {"click": likely, "bounce": likely} | likely
    reported["mail"] |= likely
    assert fields(read(as_json(reported))) == {"opened", "opened_human"}
    reported = at_noon("Bounce") | {"open": likely} | likely
    reported["mail"] |= likely
    assert fields(read(as_json(reported))) == {"bounced", "bounced_hard"}


# Step 3: tags

NO_TAG: Final[tuple[Any, ...]] = ([], "", [""], ["", "a"])
BAD_TAG: Final[tuple[Any, ...]] = (
    None,
    "a",
    0,
    1.5,
    True,
    {},
    {"0": "a"},
    [None],
    ["a", None],
    ["", 1],
    [["a"]],
    [0],
    [{}],
)


@pytest.mark.parametrize("value", NO_TAG)
def test_an_empty_tag_is_none(value: object) -> None:
    """Absent, an empty list, an empty text and an empty first element are one and the same."""
    both = {"sequence": value, "template": value}
    bare = read(as_json(at_noon(tags={"tenant": ["acme"]})))
    assert read(as_json(at_noon(tags={"tenant": ["acme"], **both}))) == bare
    assert read(as_json(at_noon(tags={"tenant": value}))) == "no_tenant"
    assert read(as_json(at_noon(tags={"tenant": value})), rules=RULES[1]) == read(
        as_json(at_noon(tags={})), rules=RULES[1]
    )


@pytest.mark.parametrize("value", BAD_TAG)
@pytest.mark.parametrize("name", ["tenant", "sequence", "template"])
def test_a_tag_of_another_shape_is_a_dead_letter(name: str, value: object) -> None:
    """Under any of the three names, with or without a tenant, also in an older notification."""
    for tags in ({name: value}, {"tenant": ["acme"], name: value}):
        for key in ("eventType", "notificationType"):
            for rules in RULES[:2]:
                assert read(as_json(at_noon(tags=tags, type_key=key)), rules=rules) == "bad_tag"
    assert len(read(as_json(at_noon(tags={"tenant": ["acme"], "campaign": value})))) == 1


@pytest.mark.parametrize("tags", [None, [], "", "tenant", 0, [{"tenant": ["acme"]}]])
def test_tags_that_are_no_object_are_a_dead_letter(tags: object) -> None:
    reported = at_noon()
    reported["mail"]["tags"] = tags
    assert read(as_json(reported)) == read(as_json(reported), rules=RULES[1]) == "bad_tag"


def test_no_tenant_is_a_dead_letter_an_older_notification_is_passed_over() -> None:
    """The default tenant takes both; a tag goes before the default."""
    for key, expected in (("eventType", "no_tenant"), ("notificationType", "untagged")):
        reported = at_noon(tags={"sequence": ["s"]}, type_key=key)
        assert read(as_json(reported)) == read(wrapped(reported)) == expected
        assert {f.tenant for f in read(as_json(reported), rules=RULES[1]) if isinstance(f, Fact)} == {"house"}
        del reported["mail"]["tags"]
        assert read(as_json(reported)) == expected
        tagged = at_noon(type_key=key)
        assert {f.tenant for f in read(as_json(tagged), rules=RULES[1]) if isinstance(f, Fact)} == {"acme"}


@pytest.mark.parametrize("unit", ["x", "é", "€", "\N{GRINNING FACE}", "\x00", ":", "{", "e\u0301"])
def test_ids_are_kept_byte_for_byte_up_to_255_bytes(unit: str) -> None:
    """Bytes of UTF-8 are counted, not characters, and nothing is normalised."""
    size = len(unit.encode())
    longest = unit * (255 // size) + "x" * (255 % size)
    assert len(longest.encode()) == 255
    for place in range(3):
        ids = ["a", "b", "c"]
        ids[place] = longest
        tags = dict(zip(("tenant", "sequence", "template"), ([each, "y" * 999] for each in ids), strict=True))
        assert {(fact[0], *fact[1]) for fact in read(as_json(at_noon(tags=tags)))} == {tuple(ids)}
        tags[("tenant", "sequence", "template")[place]] = [longest + "x"]
        assert read(as_json(at_noon(tags=tags))) == "bad_tag"


def grown_by(decoder: Decoder, values: Iterable[bytes]) -> tuple[int, int]:
    """By how many bytes reading these makes the process larger: as long as the decoder lives, and at most."""
    gc.collect()
    tracemalloc.start()
    try:
        for value in values:
            outcome = decoder.read(value, NOON)
            if isinstance(outcome, Facts):
                msgspec.msgpack.encode(outcome.scopes)  # as who makes identities does
        del outcome
        gc.collect()
        return tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "tags",
    [
        {"tenant": ["acme", "x"]},
        {"tenant": ["acme"], "sequence": ["", "x"]},
        {"tenant": ["acme"], "template": ["x"]},
        {"template": ["x"]},
        {"tenant": ["acme"], "sequence": [5, "x"]},
        {"tenant": ["acme"], "sequence": "x"},
    ],
    ids=["a long array", "a long array of none", "a long value", "no tenant", "no texts", "no array"],
)
def test_tags_of_any_size_are_not_held(tags: dict[str, Any]) -> None:
    """What a mail counts for is remembered, and never the megabytes that stood beside it."""

    def values() -> Iterator[bytes]:
        for number in range(30):
            large = json.dumps(tags).replace('"x"', f'"{number}{"x" * 900_000}"')
            yield SEND.replace(json.dumps(at_noon()["mail"]["tags"]).encode(), large.encode())

    assert len(next(values())) > 900_000
    assert grown_by(Decoder(Rules()), values())[0] < 1_000_000


@pytest.mark.parametrize("further", [0, 6])
def test_what_a_decoder_remembers_has_a_bound_in_bytes(further: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where every mail names other ids, as long as they may be or short, of as many scopes as may be."""
    monkeypatch.setattr(decode, "SCOPES_KEPT_BYTES", 500_000)
    rules, rounds = Rules(scopes=(*Rules().scopes, *((f"s{each}", f"s{each}") for each in range(further)))), 0
    decoder = Decoder(rules)

    def values(unit: str, times: int) -> Iterator[bytes]:
        nonlocal rounds
        for number in range(4_500 // len(rules.tags)):
            rounds += 1
            yield as_json(at_noon(tags={tag: [f"{number:04}{tag[-1]}" + unit * times] for tag in rules.tags}))

    for unit in ("x", "é", "€", "\N{GRINNING FACE}"):
        for times in (0, 250 // len(unit.encode())):
            assert grown_by(Decoder(rules), list(values(unit, times)))[1] < 500_000
    assert grown_by(decoder, [value for unit in "xé€" for value in values(unit, 50)])[1] < 500_000
    assert rounds == 11 * (4_500 // len(rules.tags))


def test_mails_with_the_same_tags_share_what_they_count_for() -> None:
    """The usual tags are judged once: the many events of a few ids keep one object between them."""
    decoder = Decoder(Rules())
    first, second = (decoder.read(changed(lambda _: None), NOON) for _ in range(2))
    assert isinstance(first, Facts)
    assert isinstance(second, Facts)
    assert first.scopes is second.scopes


# Step 4: times


def timed(*, sent: int, reported: int, record: int, kind: str = "Click") -> str | set[Fact]:
    return read(as_json(event(kind, sent_ms=sent, reported_ms=reported)), record)


SHORT: Final = TYPES - {"Open", "Click", "Bounce", "Complaint", "Subscription"}


@pytest.mark.parametrize("kind", sorted(TYPES))
@pytest.mark.parametrize("sent", [0, -1, SOME_DAY, NOON + 1])
def test_the_bounds_of_time_hold_to_the_millisecond(sent: int, kind: str) -> None:
    """At a bound a fact counts; one millisecond beyond it is late, stale or in the future."""
    horizon, stale = (3 * DAY, 18 * DAY) if kind in SHORT else (62 * DAY, 78 * DAY)
    counted = len(timed(sent=sent, reported=sent, record=sent, kind=kind))
    assert counted in (1, 2)
    if kind in TIMED:
        at = sent + horizon
        assert len(timed(sent=sent, reported=at, record=at, kind=kind)) == counted
        assert timed(sent=sent, reported=at + 1, record=at, kind=kind) == "late"
        assert len(timed(sent=sent, reported=sent + DAY, record=sent, kind=kind)) == counted
        assert timed(sent=sent, reported=sent + DAY + 1, record=sent, kind=kind) == "future"
    assert len(timed(sent=sent, reported=sent, record=sent + stale, kind=kind)) == counted
    assert timed(sent=sent, reported=sent, record=sent + stale + 1, kind=kind) == "stale"
    assert len(timed(sent=sent, reported=sent - DAY, record=sent - DAY, kind=kind)) == counted
    assert timed(sent=sent, reported=sent - DAY, record=sent - DAY - 1, kind=kind) == "future"


def test_each_kind_is_judged_by_its_own_horizon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an event states short and long kinds, the long ones still count when the short ones do not.

    No row of the table is so yet, so one is made: a `delayed` that comes with an open.
    """
    opened, human = FIELDS.index("opened"), FIELDS.index("opened_human")
    short = FIELDS.index("delayed")
    row = replace(KINDS[short], event_type="Open", body="open", recipients=None, address_key=None)
    table = event_types((*KINDS[:short], row, *KINDS[short + 1 :]))
    monkeypatch.setattr(decode, "EVENT_TYPES", table)

    def kinds(*, after: int = 0, record: int) -> Any:
        value = as_json(event("Open", sent_ms=NOON, reported_ms=NOON + after))
        outcome = Decoder(Rules()).read(value, NOON + record)
        return outcome.kinds if isinstance(outcome, Facts) else str(outcome)

    all_of_them, long_ones = (opened, short, human), (opened, human)
    assert kinds(record=18 * DAY) == all_of_them
    assert kinds(record=18 * DAY + 1) == long_ones
    assert kinds(record=78 * DAY) == long_ones
    assert kinds(record=78 * DAY + 1) == "stale"
    assert kinds(after=3 * DAY, record=3 * DAY) == all_of_them
    assert kinds(after=3 * DAY + 1, record=3 * DAY) == long_ones
    assert kinds(after=62 * DAY, record=62 * DAY) == long_ones
    assert kinds(after=62 * DAY + 1, record=62 * DAY) == "late"
    assert kinds(after=3 * DAY, record=18 * DAY + 1) == long_ones
    assert kinds(after=3 * DAY + 1, record=18 * DAY) == long_ones
    assert kinds(after=20 * DAY, record=19 * DAY - 1) == "future"


def test_of_several_reasons_the_first_of_the_list_holds() -> None:
    """bad_time, stale, future, late."""
    assert timed(sent=0, reported=200 * DAY, record=79 * DAY) == "stale"
    assert timed(sent=0, reported=200 * DAY, record=19 * DAY, kind="Delivery") == "stale"
    assert timed(sent=0, reported=5 * DAY, record=3 * DAY, kind="Delivery") == "future"
    assert timed(sent=0, reported=70 * DAY, record=60 * DAY) == "future"
    assert timed(sent=0, reported=70 * DAY, record=78 * DAY) == "late"
    reported = event("Click", sent_ms=0, reported_ms=0)
    reported["click"]["timestamp"] = "soon"
    assert read(as_json(reported), 400 * DAY) == "bad_time"


@pytest.mark.parametrize("kind", sorted(TYPES))
@pytest.mark.parametrize(
    "time", [None, "", "2026-03-03", "2026-03-03T10:20:30", 0, 1_772_539_200_000, [], {}]
)
def test_a_time_that_is_none_is_a_dead_letter(kind: str, time: object) -> None:
    """The mail's time and the event's own, where the table names one; whatever stands in the body's place.

    (Of a Subscription without its object nobody can say whether it counts.)
    """
    assert read(changed(lambda e: e["mail"].update(timestamp=time), kind)) == "bad_time"
    assert read(changed(lambda e: e["mail"].pop("timestamp"), kind)) == "bad_time"
    name = BODIES[kind]
    if kind not in TIMED:
        for change in ({name: {"timestamp": time}}, {name: time}):
            assert read(as_json(at_noon(kind) | change)) == read(as_json(at_noon(kind)))
        return
    assert read(changed(lambda e: e[name].update(timestamp=time), kind)) == "bad_time"
    assert read(changed(lambda e: e[name].pop("timestamp"), kind)) == "bad_time"
    without = "ignored" if kind == "Subscription" else "bad_time"
    assert read(changed(lambda e: e.update({name: time}), kind)) == without
    assert read(changed(lambda e: e.pop(name), kind)) == without


@pytest.mark.parametrize("elements", [[], None, [1]])
def test_times_are_judged_before_the_list(elements: object) -> None:
    """Also where the list is empty or broken."""
    for sent, reported, record, expected in (
        (0, 0, 19 * DAY, "stale"),
        (0, 2 * DAY, 0, "future"),
        (0, 4 * DAY, 4 * DAY, "late"),
    ):
        value = event("Delivery", sent_ms=sent, reported_ms=reported)
        value["delivery"]["recipients"] = elements
        assert read(as_json(value), record) == expected
        value["delivery"]["timestamp"] = "now"
        assert read(as_json(value), record) == "bad_time"


# Step 5: addresses

LISTS: Final = {
    "Send": ("mail", "destination"),
    "Delivery": ("delivery", "recipients"),
    "Bounce": ("bounce", "bouncedRecipients"),
    "Complaint": ("complaint", "complainedRecipients"),
    "DeliveryDelay": ("deliveryDelay", "delayedRecipients"),
    "Reject": ("mail", "destination"),
    "Rendering Failure": ("mail", "destination"),
}
OBJECTS: Final = {"Bounce", "Complaint", "DeliveryDelay"}
"""Those whose lists hold objects."""


@pytest.mark.parametrize("kind", sorted(LISTS))
def test_a_broken_list_is_unreadable_an_empty_one_is_no_fact(kind: str) -> None:
    """Missing, no list, or an element of another shape than the list's own."""
    holder, name = LISTS[kind]
    objects = kind in OBJECTS
    good: Any = {"emailAddress": "x"} if objects else "x"
    other: Any = "x" if objects else {"emailAddress": "x"}
    broken = [
        other,
        None,
        1,
        [],
        ["x"],
        {},
        {"emailAddress": None},
        {"emailAddress": ["x"]},
        {"emailaddress": "x"},
    ]
    no_list: tuple[Any, ...] = (None, "x", {}, 1, good)
    for elements in (*no_list, *([good, bad] for bad in broken)):
        assert read(changed(lambda e, v=elements: e[holder].update({name: v}), kind)) == "unreadable"  # type: ignore[misc]  # as above
    assert read(changed(lambda e: e[holder].pop(name), kind)) == "unreadable"
    assert read(changed(lambda e: e[holder].update({name: []}), kind)) == "empty"


@pytest.mark.parametrize("kind", sorted(LISTS))
def test_a_list_of_more_than_a_thousand_elements_is_too_large(kind: str) -> None:
    """As they stand, before repeats are left out; a broken list is unreadable at any length."""
    holder, name = LISTS[kind]

    def with_list(addresses: list[Any]) -> bytes:
        elements = [{"emailAddress": address} for address in addresses] if kind in OBJECTS else addresses
        return changed(lambda reported: reported[holder].update({name: elements}), kind)

    people = [f"{number}@x" for number in range(1001)]
    each = 2 if kind == "Bounce" else 1
    assert len(read(with_list(people[:1000]))) == 1000 * each
    assert read(with_list(people)) == "too_large"
    assert len(read(with_list(["one@x"] * 1000))) == each
    assert read(with_list(["one@x"] * 1001)) == "too_large"
    assert read(with_list([*people, None])) == "unreadable"


@pytest.mark.parametrize("kind", sorted(LISTS))
@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from(["x", "X", " x", "", "x\x00", "é", "e\u0301"]), st.text()), min_size=1)
)
@example(["x"])
@example(["x", "x"])
def test_addresses_compare_byte_for_byte_and_count_once(kind: str, addresses: list[str]) -> None:
    """One named twice in a list is one; no other two are the same."""
    found = read(as_json(at_noon(kind, addresses=tuple(addresses))))
    assert {fact.recipient for fact in found if isinstance(fact, Fact)} == set(map(pseudonym, addresses))


@pytest.mark.parametrize("kind", ["Open", "Click", "Subscription"])
def test_kinds_of_the_message_count_it_once_whoever_it_went_to(kind: str) -> None:
    for addresses in ((), ("x",), ("x", "y")):
        assert read(as_json(at_noon(kind, addresses=addresses))) == read(as_json(at_noon(kind)))
    assert read(changed(lambda e: e["mail"].update(destination=7), kind)) == read(as_json(at_noon(kind)))


# Formats


def test_the_same_fact_reported_in_every_format_is_one_fact() -> None:
    """SNS, EventBridge and the older notification of a mail without scope tags, under a default tenant."""
    reported = at_noon("Bounce", tags={})
    older = {"notificationType": "Bounce", "mail": {**reported["mail"]}, "bounce": reported["bounce"]}
    del older["mail"]["tags"]
    facts = read(as_json(reported), rules=RULES[1])
    assert fields(facts) == {"bounced", "bounced_hard"}
    assert read(wrapped(reported), rules=RULES[1]) == read(as_json(older), rules=RULES[1]) == facts
    assert read(wrapped(older), rules=RULES[1]) == facts


@pytest.mark.parametrize(
    "text",
    [
        spelled(NOON),
        "2026-03-03T12:00:00Z",
        "2026-03-03 12:00:00 +0000",
        "2026-03-03T05:00:00.000999-07:00",
        "2026-03-04T01:30:00.0+1330",
    ],
)
def test_formats_of_time_do_not_make_another_fact(text: str) -> None:
    """The day of the send, which is part of a fact's identity, is the UTC one."""
    assert read(changed(lambda e: e["mail"].update(timestamp=text))) == read(SEND)


@pytest.mark.parametrize("strange", [":", "{m}", "}", "\x00", "\N{GRINNING FACE}", "m" * 10_000, " "])
def test_message_ids_are_kept_as_they_are(strange: str) -> None:
    """Any text that is not empty names a message."""
    facts = read(as_json(at_noon(message_id=strange)))
    assert {fact.message_id for fact in facts if isinstance(fact, Fact)} == {strange}
