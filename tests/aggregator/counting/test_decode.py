"""Reading a record: each step of the law by itself, and all of them against a second statement of it.

Long because it is the law step by step, each with its table of cases, and is read beside `law`.
"""

import gc
import json
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aggregator.counting import decode
from aggregator.counting.decode import Decoder
from aggregator.counting.facts import Facts, Refusal, type_of_outcome
from aggregator.counting.rules import Rules
from schemas.kinds import FIELDS
from tests.aggregator.law import Fact, stated
from tests.examples import examples
from tests.strategies import DAY, HOUR, NOT_COUNTED, SOME_DAY, TYPES, Record, event, records, spelled

NOON: Final = SOME_DAY + 12 * HOUR
RULES: Final = (
    Rules(),
    Rules(default_tenant="house"),
    Rules("ses:configuration-set", "campaign", "tenant", "{h}:\N{GRINNING FACE}"),
    Rules("Tenant", "sequence", "template"),
)
DECODERS: Final = {rules: Decoder(rules) for rules in RULES}
PLAIN: Final = DECODERS[RULES[0]]
HOUSE: Final = DECODERS[RULES[1]]


def plainly(outcome: type_of_outcome) -> str | set[Fact]:
    """The outcome in the words of the second statement."""
    if not isinstance(outcome, Facts):
        return str(outcome)
    o, field = outcome, FIELDS[outcome.kind]
    found = [Fact(*o.scopes, o.day, o.message_id, each, field, o.day * 24 + o.hour) for each in o.recipients]
    assert len(set(found)) == len(found) > 0, "no recipient twice, and never no fact"
    return set(found)


