"""Seeded mail of twenty tenants, as unruly as SES, SNS and the law of counting allow.

Pure: the same seed and the same time give the same records. The plain part is `deploy.letters`; what is
added here are the cases at which counters go wrong: names that mean something to Redis, Lua or a URL, one
event for several people, the same fact reported twice at different times, clocks that disagree, tags that
some events of a mail lack, every kind that is counted, and records that must not be counted. Long because
it is one stream with every oddity in it.
"""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from itertools import islice
from random import Random
from typing import Any

from deploy.letters import Fate, Letter, life_of_a_mail
from deploy.traffic import AGENTS, DAY, HOUR, MINUTE, SECOND, Event, iso
from tests.pipeline import oracle
from tests.pipeline.log import Outgoing

TENANTS = (
    "harbor",
    "a:1",
    "a%3A1",
    "{g:0}",
    "}{",
    "100%",
    "%25",
    "north/south",
    "two words",
    " ",
    "Größe",
    "日本の店",
    "🦉📬",
    "*?[a-z]",
    "quote\"back\\slash'",
    "tab\tline\nend",
    "a" * 255,
    "é" * 127,
    "0",
    "None",
)
NAMES = (
    "welcome",
    "step:2",
    "{braces}",
    "}",
    "50% off",
    "%2F",
    "a/b/c",
    "with  spaces ",
    "čeština",
    "✨🎁✨",
    "?query=1&b#c",
    "nul\x00inside",
    "t",
    "x" * 255,
)
NEVER_COUNTED = "only-told-too-late"
"""A template that no fact ever counts for."""

LONGEST, STALE = 62 * DAY, 78 * DAY
SHORT_LONGEST, SHORT_STALE = 3 * DAY, 18 * DAY
OLDEST_SEND = 14 * DAY
FATE = Fate(
    hard=0.02,
    suppressed=0.02,
    soft=0.02,
    undetermined=0.02,
    delayed=0.03,
    complaints=0.05,
    scanned=0.2,
    opens=0.5,
    clicks=0.25,
    leaves=0.02,
    unfit=0.004,
)
"""Of all mail: more goes wrong than in any true installation."""

SCOPE_TAGS = {"campaign": "campaign", "isp": "ses:recipient-isp"}
"""Further scopes that some of the mails are for, each with its tag: some mails are part of a campaign, and
some events of a mail, but never its Send, name the receiving side."""

ALL_TAGS = {**oracle.PAGE, **SCOPE_TAGS}
SETTINGS = {
    "SCOPE_TAGS": ",".join(f"{name}={tag}" for name, tag in SCOPE_TAGS.items()),
    "RECIPIENT_KEY": "5a" * 32,
}
"""Of programs that count for all of them."""

ISPS = ("Gmail", "Yahoo", "web.de & more", "日本")

BOUNCES: tuple[Mapping[str, Any], ...] = (
    {},
    {"bounceType": "Undetermined", "bounceSubType": "Undetermined"},
    {"bounceType": None, "bounceSubType": None},
    {"bounceType": "Transient", "bounceSubType": "General"},
    {"bounceType": "Permanent"},
    *(
        {"bounceType": "Permanent", "bounceSubType": subtype}
        for subtype in (
            "NoEmail",
            "Suppressed",
            "OnAccountSuppressionList",
            "OnTenantSuppressionList",
            "EmailValidationSuppressed",
            "UnsubscribedRecipient",
        )
    ),
)
"""What a bounce may say of itself."""

READERS: tuple[Mapping[str, Any], ...] = (
    {"isBotEvent": "Likely"},
    {"isBotEvent": "Unlikely"},
    {"isBotEvent": None},
    {"isBotEvent": "Unlikely", "userAgent": "Mozilla/5.0"},
    {"userAgent": "Mozilla/5.0 (Windows NT 10.0) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"},
    {"userAgent": "Slackbot-LinkExpanding 1.0"},
    {"userAgent": AGENTS[-1]},
)
"""What an open or click may say of who caused it."""


