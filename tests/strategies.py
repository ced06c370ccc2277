"""SES events for tests: well formed, and spoilt in every way that a record of the topic may be.

`events()` draws what SES sends, `records()` what may lie on the topic: a value and a record time, near
every bound of the law. Nothing here knows how a record is read.

Long because every bound of the law is drawn in one place.
"""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hypothesis import strategies as st

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SOME_DAY: Final = 20_515 * DAY
"""2026-03-03T00:00Z, in ms since 1970."""

BODIES: Final = {
    "Send": "send",
    "Delivery": "delivery",
    "Open": "open",
    "Click": "click",
    "Bounce": "bounce",
    "Complaint": "complaint",
    "DeliveryDelay": "deliveryDelay",
    "Reject": "reject",
    "Rendering Failure": "failure",
    "Subscription": "subscription",
}
"""By type the object that SES describes the event in."""

TYPES: Final = set(BODIES)
TIMED: Final = TYPES - {"Send", "Reject", "Rendering Failure"}
"""Those whose events have a time of their own."""

NOT_COUNTED: Final = {"Received", "send", "Rendering failure", "RenderingFailure", "DeliveryDelayed", ""}
TAGS: Final = ("tenant", "sequence", "template")

PERSON: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PREFETCH: Final = "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"


def spelled(ms: int) -> str:
    """The instant as SES spells it nearly always. ms: since 1970."""
    return (EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event(
    event_type: str,
    *,
    sent_ms: int = SOME_DAY,
    reported_ms: int | None = None,
    message_id: str = "m-1",
    addresses: tuple[str, ...] = ("ada@example.com",),
    tags: Any = None,
    type_key: str = "eventType",
) -> dict[str, Any]:
    """An event with what counting reads, and a little more.

    reported_ms: the event's own time, the send's where there is none. tags: `mail.tags`; none for a tenant,
    a sequence and a template. type_key: `notificationType` for an older notification.
    """
    mail = {
        "timestamp": spelled(sent_ms),
        "messageId": message_id,
        "source": "news@shop.example",
        "destination": list(addresses),
        "tags": {"tenant": ["acme"], "sequence": ["welcome"], "template": ["hello"]}
        if tags is None
        else tags,
    }
    time = {"timestamp": spelled(sent_ms if reported_ms is None else reported_ms)}
    objects = [{"emailAddress": address, "status": "5.1.1"} for address in addresses]
    bodies: dict[str, dict[str, Any]] = {
        "Delivery": {**time, "recipients": list(addresses), "smtpResponse": "250 ok"},
        "Open": {**time, "ipAddress": "192.0.2.1", "userAgent": PERSON},
        "Click": {**time, "userAgent": PERSON, "link": "https://shop.example/?a={b}", "linkTags": None},
        "Bounce": {
            **time,
            "bounceType": "Permanent",
            "bounceSubType": "General",
            "bouncedRecipients": objects,
        },
        "Complaint": {**time, "complainedRecipients": objects},
        "DeliveryDelay": {**time, "delayType": "MailboxFull", "delayedRecipients": objects},
        "Reject": {"reason": "Bad content"},
        "Rendering Failure": {"errorMessage": "no such attribute"},
        "Subscription": {**time, "contactList": "news", "newTopicPreferences": {"unsubscribeAll": True}},
    }
    return {type_key: event_type, "mail": mail, BODIES.get(event_type, "other"): bodies.get(event_type, {})}


@dataclass(frozen=True)
class Record:
    """A record of the topic, as any Kafka client gives it. timestamp: in ms since 1970."""

    value: bytes | None
    timestamp: int
    offset: int = 0
    key: bytes | None = None


# Times


def _near(*bounds: int) -> st.SearchStrategy[int]:
    """A length of time at a bound, a little to its sides, or anywhere up to the longest."""
    return st.one_of(
        st.builds(lambda bound, step: bound + step, st.sampled_from(bounds), st.integers(-1, 1)),
        st.integers(-2 * HOUR, max(bounds) + DAY),
    )


@dataclass(frozen=True)
class Times:
    """When a mail was sent, when its event happened, and the record's own time; in ms since 1970."""

    sent: int
    reported: int
    record: int


@st.composite
def times(draw: st.DrawFn) -> Times:
    """Times of one event, at and around the bounds of what counts."""
    sent = draw(
        st.one_of(
            st.integers(SOME_DAY, SOME_DAY + DAY),
            st.sampled_from([0, 1, -1, SOME_DAY - 1, 2_000_000_000_000]),
            st.integers(-10 * 365 * DAY, 100 * 365 * DAY),
        )
    )
    reported = sent + draw(_near(0, HOUR, 3 * DAY, 62 * DAY))
    record = draw(
        st.one_of(
            st.just(max(sent, reported)),
            _near(0, 18 * DAY, 78 * DAY).map(lambda after: sent + after),
            _near(-DAY, 0).map(lambda after: max(sent, reported) + after),
        )
    )
    return Times(sent, reported, record)


@st.composite
def spellings(draw: st.DrawFn, ms: int) -> str:
    """An instant in any of the formats that are read; what lies beyond the millisecond is to be cut."""
    beyond = draw(st.sampled_from(["", "0", "9", "999", "4999999999"]))
    fraction = f"{ms % 1000:03}{beyond}"
    if not beyond and draw(st.booleans()):
        fraction = fraction.rstrip("0")
    minutes = draw(st.one_of(st.none(), st.integers(-1439, 1439)))
    wall = EPOCH + timedelta(milliseconds=ms - ms % 1000) + timedelta(minutes=minutes or 0)
    zone = "Z"
    if minutes is not None:
        colon = draw(st.sampled_from([":", ""]))
        zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{colon}{abs(minutes) % 60:02}"
    return "".join(
        [
            wall.date().isoformat(),
            draw(st.sampled_from("T ")),
            wall.time().isoformat(),
            f".{fraction}" if fraction else "",
            draw(st.sampled_from(["", " "])),
            zone,
        ]
    )


NO_TIMES: Final = (
    "",
    "2026-03-03",
    "2026-03-03T10:20:30",
    "2026-03-03T10:20:30.123",
    "2026-03-03T10:20Z",
    "2026-03-03t10:20:30Z",
    "2026-03-03T10:20:30z",
    "2026-03-03T10:20:30.Z",
    "2026-03-03T10:20:30,5Z",
    "2026-03-03T10:20:30  Z",
    "2026-03-03 T10:20:30Z",
    "2026-03-03T10:20:30.123Z ",
    " 2026-03-03T10:20:30.123Z",
    "2026-03-03T10:20:30.123Z\n",
    "2026-03-03T10:20:30.123\u00a0Z",
    "2026-03-03T24:00:00Z",
    "2026-03-03T24:00:00.000Z",
    "2026-03-03T10:60:00.000Z",
    "2026-03-03T10:20:60Z",
    "2026-03-03T10:20:60.000Z",
    "2016-12-31T23:59:60.500Z",
    "2026-02-29T10:20:30.123Z",
    "2026-00-03T10:20:30.123Z",
    "2026-13-03T10:20:30.123Z",
    "2026-03-00T10:20:30.123Z",
    "0000-01-01T00:00:00.000Z",
    "26-03-03T10:20:30Z",
    "+2026-03-03T10:20:30Z",
    "-2026-03-03T10:20:30Z",
    "12026-03-03T10:20:30Z",
    "20260303T102030Z",
    "2026-W10-2T10:20:30.12Z",
    "2026-062T10:20:30.1234Z",
    "2026-03-03T10:20:30+1",
    "2026-03-03T10:20:30+01",
    "2026-03-03T10:20:30+01:",
    "2026-03-03T10:20:30+1:00",
    "2026-03-03T10:20:30+24:00",
    "2026-03-03T10:20:30+01:60",
    "2026-03-03T10:20:30\u221201:00",
    "2026-03-03T10:20:30UTC",
    "2026-03-03T10:20:30 GMT",
    "2026-03-03T10:20:30Z+01:00",
    "2026-03-03T-1:20:30.123Z",
    "2026-03-03T10:20: 0.123Z",
    "2026-03-03T10:20:30.1 3Z",
    "2026-03-03T10:20:30.+12Z",
    "2026-03-03T10:20:30.1_2Z",
    "\u0662026-03-03T10:20:30.123Z",
    "\u0662\u0660\u0662\u0666-03-03T10:20:30.123Z",
    "2026-03-0\u0663T10:20:30.123Z",
    "2026-03-0\u0663T10:20:30Z",
    "2026-03-03T1\u0663:20:30.123Z",
    "2026-03-03T1\u0663:20:30Z",
    "2026-03-03T10:2\u0663:30.123Z",
    "2026-03-03T10:2\u0663:30Z",
    "2026-03-03T10:20:3\u0663.123Z",
    "2026-03-03T10:20:3\u0663Z",
    "2026-03-03T10:20:30+0\u0663:00",
    "2026-03-03T10:20:30.12\u0663Z",
    "2026-03-03T10:20:30.12\u00b2Z",
    "2026-03-03T10:20:30.1234\u0663Z",
    "1772533230",
    "Tue, 03 Mar 2026 10:20:30 GMT",
)
"""Texts that are no time in any format that is read."""


# What SES sends


def mostly(usual: st.SearchStrategy[Any], odd: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The odd one in twelve times, so that few records have more than one thing odd about them."""
    return st.sampled_from([True] * 11 + [False]).flatmap(lambda is_usual: usual if is_usual else odd)


def _addresses() -> st.SearchStrategy[tuple[str, ...]]:
    address = st.sampled_from(["a@b.example", "A@b.example", "ü@b.example", "", "a b", "x\x00y", "{t}:z"])
    return mostly(st.lists(address, min_size=1, max_size=4), st.just([])).map(tuple)


def ids() -> st.SearchStrategy[str]:
    """Ids up to and beyond 255 bytes, plain, and with what a careless key or query would trip over."""
    return st.one_of(
        st.sampled_from(
            ["a", "b", "{a}", "a:b", "%41", " ", "\x00", "\N{GRINNING FACE}", "e\u0301", "\u00e9"]
        ),
        st.builds(
            lambda unit, size, more: unit * (size // len(unit.encode())) + more,
            st.sampled_from(["x", "é", "€", "\N{GRINNING FACE}"]),
            st.sampled_from([252, 254, 255, 256, 257]),
            st.sampled_from(["", "x", "xy", "xyz"]),
        ),
        st.text(max_size=5),
    )


def _tags() -> st.SearchStrategy[Any]:
    value: st.SearchStrategy[Any] = st.one_of(
        st.lists(ids(), min_size=1, max_size=2),
        st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=1),
        st.sampled_from([[], "", [""], ["", "a"], ["a", ""], "a", None, {}, 0, False, ["a", None], [["a"]]]),
    )
    good = st.one_of(st.sampled_from([["a"], ["b"], ["{a}:b"]]), ids().map(lambda each: [each]))
    usual = st.fixed_dictionaries(
        {"tenant": good}, optional=dict.fromkeys(("sequence", "template", "campaign"), good)
    )
    names = st.sampled_from([*TAGS, "campaign", "step", "ses:configuration-set", "Tenant"])
    odd: st.SearchStrategy[Any] = st.sampled_from([None, {}, [], "", "tenant", 0, True, [["tenant"]]])
    return st.one_of(usual, usual, mostly(st.dictionaries(names, value), odd))


_ODD: Final[tuple[Any, ...]] = (..., None, True, False, 0, 1, "", [], {}, ["Permanent"], {"a": True})

DETAILS: Final[dict[str, dict[str, tuple[Any, ...]]]] = {
    "Bounce": {
        "bounceType": (
            "Permanent",
            "Permanent",
            "Permanent",
            "Transient",
            "Undetermined",
            "permanent",
            *_ODD,
        ),
        "bounceSubType": (
            "General",
            "Suppressed",
            "OnAccountSuppressionList",
            "OnTenantSuppressionList",
            "EmailValidationSuppressed",
            "UnsubscribedRecipient",
            "MailboxFull",
            "unsubscribedRecipient",
            *_ODD,
        ),
    },
    "Complaint": {"complaintFeedbackType": ("abuse", "other", "not-spam", "Not-Spam", ["not-spam"], *_ODD)},
    "Subscription": {
        "newTopicPreferences": (
            *({"unsubscribeAll": value} for value in (True, True, False, 1, 1.0, "true", None, [True])),
            *_ODD,
        )
    },
} | {
    opened: {
        "isBotEvent": (..., ..., ..., ..., "Likely", "Unlikely", "likely", ["Likely"], *_ODD),
        "userAgent": (
            PERSON,
            "Mozilla/5.0",
            "Mozilla/5.0 ",
            f"Mozilla/5.0 (Windows NT 10.0) {PREFETCH}",
            f"{PREFETCH} ",
            "Barracuda Sentinel (EE)",
            "x" * 600 + "Twitterbot/1.0",
            "twitterbot/1.0",
            *_ODD,
        ),
    }
    for opened in ("Open", "Click")
}
"""What stands in the fields on which kinds depend; `...` is an absent one."""


def details(event_type: str) -> st.SearchStrategy[dict[str, Any]]:
    """The fields of an event's object on which its kinds depend."""
    fields = DETAILS.get(event_type, {})
    drawn = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in fields.items()})
    return drawn.map(deepcopy)  # whoever spoils an event must not spoil the next one