def read(value: bytes | None, record_ms: int = NOON, rules: Rules = RULES[0]) -> str | set[Fact]:
    """What a record states; both statements of the law have to agree on it."""
    found = plainly(DECODERS[rules].read(value, record_ms))
    assert found == stated(value, record_ms, rules.default_tenant, rules.tags)
    return found


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
    assert read(wrapped(at_noon("Reject"))) == "ignored"
    assert read(wrapped(at_noon(), eventType="Reject")) == "ignored"
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
        assert len(read(value)) == 1
        assert "complained" in str(read(value))
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
    """One fact for each address, or for the message; hour and day by the times that the table names."""
    later = NOON + 30 * HOUR
    expected = {
        "Send": ("sent", NOON, True),
        "Delivery": ("delivered", later, True),
        "Open": ("opened", later, False),
        "Click": ("clicked", later, False),
        "Bounce": ("bounced", later, True),
        "Complaint": ("complained", later, True),
    }
    for kind, (field, time, for_each) in expected.items():
        reported = at_noon(kind, reported_ms=later, addresses=("x", "y", "X", "x"))
        recipients: set[str | None] = {"x", "y", "X"} if for_each else {None}
        for key in ("eventType", "notificationType"):
            reported = {key: kind, **{k: v for k, v in reported.items() if not k.endswith("Type")}}
            assert read(as_json(reported), later) == {
                Fact("acme", "welcome", "hello", NOON // DAY, "m-1", each, field, time // HOUR)
                for each in recipients
            }


def test_an_event_before_its_own_send_counts_in_the_hour_of_the_send() -> None:
    """Clocks of mail servers do that; also across the start of the send day."""
    for reported_ms in (SOME_DAY, SOME_DAY - 1, SOME_DAY - 400 * DAY):
        value = as_json(event("Bounce", sent_ms=SOME_DAY, reported_ms=reported_ms))
        assert {(fact.day, fact.hour) for fact in read(value) if isinstance(fact, Fact)} == {
            (SOME_DAY // DAY, SOME_DAY // HOUR)
        }


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
        assert {tuple(fact)[:3] for fact in read(as_json(at_noon(tags=tags)))} == {tuple(ids)}
        tags[("tenant", "sequence", "template")[place]] = [longest + "x"]
        assert read(as_json(at_noon(tags=tags))) == "bad_tag"


def grown_by(decoder: Decoder, values: Iterable[bytes]) -> int:
    """By how many bytes reading these makes the process larger, as long as the decoder lives."""
    gc.collect()
    tracemalloc.start()
    try:
        for value in values:
            decoder.read(value, NOON)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
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
    assert grown_by(Decoder(Rules()), values()) < 1_000_000


def test_what_a_decoder_remembers_has_a_bound_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where every mail names other ids, as long as they may be, in the widest letters."""
    monkeypatch.setattr(decode, "SCOPES_KEPT_BYTES", 2_000_000)
    decoder, rounds = Decoder(Rules()), 0

    def values() -> Iterator[bytes]:
        nonlocal rounds
        for unit in ("x", "é", "€", "\N{GRINNING FACE}"):
            for number in range(3_000):
                name = f"{number:04}" + unit * (251 // len(unit.encode()))
                rounds += 1
                yield as_json(at_noon(tags={"tenant": [name], "sequence": [name], "template": [name]}))

    assert grown_by(decoder, values()) < 2_000_000
    assert rounds == 12_000


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


@pytest.mark.parametrize("sent", [0, -1, SOME_DAY, NOON + 1])
def test_the_bounds_of_time_hold_to_the_millisecond(sent: int) -> None:
    """At a bound a fact counts; one millisecond beyond it is late, stale or in the future."""
    horizon, stale, future = 62 * DAY, 78 * DAY, DAY
    assert len(timed(sent=sent, reported=sent + horizon, record=sent + horizon)) == 1
    assert timed(sent=sent, reported=sent + horizon + 1, record=sent + horizon) == "late"
    assert len(timed(sent=sent, reported=sent, record=sent + stale)) == 1
    assert timed(sent=sent, reported=sent, record=sent + stale + 1) == "stale"
    assert len(timed(sent=sent, reported=sent + DAY, record=sent)) == 1
    assert timed(sent=sent, reported=sent + future + 1, record=sent) == "future"
    assert len(timed(sent=sent, reported=sent - DAY, record=sent - future)) == 1
    assert timed(sent=sent, reported=sent - DAY, record=sent - future - 1) == "future"


def test_of_several_reasons_the_first_of_the_list_holds() -> None:
    """bad_time, stale, future, late."""
    assert timed(sent=0, reported=200 * DAY, record=79 * DAY) == "stale"
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
    """The mail's time and the event's own, where the table names one; whatever stands in the body's place."""
    assert read(changed(lambda e: e["mail"].update(timestamp=time), kind)) == "bad_time"
    assert read(changed(lambda e: e["mail"].pop("timestamp"), kind)) == "bad_time"
    name = kind.lower()
    if kind == "Send":
        assert read(changed(lambda e: e["send"].update(timestamp=time))) == read(SEND)
        return
    assert read(changed(lambda e: e[name].update(timestamp=time), kind)) == "bad_time"
    assert read(changed(lambda e: e[name].pop("timestamp"), kind)) == "bad_time"
    assert read(changed(lambda e: e.update({name: time}), kind)) == "bad_time"
    assert read(changed(lambda e: e.pop(name), kind)) == "bad_time"


@pytest.mark.parametrize("elements", [[], None, [1]])
def test_times_are_judged_before_the_list(elements: object) -> None:
    """Also where the list is empty or broken."""
    for sent, reported, record, expected in (
        (0, 0, 79 * DAY, "stale"),
        (0, 2 * DAY, 0, "future"),
        (0, 63 * DAY, 63 * DAY, "late"),
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
}


@pytest.mark.parametrize("kind", sorted(LISTS))
def test_a_broken_list_is_unreadable_an_empty_one_is_no_fact(kind: str) -> None:
    """Missing, no list, or an element of another shape than the list's own."""
    holder, name = LISTS[kind]
    objects = kind in ("Bounce", "Complaint")
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
        objects = kind in ("Bounce", "Complaint")
        elements = [{"emailAddress": address} for address in addresses] if objects else addresses
        return changed(lambda reported: reported[holder].update({name: elements}), kind)

    people = [f"{number}@x" for number in range(1001)]
    assert len(read(with_list(people[:1000]))) == 1000
    assert read(with_list(people)) == "too_large"
    assert len(read(with_list(["one@x"] * 1000))) == 1
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
    assert {fact.recipient for fact in found if isinstance(fact, Fact)} == set(addresses)


@pytest.mark.parametrize("kind", ["Open", "Click"])
def test_opens_and_clicks_count_the_message_whoever_it_went_to(kind: str) -> None:
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
    assert len(facts) == 1
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
