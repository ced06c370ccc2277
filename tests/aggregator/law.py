"""The law of reading said a second time: plain and slow Python that shares no code with the aggregator.

`stated` is what one record of the topic states. It reads with the `json` module and judges step by step, as
the design words it; the tests hold the reader against it. Long because it is the whole law.
"""

import json
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final, NamedTuple

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
DEEPEST: Final = 512

BODIES: Final = {
    "Delivery": "delivery",
    "Open": "open",
    "Click": "click",
    "Bounce": "bounce",
    "Complaint": "complaint",
    "DeliveryDelay": "deliveryDelay",
    "Subscription": "subscription",
}
"""The types with an object and a time of their own."""

LISTS: Final = {
    "Delivery": "recipients",
    "Bounce": "bouncedRecipients",
    "Complaint": "complainedRecipients",
    "DeliveryDelay": "delayedRecipients",
}
WITHOUT_BODY: Final = ("Send", "Reject", "Rendering Failure")
SHORT: Final = {"sent", "delivered", "delayed", "rejected", "rendering_failed"}


class Fact(NamedTuple):
    """One fact. ids: of each further scope. day: of the send, quarter: of the count; both since 1970.

    recipient: the pseudonym of the address.
    """

    tenant: str
    ids: tuple[str | None, ...]
    day: int
    message_id: str
    recipient: bytes | None
    field: str
    quarter: int


class _Out(Exception):  # noqa: N818 not an error: the first step that fits
    """The step that decides."""


def pseudonym(address: str, key: bytes = b"") -> bytes:
    """By what a recipient is known."""
    return blake2b(address.encode("utf-8"), key=key, digest_size=16).digest()


def stated(
    value: bytes | None,
    record_ms: int,
    default_tenant: str | None = None,
    tags: tuple[str, ...] = ("tenant", "sequence", "template"),
    recipient_key: bytes = b"",
) -> str | set[Fact]:
    """The facts that a record states, else the name of what becomes of it.

    record_ms: the record's own time in ms. tags: the names of the tags of the tenant and of each scope.
    """
    try:
        return _facts(value, record_ms, default_tenant, tags, recipient_key)
    except _Out as out:
        return str(out)