@st.composite
def events(draw: st.DrawFn, when: Times) -> dict[str, Any]:
    """An event or older notification of any type, in or out of an EventBridge envelope."""
    reported = event(
        draw(mostly(st.sampled_from(sorted(TYPES)), st.sampled_from(sorted(NOT_COUNTED)))),
        message_id=draw(mostly(st.sampled_from(["m-1", "m-2", "{m}:\N{GRINNING FACE}\x00"]), st.just(""))),
        addresses=draw(_addresses()),
        tags=draw(_tags()),
        type_key=draw(st.sampled_from(["eventType", "eventType", "notificationType"])),
    )
    reported["mail"]["timestamp"] = draw(spellings(when.sent))
    for event_type in sorted(TIMED):
        body = reported.get(BODIES[event_type])
        if body is not None:
            body["timestamp"] = draw(spellings(when.reported))
            for key, value in draw(details(event_type)).items():
                body.pop(key, None) if value is ... else body.update({key: value})
    for _ in range(draw(st.sampled_from([0, 0, 0, 0, 0, 1, 1, 1, 1, 2]))):
        reported = {"version": "0", "source": "aws.ses", "detail-type": "Email Event", "detail": reported}
    return reported


# What may lie on the topic


def json_values() -> st.SearchStrategy[Any]:
    """Any JSON value, lone surrogates and the numbers that are no JSON among them."""
    text = st.text(st.characters(codec=None, exclude_categories=()), max_size=4)
    return st.recursive(
        st.one_of(
            st.sampled_from([None, True, False, "", 0, -1, 1.5, 10**30, [], {}]),
            st.sampled_from(NO_TIMES),
            st.sampled_from(["Send", "Open", "not-spam", "\ud800", float("nan"), float("-inf")]),
            st.integers(),
            st.floats(allow_nan=False, allow_infinity=False),
            text,
        ),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
        max_leaves=4,
    )


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key or index) of a JSON value."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    for key in keys:
        yield value, key
        yield from _places(value[key])