def records(
    seed: int, now_ms: int, number: int, tenants: int = len(TENANTS), uncounted: float = 0.01
) -> list[Outgoing]:
    """Records in a wild order, one in five of them a copy of another.

    now_ms: no record is younger. number: how many records. tenants: how many of `TENANTS` send. uncounted: of
    the mails, the share that brings one record for each reason not to count.
    """
    rng = Random(seed)
    senders = [_letters(rng, name) for name in TENANTS[:tenants]]
    weights = list(islice(_weights(), len(senders)))
    reported: list[Outgoing] = []
    distinct = number * 4 // 5
    while len(reported) < distinct:
        letter = rng.choice(rng.choices(senders, weights)[0])
        sent_ms = now_ms - rng.randrange(HOUR, OLDEST_SEND)
        life = _detailed(rng, life_of_a_mail(rng, letter, sent_ms))
        if rng.random() < 0.25:
            life = list(_unruly(rng, life, sent_ms))
        for at_ms, event in life:
            if at_ms <= now_ms:
                reported.append(_record(event, min(now_ms, at_ms + rng.randrange(20 * SECOND))))
        if rng.random() < uncounted:
            reported += _uncounted(rng, letter, now_ms)
    reported = reported[:distinct]
    reported += rng.choices(reported, k=number - distinct)
    rng.shuffle(reported)
    return reported


def _detailed(rng: Random, life: list[tuple[int, Event]]) -> list[tuple[int, Event]]:
    """The life of a mail with all that is counted beside the six kinds of the page, and with more tags."""
    sent_ms, send = life[0]
    mail = send["mail"]
    campaign = rng.choice((None, None, "spring {sale}", "autumn:50%", ""))
    more: list[tuple[int, Event]] = []
    if rng.random() < 0.03:
        kind, body = rng.choice((("Reject", "reject"), ("Rendering Failure", "failure")))
        more.append((sent_ms, {"eventType": kind, "mail": mail, body: {"reason": "Bad content"}}))
    if rng.random() < 0.04:
        at_ms = sent_ms + rng.randrange(4 * DAY)
        wishes = {"unsubscribeAll": rng.random() < 0.8, "topicSubscriptionStatus": []}
        ends = {"contactList": "all", "timestamp": iso(at_ms), "newTopicPreferences": wishes}
        more.append((at_ms, {"eventType": "Subscription", "mail": mail, "subscription": ends}))
    for at_ms, original in life[1:]:
        event = original
        if "bounce" in event:
            event = {**event, "bounce": event["bounce"] | rng.choice(BOUNCES)}
            later_ms = at_ms + rng.randrange(2 * DAY)
            again = {**event, "bounce": event["bounce"] | rng.choice(BOUNCES)}
            more.append((later_ms, _at(again, iso(later_ms))))
        for body in ("open", "click"):
            if body in event and rng.random() < 0.5:
                event = {**event, body: event[body] | rng.choice(READERS)}
        more.append((at_ms, event))
    tagged = [life[0], *sorted(more, key=lambda each: each[0])]
    if campaign is not None:
        tagged = [(at_ms, _tagged(event, "campaign", campaign)) for at_ms, event in tagged]
    if rng.random() < 0.3:
        isp = rng.choice(ISPS)
        tag = SCOPE_TAGS["isp"]
        tagged = [
            (at_ms, _tagged(event, tag, isp) if event["eventType"] in ISP_TOLD_BY else event)
            for at_ms, event in tagged
        ]
    return tagged


ISP_TOLD_BY = {"Delivery", "Bounce", "Complaint", "DeliveryDelay"}
"""The types of the events that name the receiving side."""


def _tagged(event: Event, tag: str, value: str) -> Event:
    mail = event["mail"]
    return {**event, "mail": {**mail, "tags": {**mail["tags"], tag: [value]}}}


def _weights() -> Iterator[int]:
    """One big tenant, a few of some size, many small ones."""
    yield from (40, 12, 12, 6, 6)
    while True:
        yield 2