def _facts(  # noqa: PLR0912 the steps of the law, one under the other
    value: bytes | None, record_ms: int, default: str | None, names: tuple[str, ...], key: bytes
) -> set[Fact]:
    event = _json_object(value)
    if "eventType" not in event and "notificationType" not in event and isinstance(event.get("detail"), dict):
        event = event["detail"]
    if "eventType" not in event and "notificationType" not in event:
        raise _Out("ignored")
    kind = event["eventType"] if "eventType" in event else event["notificationType"]
    if not isinstance(kind, str):
        raise _Out("unreadable")

    if kind not in BODIES and kind not in WITHOUT_BODY:
        raise _Out("ignored")
    mail = event.get("mail")
    body: Any = event.get(BODIES[kind]) if kind in BODIES else mail
    fields = _fields(kind, body if isinstance(body, dict) else {})
    if not fields:
        raise _Out("ignored")
    if not isinstance(mail, dict) or not isinstance(mail.get("messageId"), str) or mail["messageId"] == "":
        raise _Out("unreadable")

    tags = mail.get("tags", {})
    if not isinstance(tags, dict):
        raise _Out("bad_tag")
    tenant, *ids = [_tag(tags[name]) if name in tags else None for name in names]
    tenant = tenant or default
    if not tenant:
        raise _Out("no_tenant" if "eventType" in event else "untagged")

    sent = instant(mail.get("timestamp"))
    time = instant(body.get("timestamp")) if isinstance(body, dict) else None
    if sent is None or time is None:
        raise _Out("bad_time")
    fields = {field for field in fields if record_ms <= sent + (18 if field in SHORT else 78) * DAY}
    if not fields:
        raise _Out("stale")
    time = max(time, sent)
    if time > record_ms + DAY:
        raise _Out("future")
    fields = {field for field in fields if time <= sent + (3 if field in SHORT else 62) * DAY}
    if not fields:
        raise _Out("late")

    recipients: set[bytes | None] = {None}
    if kind not in ("Open", "Click", "Subscription"):
        elements = mail.get("destination") if kind in WITHOUT_BODY else body.get(LISTS[kind])
        recipients = {pseudonym(address, key) for address in _addresses(kind, elements)}
    return {
        Fact(tenant, tuple(ids), sent // DAY, mail["messageId"], recipient, field, time // (HOUR // 4))
        for recipient in recipients
        for field in fields
    }


def _fields(kind: str, body: dict[str, Any]) -> set[str]:
    """What an event of this type states, whenever it was."""
    if kind == "Bounce":
        return {"bounced", _bounce(body.get("bounceType"), body.get("bounceSubType"))}
    if kind == "Complaint":
        return set() if body.get("complaintFeedbackType") == "not-spam" else {"complained"}
    if kind in ("Open", "Click"):
        field = {"Open": "opened", "Click": "clicked"}[kind]
        return {field} if _by_machine(body) else {field, f"{field}_human"}
    if kind == "Subscription":
        preferences = body.get("newTopicPreferences")
        told = preferences.get("unsubscribeAll") if isinstance(preferences, dict) else None
        return {"unsubscribed"} if told is True else set()
    return {
        {
            "Send": "sent",
            "Delivery": "delivered",
            "DeliveryDelay": "delayed",
            "Reject": "rejected",
            "Rendering Failure": "rendering_failed",
        }[kind]
    }


def _bounce(kind: Any, sub_type: Any) -> str:
    if kind == "Permanent":
        if sub_type in (
            "OnAccountSuppressionList",
            "OnTenantSuppressionList",
            "EmailValidationSuppressed",
            "UnsubscribedRecipient",
        ):
            return "suppressed"
        return "bounced_hard"
    return "bounced_soft" if kind == "Transient" else "bounced_undetermined"


SCANNERS: Final = [
    "Barracuda Sentinel",
    "Mimecast",
    "Proofpoint",
    "HeadlessChrome/",
    "BingPreview/",
    "Slackbot",
    "SkypeUriPreview",
    "TelegramBot",
    "Twitterbot/",
    "LinkedInBot/",
    "facebookexternalhit/",
]


def _by_machine(body: dict[str, Any]) -> bool:
    if "isBotEvent" in body:
        return bool(body["isBotEvent"] == "Likely")
    agent = body.get("userAgent")
    if not isinstance(agent, str):
        return False
    prefetch = "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
    if agent == "Mozilla/5.0" or agent[-len(prefetch) :] == prefetch:
        return True
    return any(agent.find(scanner) >= 0 for scanner in SCANNERS)


def _addresses(kind: str, elements: Any) -> list[str]:
    """Step 5."""
    if not isinstance(elements, list):
        raise _Out("unreadable")
    if kind in ("Bounce", "Complaint", "DeliveryDelay"):
        elements = [each.get("emailAddress") if isinstance(each, dict) else None for each in elements]
    if not all(isinstance(address, str) for address in elements):
        raise _Out("unreadable")
    if len(elements) > 1000:
        raise _Out("too_large")
    if not elements:
        raise _Out("empty")
    return list(elements)


def _json_object(value: bytes | None) -> dict[str, Any]:
    """Step 1. Numbers become 0: no rule looks at one."""
    if not value:
        raise _Out("unreadable")
    try:
        text = value.decode("utf-8")
        pairs = json.loads(
            text, object_pairs_hook=_Pairs, parse_constant=_no_json, parse_int=_zero, parse_float=_zero
        )
        _validate(pairs)
        found = json.loads(text, parse_int=_zero, parse_float=_zero)
    except (ValueError, RecursionError):
        raise _Out("unreadable") from None
    if not isinstance(found, dict):
        raise _Out("unreadable")
    return found


class _Pairs(list[tuple[str, Any]]):
    """An object with every key that is written, also those written twice."""


def _validate(value: Any) -> None:
    """No lone surrogates in any text or key, nothing deeper than the limit. Raises ValueError."""
    waiting = [(value, 1)]
    while waiting:
        each, depth = waiting.pop()
        if isinstance(each, str):
            each.encode("utf-8")
        elif isinstance(each, _Pairs | list):
            if depth > DEEPEST:
                raise ValueError("too deep")
            for element in each:
                parts = element if isinstance(each, _Pairs) else (element,)
                waiting += [(part, depth + 1) for part in parts]


def _no_json(constant: str) -> Any:
    raise ValueError(constant)


def _zero(_number: str) -> int:
    return 0


def _tag(value: Any) -> str | None:
    """Step 3, of a tag that is there."""
    if value in ("", []):
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _Out("bad_tag")
    first: str = value[0]
    if len(first.encode("utf-8")) > 255:
        raise _Out("bad_tag")
    return first or None


def instant(text: Any) -> int | None:  # noqa: PLR0911 each way to be no time
    """Step 4: ms since 1970, none where the text is no time."""
    if not isinstance(text, str) or len(text) < 20:
        return None
    day, between, clock, rest = text[:10], text[10], text[11:19], text[19:]
    if between not in ("T", " ") or _shape(day) != "0000-00-00" or _shape(clock) != "00:00:00":
        return None
    thousandths = 0
    if rest[0] == ".":
        digits, rest = rest[1:], rest[1:].lstrip("0123456789")
        digits = digits[: len(digits) - len(rest)]
        if digits == "":
            return None
        thousandths = int((digits + "00")[:3])
    rest = rest.removeprefix(" ")
    east = 0
    if rest != "Z":
        if _shape(rest[1:]) not in ("00:00", "0000") or rest[0] not in ("+", "-"):
            return None
        hours, minutes = int(rest[1:3]), int(rest[-2:])
        if hours > 23 or minutes > 59:
            return None
        east = (hours * 60 + minutes) * 60_000 * (1 if rest[0] == "+" else -1)
    try:
        numbers = [int(part) for part in (*day.split("-"), *clock.split(":"))]
        wall = datetime(*numbers, tzinfo=UTC)  # type: ignore[misc,arg-type]  # six numbers
    except ValueError:
        return None
    return (wall - EPOCH) // timedelta(milliseconds=1) + thousandths - east


def _shape(text: str) -> str:
    """The text with every ASCII digit as 0; a 0 of another script is no digit."""
    return "".join("0" if each in "0123456789" else each for each in text)