@st.composite
def _spoilt(draw: st.DrawFn, reported: dict[str, Any]) -> dict[str, Any]:
    """The event with one place taken away, replaced, or added."""
    places = list(_places(reported))
    if not places:
        return reported
    container, key = draw(st.sampled_from(places))
    change = draw(st.sampled_from(["drop", "replace", "wrap", "add"]))
    if change == "drop":
        del container[key]
    elif change == "replace":
        container[key] = draw(json_values())
    elif change == "wrap":
        container[key] = [container[key]]
    elif isinstance(container, dict):
        name = st.sampled_from(
            ["eventType", "notificationType", "detail", "mail", "bounce", "timestamp", "isBotEvent", "new"]
        )
        container[draw(name)] = draw(json_values())
    else:
        container.append(draw(json_values()))
    return reported


@st.composite
def _garbled(draw: st.DrawFn, text: str) -> bytes:
    """The bytes of a JSON object, as they are or with something done to them."""
    value = text.encode("utf-8", "surrogatepass")
    inner = value[1:-1]
    at = draw(st.integers(0, len(value)))
    deep = draw(st.sampled_from([500, 511, 512, 513, 600, 100_000]))
    first, last = draw(st.sampled_from([(b"[", b"]"), (b'{"a":', b"}")]))
    nested = first * deep + b"1" * (first != b"[") + last * deep
    spare = b", " * bool(inner.strip())
    changed: dict[str, bytes] = {
        "spaces": b" \n\t\r" + value + b"\n",
        "bom": b"\xef\xbb\xbf" + value,
        "utf-16": text.encode("utf-16", "surrogatepass"),
        "latin-1": b'{"caf\xe9": 1' + spare + inner + b"}",
        "cut": value[:at],
        "nul": value[:at] + b"\x00" + value[at:],
        "control": b'{"a": "\x1f"' + spare + inner + b"}",
        "trailing": value + draw(st.sampled_from([b"x", b"\x00", b"{}", b",", b"]", b"\x0b"])),
        "twice, then right": b'{"eventType": 5' + spare + inner + b"}",
        "twice, then wrong": b"{" + inner + spare + b'"mail": 5}',
        "escaped key": value.replace(b'"eventType"', b'"event\\u0054ype"'),
        "deep": b"{" + inner + spare + b'"deep": ' + nested + b"}",
        "no depth": b"{"
        + inner
        + spare
        + b'"text": "\\"'
        + b"[{" * 600
        + b'", "list": ['
        + b"[]," * 600
        + b"0]}",
        "long": b"{" + inner + spare + b'"long": "' + b"x" * 1_000_000 + b'"}',
        "huge number": b"{" + inner + spare + b'"number": [1e999, ' + b"9" * 5000 + b"]}",
        "comma": b"{" + inner + b",}",
        "list": b"[" + value + b"]",
        "text": json.dumps(text).encode(),
    }
    return changed[draw(st.sampled_from(sorted(changed)))]


@st.composite
def records(draw: st.DrawFn) -> Record:
    """A record of the topic: mostly an event with none to three things wrong, sometimes no event at all."""
    when = draw(times())
    reported = draw(events(when))
    for _ in range(draw(st.sampled_from([0, 0, 0, 0, 0, 1, 1, 1, 2, 3]))):
        reported = draw(_spoilt(reported))
    text = json.dumps(reported, ensure_ascii=draw(st.booleans()))
    odd = st.one_of(st.none(), st.just(b""), st.binary(max_size=8), json_values().map(_as_json))
    plain = st.just(text.encode("utf-8", "surrogatepass"))
    return Record(draw(mostly(plain, mostly(_garbled(text), odd))), when.record)


def _as_json(value: Any) -> bytes:
    return json.dumps(value).encode()