def _letters(rng: Random, tenant: str) -> list[Letter]:
    """A tenant's kinds of mail: some without a sequence, a template or both."""
    sequences, templates = rng.sample(NAMES, 3), rng.sample(NAMES, 4)
    pairs = [(rng.choice([*sequences, None]), rng.choice([*templates, ""])) for _ in range(8)]
    names = [{"tenant": tenant, "sequence": sequence, "template": template} for sequence, template in pairs]
    tags = [{name: value for name, value in each.items() if value} for each in names]
    return [Letter(tenant, "shop.example", "About your order", each, FATE) for each in tags]


def _record(event: Event, time_ms: int) -> Outgoing:
    message_id: str = event.get("detail", event)["mail"]["messageId"]
    return Outgoing(message_id.encode(), json.dumps(event, ensure_ascii=False).encode(), time_ms)


def _at(event: Event, when: str) -> Event:
    """The event with another time of its own (none is moved for a Send: it has none)."""
    moved = deepcopy(event)
    kind = moved["eventType"]
    body = moved.get(kind[:1].lower() + kind[1:])
    if body and "timestamp" in body:
        body["timestamp"] = when
    return moved


LISTS = {
    "Bounce": ("bounce", "bouncedRecipients"),
    "Complaint": ("complaint", "complainedRecipients"),
    "DeliveryDelay": ("deliveryDelay", "delayedRecipients"),
}
"""By type the objects in which addresses stand, and in which list."""


def _unruly(rng: Random, life: list[tuple[int, Event]], sent_ms: int) -> Iterator[tuple[int, Event]]:
    """The life of a mail as it may come all the same."""
    to_all = ["first@mailbox.example", "second@mailbox.example", "third@mailbox.example"]
    many = rng.random() < 0.3
    for at_ms, original in life:
        event = original
        kind = event["eventType"]
        if many:  # one event for all, one of them named twice
            event = deepcopy(event)
            event["mail"]["destination"] = to_all
            people = [*to_all, to_all[0]]
            if kind == "Delivery":
                event["delivery"]["recipients"] = people
            elif kind in LISTS:
                body, word = LISTS[kind]
                event[body][word] = [{"emailAddress": one} for one in people]
        yield at_ms, event
        match rng.randrange(6):
            case 0:  # reported again, earlier: the count moves
                yield at_ms, _at(event, iso(at_ms - rng.randrange(3 * DAY)))
            case 1:  # reported again, later: the count stays
                yield at_ms, _at(event, iso(at_ms + rng.randrange(18 * HOUR)))
            case 2:  # a clock that is wrong by hours, days, decades: the hour of the send
                yield (
                    at_ms,
                    _at(event, iso(rng.choice((sent_ms - 1, sent_ms - 2 * HOUR, sent_ms - 9 * DAY, 0)))),
                )
            case 3:  # the same instant, written in another way
                yield at_ms, _at(event, _written(rng, at_ms))
            case 4:  # reported by EventBridge too
                yield at_ms, {"version": "0", "detail-type": f"Email {kind}", "detail": event}
            case _:  # reported in the older format too, with tags and without
                older = {"notificationType" if k == "eventType" else k: v for k, v in event.items()}
                yield at_ms, older
                untagged = {k: v for k, v in older["mail"].items() if k != "tags"}
                yield at_ms, {**older, "mail": untagged}


def _written(rng: Random, ms: int) -> str:
    utc = iso(ms)[:-1]
    east, west = iso(ms + 330 * MINUTE)[:-1], iso(ms - 7 * HOUR)[:-1]
    return rng.choice(
        (
            f"{utc}+00:00",
            f"{utc}999Z",
            f"{east}+05:30",
            f"{west}-0700",
            f"{west.replace('T', ' ')} -0700",
            f"{utc[:19]}Z",
        )
    )


