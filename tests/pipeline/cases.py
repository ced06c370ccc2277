"""Odd records one by one, and by hand what becomes of each: the law of reading as examples.

Outcomes are the metric's words: `counted`, a reason to ignore, or the reason of a dead letter. What counts
says besides which numbers appear when. Long because it is one table of cases.
"""

import json
from dataclasses import dataclass
from typing import Any

from deploy.traffic import AGENTS, DAY, HOUR, MINUTE, SECOND, iso

TENANT = "odd:{1}/ü"
ANCIENT = "ancient"
"""The tenant of mail sent around 1970: no hourly answer reaches from there to today."""
PERSON = "somebody@mailbox.example"
OPENED = ("opened", "opened_human")


@dataclass(frozen=True)
class Case:
    """One record, its own time (ms), its outcome and, where it counts, the numbers that it adds to.

    at_ms: when its facts were. number: how many of each field.
    """

    name: str
    value: bytes | None
    outcome: str
    time_ms: int
    at_ms: int = 0
    fields: tuple[str, ...] = ("sent",)
    number: int = 1
    tenant: str = TENANT
    template: str = ""
    by_webhook: bool = True
    """Whether it means the same at the time when it is posted, and fits an SNS message."""


class Cases:
    """The cases of mail that was sent at about `sent_ms` (ms since 1970)."""

    def __init__(self, sent_ms: int) -> None:
        self.sent_ms = sent_ms - sent_ms % HOUR + 20 * MINUTE + 30 * SECOND + 123
        self.all: list[Case] = []
        self._raw()
        self._shapes()
        self._tags()
        self._ignored()
        self._times()
        self._bounds()
        self._people()
        self._bounces()
        self._readers()
        self._other_details()
        self._big()

    # How a case is made

    def mail(self, name: str, **more: Any) -> dict[str, Any]:
        tags = {"tenant": [TENANT], "template": [name]}
        mail = {"timestamp": iso(self.sent_ms), "messageId": f"id of {name}", "destination": [PERSON]}
        return {**mail, "tags": tags, **more}

    def send(self, name: str, **more: Any) -> dict[str, Any]:
        return {"eventType": "Send", "mail": self.mail(name, **more), "send": {}}

    def opened(self, name: str, when: Any, **more: Any) -> dict[str, Any]:
        return {"eventType": "Open", "mail": self.mail(name, **more), "open": {"timestamp": when}}

    def bad(self, name: str, outcome: str, value: Any, **more: Any) -> None:
        """A case that counts for nothing. value: bytes, none, or what is written as JSON. more: of `Case`."""
        more = {"time_ms": self.sent_ms + 5 * SECOND, **more}
        self.all.append(Case(name, _bytes(value), outcome, **more))

    def good(self, name: str, value: Any, **more: Any) -> None:
        """A case that counts, at the time of the send if not said otherwise."""
        self.bad(name, "counted", value, **{"at_ms": self.sent_ms, "template": name, **more})

    # The cases

    def _raw(self) -> None:
        for name, value in {
            "null": None,
            "empty": b"",
            "space": b" ",
            "words": b"Successfully validated something.",
            "cut off": b'{"eventType": "Send", "mail": {"mess',
            "an array": b"[]",
            "a string": b'"eventType"',
            "a number": b"5",
            "null as JSON": b"null",
            "a byte order mark": b"\xef\xbb\xbf{}",
            "UTF-16": json.dumps(self.send("UTF-16")).encode("utf-16"),
            "Latin-1": '{"eventType": "Send", "x": "é"}'.encode("latin-1"),
            "NaN": b'{"eventType": "Send", "x": NaN}',
            "Infinity": b'{"eventType": "Send", "x": -Infinity}',
            "a lone surrogate, escaped": b'{"eventType": "Send", "x": "\\ud83d"}',
            "a lone surrogate, encoded": b'{"eventType": "Send", "x": "\xed\xa0\xbd"}',
            "a bare NUL": b'{"eventType": "Send", "x": "\x00"}',
            "NULs": b"\x00" * 1000,
            "two objects": b"{}{}",
            "a comma too much": b'{"eventType": "Send",}',
            "nested arrays": b'{"eventType": "Send", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            "nested arrays, open": b"[" * 100_000,
            "nested objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        }.items():
            self.bad(name, "unreadable", value)

    def _shapes(self) -> None:
        for kind in (None, 5, True, ["Send"], {"Send": 1}):
            self.bad(f"type {kind!r}", "unreadable", {**self.send("x"), "eventType": kind})
        self.bad(
            "both types, the newer null", "unreadable", {"eventType": None, "notificationType": "Bounce"}
        )
        mail: Any
        for mail in (None, [], "mail", 1):
            self.bad(f"mail {mail!r}", "unreadable", {"eventType": "Send", "mail": mail})
        self.bad("no mail", "unreadable", {"eventType": "Open", "open": {"timestamp": iso(self.sent_ms)}})
        for message_id in (None, "", 12, ["id"]):
            value = self.send("x", messageId=message_id)
            self.bad(f"message id {message_id!r}", "unreadable", value)
        self.good("an unknown field", {**self.send("an unknown field"), "later": [{"a": 1.5e300}]})
        self.good("EventBridge", {"source": "aws.ses", "detail": self.send("EventBridge")})
        both = {**self.send("a detail beside a type"), "detail": self.send("not this one")}
        self.good("a detail beside a type", both)

    def _tags(self) -> None:
        tags: Any
        tag: Any
        for tags in (None, [], "", 5):
            self.bad(f"tags {tags!r}", "bad_tag", self.send("x", tags=tags))
        for tag in (None, "text", 5, {}, [1], [None], [["a"]], ["a", 5], ["é" * 128], ["x" * 10_000]):
            self.bad(f"tenant {tag!r:.30}", "bad_tag", self.send("x", tags={"tenant": tag}))
            tags = {"tenant": [TENANT], "sequence": tag}
            self.bad(f"sequence {tag!r:.30}", "bad_tag", self.send("x", tags=tags))
        self.bad("a bad tag and no tenant", "bad_tag", self.send("x", tags={"sequence": None}))
        without = {k: v for k, v in self.mail("x").items() if k != "tags"}
        self.bad("no tags", "no_tenant", {"eventType": "Send", "mail": without})
        for empty in ([], "", [""], ["", "second"]):
            self.bad(f"tenant {empty!r}", "no_tenant", self.send("x", tags={"tenant": empty}))
            name = f"sequence {empty!r}"
            tags = {"tenant": [TENANT], "template": [name], "sequence": empty}
            self.good(name, self.send(name, tags=tags))
        longest = "é" * 127
        self.good("the longest template", self.send(longest), template=longest)
        for name in ("a:b", "{x}", "}{", "🎈:{🎈}", "nul\x00", "line\nend", "%3A"):
            self.good(f"template and id {name!r}", self.send(name, messageId=name), template=name)
        self.good("a long message id", self.send("a long message id", messageId="m:{}é" * 2000))

    def _ignored(self) -> None:
        for kind in ("Subscription", "RenderingFailure", "Rendering failure", "Received", "send", ""):
            self.bad(f"type {kind}", "ignored", {"eventType": kind, "mail": None})
        self.bad("no type", "ignored", {"mail": self.mail("x")})
        self.bad("an empty object", "ignored", {})
        self.bad("a detail that is no object", "ignored", {"detail": "Send"})
        self.bad("two envelopes", "ignored", {"detail": {"detail": self.send("x")}})
        self.bad(
            "taken back",
            "ignored",
            {"eventType": "Complaint", "complaint": {"complaintFeedbackType": "not-spam"}},
        )
        about = {k: v for k, v in self.mail("x").items() if k != "tags"}
        body = {"timestamp": iso(self.sent_ms), "recipients": [PERSON]}
        older = {"notificationType": "Delivery", "mail": about, "delivery": body}
        self.bad("an older notification", "untagged", older)
        self.bad(
            "an older one with a bad tag", "bad_tag", {**older, "mail": {**about, "tags": {"tenant": 1}}}
        )
        name = "an older one with tags"
        self.good(name, {**older, "mail": self.mail(name)}, fields=("delivered",))

    def _times(self) -> None:
        utc = iso(self.sent_ms)[:-1]
        day, clock = utc[:10], utc[11:]
        for when in (
            *(
                None,
                5,
                "",
                "yesterday",
                utc,
                day,
                f"{day}Z",
                f"{utc[:16]}Z",
                f"{utc[:19]}.Z",
                f"{utc[:19]},123Z",
            ),
            *(f"{utc}+05", f"{utc}+5:30", f"{utc}+24:00", f"{utc}+00:60", f"{utc}--0:00"),
            *(f"{utc}  Z", f"{utc}Z ", f" {utc}Z", f"{utc}z", f"{day}t{clock}Z", f"{day}_{clock}Z"),
            *(f"{day}T24:00:00Z", f"{day}T23:60:00Z", f"{day}T23:59:60Z", f"{day.replace('-', '')}T100000Z"),
            *("2025-02-29T10:00:00Z", "2025-13-01T10:00:00Z", "0000-01-01T10:00:00Z", "٢025-01-01T10:00:00Z"),
        ):
            self.bad(f"open at {when!r}", "bad_time", self.opened("x", when))
            self.bad(f"sent at {when!r}", "bad_time", self.send("x", timestamp=when))
        self.bad(
            "a body without a time", "bad_time", {"eventType": "Click", "mail": self.mail("x"), "click": {}}
        )
        self.bad("no body", "bad_time", {"eventType": "Click", "mail": self.mail("x")})
        self.bad("a bad time before no recipients", "bad_time", self.send("x", timestamp="", destination=[]))
        east, west = iso(self.sent_ms + 330 * MINUTE)[:-1], iso(self.sent_ms - 8 * HOUR)[:-1]
        for when in (
            f"{utc}+00:00",
            f"{utc}-0000",
            f"{utc} Z",
            f"{day} {clock}Z",
            f"{utc[:19]}Z",
            f"{east}+05:30",
            f"{east} +0530",
            f"{west}-08:00",
        ):
            name = f"opened at {when}"
            self.good(name, self.opened(name, when), fields=OPENED)
        hour_ms = self.sent_ms - self.sent_ms % HOUR
        for clock, after in {"29:59.9999999999": 29, "30:00": 30, "45:00.000": 45, "59:59.9999": 59}.items():
            name = f"opened at {clock} of the hour"
            at_ms = hour_ms + after * MINUTE
            self.good(name, self.opened(name, f"{utc[:13]}:{clock}Z"), fields=OPENED, at_ms=at_ms)
        before = "opened before its send"
        self.good(before, self.opened(before, "1970-01-01T00:00:00Z"), fields=OPENED)
        old: dict[str, Any] = {"tenant": ANCIENT, "by_webhook": False}
        tags = {"tenant": [ANCIENT], "template": ["1970"]}
        event = self.send("1970", timestamp="1970-01-01T00:59:59Z", tags=tags)
        self.good("1970", event, at_ms=59 * MINUTE, time_ms=HOUR, **old)
        tags = {"tenant": [ANCIENT], "template": ["1969"]}
        event = self.opened("1969", "1970-01-02T00:00:00Z", timestamp="1969-12-31T23:30:00Z", tags=tags)
        self.good("1969", event, at_ms=DAY, fields=OPENED, time_ms=DAY + HOUR, **old)

    def _bounds(self) -> None:
        sent = self.sent_ms

        def bound(name: str, outcome: str, after: int, record: int) -> None:
            """An open and the record's own time, both in ms after the send."""
            timed(name, outcome, self.opened(name, iso(sent + after)), OPENED, (after, record))

        def timed(
            name: str, outcome: str, event: Any, fields: tuple[str, ...], when: tuple[int, int]
        ) -> None:
            after, record = when
            more: dict[str, Any] = {"time_ms": sent + record, "by_webhook": False}
            if outcome == "counted":
                self.good(name, event, at_ms=sent + after, fields=fields, **more)
            else:
                self.bad(name, outcome, event, **more)

        bound("at the horizon", "counted", 62 * DAY, 62 * DAY)
        bound("past the horizon", "late", 62 * DAY + 1, 62 * DAY)
        bound("nearly stale", "counted", HOUR, 78 * DAY)
        bound("stale", "stale", HOUR, 78 * DAY + 1)
        bound("a clock a day ahead", "counted", 2 * DAY, DAY)
        bound("a clock too far ahead", "future", 2 * DAY + 1, DAY)
        bound("stale and in the future", "stale", 90 * DAY, 79 * DAY)
        bound("in the future and late", "future", 70 * DAY, 60 * DAY)

        delays = ("DeliveryDelay", "deliveryDelay", "delayedRecipients", "delayed")
        bounces = ("Bounce", "bounce", "bouncedRecipients", "bounced_undetermined")
        unsubscribed = ("Subscription", "subscription", "contactList", "unsubscribed")
        for horizon, stale, (kind, body, people, field) in (
            (3, 18, ("Delivery", "delivery", "recipients", "delivered")),
            (3, 18, delays),
            (62, 78, bounces),
            (62, 78, ("Complaint", "complaint", "complainedRecipients", "complained")),
            (62, 78, unsubscribed),
        ):
            fields = ("bounced", field) if kind == "Bounce" else (field,)
            for words, outcome, after, record in (
                ("at its horizon", "counted", horizon * DAY, horizon * DAY),
                ("past its horizon", "late", horizon * DAY + 1, horizon * DAY),
                ("nearly stale", "counted", HOUR, stale * DAY),
                ("stale", "stale", HOUR, stale * DAY + 1),
            ):
                name = f"{kind} {words}"
                listed = [PERSON if kind == "Delivery" else {"emailAddress": PERSON}]
                about = {
                    "timestamp": iso(sent + after),
                    people: listed,
                    "newTopicPreferences": {"unsubscribeAll": True},
                }
                event = {"eventType": kind, "mail": self.mail(name), body: about}
                timed(name, outcome, event, fields, (after, record))
        for kind, field in {
            "Send": "sent",
            "Reject": "rejected",
            "Rendering Failure": "rendering_failed",
        }.items():
            for words, outcome, record in (
                ("nearly stale", "counted", 18 * DAY),
                ("stale", "stale", 18 * DAY + 1),
            ):
                name = f"{kind} {words}"
                timed(name, outcome, {**self.send(name), "eventType": kind}, (field,), (0, record))
        self.bad("sent in the future", "future", self.send("x"), time_ms=sent - DAY - 1, by_webhook=False)
        self.bad("the year 9999", "future", self.opened("x", "9999-12-31T23:59:59Z"))
        late: dict[str, Any] = {"time_ms": sent + 79 * DAY, "by_webhook": False}
        self.bad("stale and without recipients", "stale", self.send("x", destination=None), **late)

    def _people(self) -> None:
        people: Any
        for people in (None, PERSON, {}, [None], [PERSON, 5], [[PERSON]]):
            self.bad(f"destination {people!r}", "unreadable", self.send("x", destination=people))
        for people in (None, PERSON, [PERSON], [{}], [{"emailAddress": None}], [{"EmailAddress": PERSON}]):
            bounce = {"timestamp": iso(self.sent_ms), "bouncedRecipients": people}
            event = {"eventType": "Bounce", "mail": self.mail("x"), "bounce": bounce}
            self.bad(f"bounced {people!r}", "unreadable", event)
        self.bad("nobody", "empty", self.send("x", destination=[]))
        name = "three people, one twice"
        self.good(name, self.send(name, destination=["a@x", "A@x", "a@x", ""]), number=3)
        name = "a complaint of two"
        complaint = {
            "timestamp": iso(self.sent_ms + 2 * HOUR),
            "complainedRecipients": [{"emailAddress": PERSON}, {"emailAddress": "b@x", "more": 1}],
            "complaintFeedbackType": "abuse",
        }
        event = {"eventType": "Complaint", "mail": self.mail(name), "complaint": complaint}
        at_ms = self.sent_ms + 2 * HOUR
        self.good(name, event, fields=("complained",), number=2, at_ms=at_ms)

    def _bounces(self) -> None:
        """Each type and subtype, odd ones too, and which of the four kinds of bounce it is."""
        absent = object()
        subtype: Any
        kind: Any
        for kind, subtype, field in (
            ("Permanent", "General", "bounced_hard"),
            ("Permanent", "NoEmail", "bounced_hard"),
            ("Permanent", "Suppressed", "bounced_hard"),
            ("Permanent", absent, "bounced_hard"),
            ("Permanent", None, "bounced_hard"),
            ("Permanent", ["OnAccountSuppressionList"], "bounced_hard"),
            ("Permanent", "onaccountsuppressionlist", "bounced_hard"),
            ("Permanent", "OnAccountSuppressionList", "suppressed"),
            ("Permanent", "OnTenantSuppressionList", "suppressed"),
            ("Permanent", "EmailValidationSuppressed", "suppressed"),
            ("Permanent", "UnsubscribedRecipient", "suppressed"),
            ("Transient", "MailboxFull", "bounced_soft"),
            ("Transient", "OnAccountSuppressionList", "bounced_soft"),
            ("Transient", absent, "bounced_soft"),
            ("Undetermined", "Undetermined", "bounced_undetermined"),
            ("Undetermined", "OnTenantSuppressionList", "bounced_undetermined"),
            ("permanent", "General", "bounced_undetermined"),
            (absent, "General", "bounced_undetermined"),
            (absent, absent, "bounced_undetermined"),
            (None, None, "bounced_undetermined"),
            (1, {}, "bounced_undetermined"),
            (["Permanent"], "General", "bounced_undetermined"),
            ({"Transient": 1}, "General", "bounced_undetermined"),
        ):
            words = ["absent" if value is absent else repr(value) for value in (kind, subtype)]
            name = f"bounce of {words[0]}, {words[1]}"
            said = {"bounceType": kind, "bounceSubType": subtype}
            bounce = {
                "timestamp": iso(self.sent_ms + 16 * MINUTE),
                "bouncedRecipients": [{"emailAddress": PERSON}, {"emailAddress": "b@x"}],
                **{key: value for key, value in said.items() if value is not absent},
            }
            event = {"eventType": "Bounce", "mail": self.mail(name), "bounce": bounce}
            at_ms = self.sent_ms + 16 * MINUTE
            self.good(name, event, fields=("bounced", field), number=2, at_ms=at_ms)

    def _readers(self) -> None:
        """Opens and clicks by people and by machines."""
        human = AGENTS[-1]
        apple, gmail = "Mozilla/5.0", "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
        said: dict[str, Any]
        for said, machine in (
            ({"isBotEvent": "Likely"}, True),
            ({"isBotEvent": "Likely", "userAgent": human}, True),
            ({"isBotEvent": "Unlikely", "userAgent": apple}, False),
            ({"isBotEvent": None, "userAgent": apple}, False),
            ({"isBotEvent": True, "userAgent": apple}, False),
            ({"isBotEvent": "likely", "userAgent": gmail}, False),
            ({"isBotEvent": ["Likely"]}, False),
            ({}, False),
            ({"userAgent": None}, False),
            ({"userAgent": [apple]}, False),
            ({"userAgent": ""}, False),
            ({"userAgent": human}, False),
            ({"userAgent": apple}, True),
            ({"userAgent": f"{apple} "}, False),
            ({"userAgent": f"{apple} (Windows NT 10.0)"}, False),
            ({"userAgent": f"{apple} (Windows NT 10.0) {gmail}"}, True),
            ({"userAgent": f"{gmail} and more"}, False),
            ({"userAgent": f"{apple} (Linux) HeadlessChrome/120.0.0.0 Safari/537.36"}, True),
            ({"userAgent": "Barracuda Sentinel (EE)"}, True),
            ({"userAgent": "Slackbot-LinkExpanding 1.0"}, True),
            ({"userAgent": "barracuda sentinel"}, False),
        ):
            for kind, field in {"Open": "opened", "Click": "clicked"}.items():
                name = f"{kind} by {json.dumps(said)}"
                body = {"timestamp": iso(self.sent_ms), **said}
                event = {"eventType": kind, "mail": self.mail(name), kind.lower(): body}
                self.good(name, event, fields=(field,) if machine else (field, f"{field}_human"))

    def _other_details(self) -> None:
        """Delays, rejects, failures and subscriptions, whole and broken."""
        name = "a delay of two"
        people: Any = [{"emailAddress": PERSON, "status": "4.4.1"}, {"emailAddress": "b@x"}]
        delay: Any = {"timestamp": iso(self.sent_ms + HOUR), "delayedRecipients": people}
        event: Any = {"eventType": "DeliveryDelay", "mail": self.mail(name), "deliveryDelay": delay}
        self.good(name, event, fields=("delayed",), number=2, at_ms=self.sent_ms + HOUR)
        for people in (None, PERSON, [PERSON], [{}], [{"emailAddress": None}]):
            event = {**event, "deliveryDelay": {**delay, "delayedRecipients": people}}
            self.bad(f"delayed {people!r}", "unreadable", event)
        event = {**event, "deliveryDelay": {**delay, "delayedRecipients": []}}
        self.bad("nobody delayed", "empty", event)
        for delay in (None, [], "", {}, {"timestamp": None}):
            self.bad(f"delay {delay!r}", "bad_time", {**event, "deliveryDelay": delay})
        for kind, field in {"Reject": "rejected", "Rendering Failure": "rendering_failed"}.items():
            name = f"{kind} of two"
            event = {**self.send(name, destination=[PERSON, "b@x", PERSON]), "eventType": kind}
            self.good(name, event, fields=(field,), number=2)
            self.bad(f"{kind} without a mail", "unreadable", {"eventType": kind, "mail": None})
            event = {**self.send("x", destination=None), "eventType": kind}
            self.bad(f"{kind} of {None!r}", "unreadable", event)
            self.bad(f"{kind} without tags", "no_tenant", {**self.send("x", tags={}), "eventType": kind})
        new: Any
        for new in (None, [], True, "true", {}, *({"unsubscribeAll": it} for it in (False, None, 1, "true"))):
            body = {"timestamp": iso(self.sent_ms), "newTopicPreferences": new}
            self.bad(
                f"a subscription to {new!r}",
                "ignored",
                {"eventType": "Subscription", "mail": None, "subscription": body},
            )
        name = "a subscription ended"
        body = {"timestamp": iso(self.sent_ms + DAY), "newTopicPreferences": {"unsubscribeAll": True}}
        event = {"eventType": "Subscription", "mail": self.mail(name), "subscription": body}
        self.good(name, event, fields=("unsubscribed",), at_ms=self.sent_ms + DAY)
        self.bad("a subscription without a mail", "unreadable", {**event, "mail": None})
        event = {**event, "subscription": {**body, "timestamp": "soon"}}
        self.bad("a subscription ended some time", "bad_time", event)

    def _big(self) -> None:
        size = 1_048_000
        big: dict[str, Any] = {"by_webhook": False}
        self.good("a string of 1 MB", {**self.send("a string of 1 MB"), "x": "ä" * (size // 2)}, **big)
        self.good("a message id of 1 MB", self.send("a message id of 1 MB", messageId="m" * size), **big)
        self.bad("a tenant of 1 MB", "bad_tag", self.send("x", tags={"tenant": ["t" * size]}), **big)
        self.bad("1 MB of nothing", "unreadable", b"\x00" * 1_048_576, **big)
        self.bad("a byte more", "too_large", b"\x00" * 1_048_577, **big)
        people = [f"{number}@mailbox.example" for number in range(5000)]
        most = people[:1000]
        self.good("1,000 people", self.send("1,000 people", destination=most), number=1000)
        self.bad("1,001 people", "too_large", self.send("x", destination=people[:1001]))
        self.bad("5,000 people", "too_large", self.send("x", destination=people), **big)
        self.bad("one person 1,001 times", "too_large", self.send("x", destination=[PERSON] * 1001))
        self.bad("5,000 people and a number", "unreadable", self.send("x", destination=[*people, 5]), **big)


def _bytes(value: Any) -> bytes | None:
    return (
        value if value is None or isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()
    )