def _uncounted(rng: Random, letter: Letter, now_ms: int) -> Iterator[Outgoing]:
    """Each of the reasons not to count, and beside each bound the last time that does count."""
    sent_ms = now_ms - OLDEST_SEND
    send = next(event for _, event in life_of_a_mail(rng, letter, sent_ms))
    mail = send["mail"]

    def opened(when_ms: int, record_ms: int, sent: int = sent_ms, **more: object) -> Outgoing:
        about = {**mail, "timestamp": iso(sent), **more}
        return _record({"eventType": "Open", "mail": about, "open": {"timestamp": iso(when_ms)}}, record_ms)

    def delivered(when_ms: int, record_ms: int, sent: int, **more: object) -> Outgoing:
        about = {**mail, "timestamp": iso(sent), **more}
        kind, body, word, person = rng.choice(
            (
                ("Delivery", "delivery", "recipients", "a@x"),
                ("DeliveryDelay", "deliveryDelay", "delayedRecipients", {"emailAddress": "a@x"}),
            )
        )
        body_of = {"timestamp": iso(when_ms), word: [person]}
        return _record({"eventType": kind, "mail": about, body: body_of}, record_ms)

    def sent_at(sent: int, record_ms: int, **more: object) -> Outgoing:
        kind = rng.choice(("Send", "Reject", "Rendering Failure"))
        about = {**mail, "timestamp": iso(sent), **more}
        return _record({"eventType": kind, "mail": about, "send": {}}, record_ms)

    long_ago = now_ms - LONGEST - 2 * DAY
    some_ago = now_ms - SHORT_LONGEST - 2 * DAY
    too_late = {
        "messageId": mail["messageId"] + "-late",
        "tags": {**mail["tags"], "template": [NEVER_COUNTED]},
    }
    yield opened(long_ago + LONGEST, now_ms, long_ago)
    yield opened(long_ago + LONGEST + 1, now_ms, long_ago, **too_late)
    yield opened(now_ms - STALE, now_ms, now_ms - STALE)
    yield opened(now_ms - STALE - 1, now_ms, now_ms - STALE - 1, **too_late)
    yield delivered(some_ago + SHORT_LONGEST, now_ms, some_ago)
    yield delivered(some_ago + SHORT_LONGEST + 1, now_ms, some_ago, **too_late)
    yield delivered(now_ms - SHORT_STALE, now_ms, now_ms - SHORT_STALE)
    yield delivered(now_ms - SHORT_STALE - 1, now_ms, now_ms - SHORT_STALE - 1, **too_late)
    yield sent_at(now_ms - SHORT_STALE, now_ms)
    yield sent_at(now_ms - SHORT_STALE - 1, now_ms, **too_late)
    yield opened(sent_ms + 2 * DAY, sent_ms + DAY)
    yield opened(sent_ms + 2 * DAY + 1, sent_ms + DAY, messageId=mail["messageId"] + "-future")
    yield opened(sent_ms, sent_ms, tags={})
    yield opened(sent_ms, sent_ms, tags={**mail["tags"], "tenant": [""]})
    yield opened(sent_ms, sent_ms, tags={**mail["tags"], "sequence": "no-list"})
    yield opened(sent_ms, sent_ms, tags={**mail["tags"], "template": ["y" * 256]})
    yield opened(sent_ms, sent_ms, tags={**mail["tags"], "campaign": {}})
    yield _record(_at(send | {"eventType": "Delivery", "delivery": {"timestamp": ""}}, "yesterday"), sent_ms)
    yield _record({"eventType": "Reject", "mail": {**mail, "destination": []}}, sent_ms)
    yield _record({"eventType": "Subscription", "mail": mail, "subscription": {}}, sent_ms)
    taken_back = {"timestamp": iso(sent_ms), "complaintFeedbackType": "not-spam", "complainedRecipients": []}
    yield _record({"eventType": "Complaint", "mail": mail, "complaint": taken_back}, sent_ms)
    yield Outgoing(mail["messageId"].encode(), None, sent_ms)
    yield Outgoing(None, b"", sent_ms)
    yield Outgoing(b"\xff\x00key", b'{"eventType": "Send", "mail": ', sent_ms)
