"""What SES reports of some tenants' mail: a pure, seeded stream of events; `deploy.disorder` is SNS's part.

No clock and no I/O: a seeded `random.Random` and the time come in, the same ones give the same stream.
The shapes are those of SES event publishing (developer guide, "Contents of event publishing"); who sends,
to whom and what about is made up. Used by the demo, and by tests and benchmarks that want plausible input.
Long because it has every type of event that SES has.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000

Event = dict[str, Any]


@dataclass(frozen=True)
class Sender:
    """A tenant and its mail. A template is either part of a sequence or sent alone (sequence none)."""

    tenant: str
    domain: str
    weight: int
    mail: tuple[tuple[str | None, str, str], ...]
    """Sequence, template and subject of each mail that it sends."""
    bounces: float
    complaints: float
    opens: float


SENDERS = (
    Sender(
        "harbor-books",
        "harbor-books.example",
        5,
        (
            ("welcome", "welcome-day-0", "Your reading list is ready"),
            ("welcome", "welcome-day-3", "Three books that others finished"),
            ("win-back", "win-back-coupon", "We kept your place at the window"),
            (None, "order-receipt", "Receipt for your order"),
        ),
        bounces=0.02,
        complaints=0.002,
        opens=0.55,
    ),
    Sender(
        "fjord-travel",
        "post.fjord-travel.example",
        3,
        (
            ("trip-countdown", "packing-list", "Seven days to go: what to pack"),
            ("trip-countdown", "boarding-times", "Tomorrow: your boarding times"),
            (None, "newsletter-autumn", "Autumn light in the north"),
        ),
        bounces=0.04,
        complaints=0.006,
        opens=0.4,
    ),
    Sender(
        "kiln-and-clay",
        "kiln-and-clay.example",
        1,
        (
            ("course-reminder", "course-reminder", "Your course begins on Thursday"),
            (None, "password-reset", "Set a new password"),
        ),
        bounces=0.01,
        complaints=0.0,
        opens=0.7,
    ),
)

MACHINES = (
    "Mozilla/5.0",
    "Mozilla/5.0 (compatible; Barracuda Sentinel)",
)
"""What fetches images and follows links without anybody looking."""

AGENTS = (
    *MACHINES,
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
)


@dataclass(frozen=True)
class TagNames:
    """The names of the message tags that carry tenant, sequence and template."""

    tenant: str = "tenant"
    sequence: str = "sequence"
    template: str = "template"


class Traffic:
    """The events of mail that is sent at a steady rate from `start_ms` on, each when it happens."""

    def __init__(
        self,
        rng: Random,
        start_ms: int,
        mails_per_s: float,
        *,
        senders: Sequence[Sender] = SENDERS,
        tags: TagNames | None = None,
    ) -> None:
        """Set the rate; `start_ms` is when the first mail is sent (ms since 1970, UTC)."""
        self._rng = rng
        self._next_mail_ms = float(start_ms)
        self._mails_per_s = mails_per_s
        self._senders = senders
        self._tags = tags or TagNames()
        self._to_come: list[tuple[int, int, Event]] = []
        self._made = 0

    def until(self, now_ms: int) -> Iterator[Event]:
        """The events that have happened up to `now_ms` and were not given yet, in the order of their time.

        None has a time after `now_ms`; what a mail that was sent brings about later comes later.
        """
        while True:
            if self._to_come and self._to_come[0][0] <= min(now_ms, self._next_mail_ms):
                yield heapq.heappop(self._to_come)[2]
            elif self._next_mail_ms <= now_ms:
                self._send(int(self._next_mail_ms))
                self._next_mail_ms += self._rng.expovariate(self._mails_per_s) * SECOND
            else:
                return

    def _send(self, sent_ms: int) -> None:
        sender = self._rng.choices(self._senders, [sender.weight for sender in self._senders])[0]
        for at_ms, event in life_of_a_mail(self._rng, sender, sent_ms, self._tags):
            self._made += 1
            heapq.heappush(self._to_come, (at_ms, self._made, event))


def life_of_a_mail(rng: Random, sender: Sender, sent_ms: int, tags: TagNames) -> list[tuple[int, Event]]:
    """What SES reports of one mail, from the send to the last click, with the time of each event (ms).

    One mail in twenty has two recipients: one Send for both, a Delivery or Bounce for each. A few are never
    sent on, as their template cannot be rendered or a virus was found.
    """
    sequence, template, subject = rng.choice(sender.mail)
    people = [f"reader-{rng.randrange(1_000_000):06}@mailbox-{rng.randrange(40)}.example"]
    if rng.random() < 0.05:
        people.append(f"copy-{rng.randrange(1_000_000):06}@mailbox-{rng.randrange(40)}.example")
    mail = _mail(rng, sender, subject, people, sent_ms)
    names = {tags.tenant: sender.tenant, tags.sequence: sequence, tags.template: template}
    mail["tags"] |= {name: [value] for name, value in names.items() if value}
    if rng.random() < 0.004:
        return [(sent_ms, _rendering_failure(mail, template))]
    events = [(sent_ms, {"eventType": "Send", "mail": mail, "send": {}})]
    if rng.random() < 0.004:
        return [
            *events,
            (sent_ms, {"eventType": "Reject", "mail": mail, "reject": {"reason": "Bad content"}}),
        ]
    read_from = None
    for person in people:
        at_ms = sent_ms + rng.randint(400, 9 * SECOND)
        if rng.random() < 0.03:
            events.append(_delay(mail, person, at_ms))
            at_ms += rng.randint(2 * MINUTE, 3 * HOUR)
        if rng.random() < sender.bounces:
            events.append(_bounce(rng, mail, person, at_ms))
            continue
        events.append(_delivery(rng, mail, person, sent_ms, at_ms))
        read_from = at_ms if read_from is None else min(read_from, at_ms)
        if rng.random() < sender.complaints:
            events.append(_complaint(rng, mail, person, at_ms + rng.randint(MINUTE, DAY)))
    if read_from is not None and rng.random() < sender.opens:
        events += _reading(rng, sender, mail, read_from)
    return events


def _reading(rng: Random, sender: Sender, mail: Event, delivered_ms: int) -> list[tuple[int, Event]]:
    """One or several opens, soon or days later, each perhaps followed by clicks, the last by a farewell."""
    events = []
    at_ms = delivered_ms
    opened = {key: value for key, value in mail.items() if key != "sourceArn"}  # SES leaves it out here
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        at_ms += int(rng.choice((20 * SECOND, 10 * MINUTE, 9 * HOUR)) * rng.expovariate(1))
        agent, address = rng.choice(AGENTS), f"198.51.100.{rng.randrange(256)}"
        bot = "Likely" if agent in MACHINES else "Unlikely"
        details = {"ipAddress": address, "timestamp": iso(at_ms), "userAgent": agent, "isBotEvent": bot}
        events.append((at_ms, {"eventType": "Open", "mail": opened, "open": details}))
        if rng.random() < 0.25:
            clicked_ms = at_ms + rng.randint(2 * SECOND, 2 * MINUTE)
            link = f"https://www.{sender.domain}/go/{rng.randrange(400)}?from=mail"
            click = {**details, "timestamp": iso(clicked_ms), "link": link, "linkTags": None}
            events.append((clicked_ms, {"eventType": "Click", "mail": opened, "click": click}))
    if rng.random() < 0.02:
        events.append(_subscription(mail, at_ms + MINUTE))
    return events


def _mail(rng: Random, sender: Sender, subject: str, people: list[str], sent_ms: int) -> Event:
    message_id = f"{rng.getrandbits(64):016x}-{UUID(int=rng.getrandbits(128), version=4)}-000000"
    source = f"{sender.tenant} <hello@{sender.domain}>"
    headers = {
        "From": source,
        "To": ", ".join(people),
        "Subject": subject,
        "MIME-Version": "1.0",
        "Content-Type": f'multipart/alternative; boundary="part-{rng.getrandbits(48):012x}"',
        "List-Unsubscribe": f"<https://www.{sender.domain}/leave/{rng.getrandbits(64):016x}>",
        "X-SES-CONFIGURATION-SET": "product-mail",
    }
    return {
        "timestamp": iso(sent_ms),
        "source": source,
        "sourceArn": f"arn:aws:ses:eu-central-1:000000000000:identity/{sender.domain}",
        "sendingAccountId": "000000000000",
        "messageId": message_id,
        "destination": people,
        "headersTruncated": False,
        "headers": [{"name": name, "value": value} for name, value in headers.items()],
        "commonHeaders": {"from": [source], "to": people, "messageId": message_id, "subject": subject},
        "tags": {
            "ses:operation": ["SendEmail"],
            "ses:configuration-set": ["product-mail"],
            "ses:source-ip": ["203.0.113.25"],
            "ses:from-domain": [sender.domain],
            "ses:caller-identity": ["mailer"],
        },
    }


def _delivery(rng: Random, mail: Event, person: str, sent_ms: int, at_ms: int) -> tuple[int, Event]:
    tags = {**mail["tags"], "ses:outgoing-ip": [f"203.0.113.{rng.randrange(64, 72)}"]}
    delivery = {
        "timestamp": iso(at_ms),
        "processingTimeMillis": at_ms - sent_ms,
        "recipients": [person],
        "smtpResponse": f"250 2.0.0 OK {rng.getrandbits(40):010x}",
        "reportingMTA": "b224-12.smtp-out.eu-central-1.amazonses.com",
    }
    return at_ms, {"eventType": "Delivery", "mail": {**mail, "tags": tags}, "delivery": delivery}


def _bounce(rng: Random, mail: Event, person: str, at_ms: int) -> tuple[int, Event]:
    kind, subtype, status, words = rng.choice(
        (
            ("Permanent", "General", "5.1.1", "smtp; 550 5.1.1 no such mailbox"),
            ("Permanent", "OnAccountSuppressionList", "5.1.1", "the address is on the suppression list"),
            ("Transient", "MailboxFull", "4.2.2", "smtp; 452 4.2.2 mailbox full"),
            ("Undetermined", "Undetermined", "5.0.0", "smtp; 550 refused"),
        )
    )
    recipient = {"emailAddress": person, "action": "failed", "status": status, "diagnosticCode": words}
    bounce = {
        "bounceType": kind,
        "bounceSubType": subtype,
        "bouncedRecipients": [recipient],
        "timestamp": iso(at_ms),
        "feedbackId": f"{rng.getrandbits(64):016x}-000000",
        "reportingMTA": "dns; b224-12.smtp-out.eu-central-1.amazonses.com",
    }
    return at_ms, {"eventType": "Bounce", "bounce": bounce, "mail": mail}


def _complaint(rng: Random, mail: Event, person: str, at_ms: int) -> tuple[int, Event]:
    whole_second_ms = at_ms - at_ms % SECOND  # a mailbox provider's clock knows no fractions
    complaint = {
        "complainedRecipients": [{"emailAddress": person}],
        "timestamp": iso(whole_second_ms),
        "feedbackId": f"{rng.getrandbits(64):016x}-000000",
        "complaintSubType": None,
        "userAgent": "Mailbox-Feedback/1.0",
        "complaintFeedbackType": "abuse",
        "arrivalDate": iso(whole_second_ms),
    }
    return at_ms, {"eventType": "Complaint", "complaint": complaint, "mail": mail}


def _delay(mail: Event, person: str, at_ms: int) -> tuple[int, Event]:
    recipient = {"emailAddress": person, "status": "4.4.1", "diagnosticCode": "smtp; 421 4.4.1 no answer"}
    delay = {
        "timestamp": iso(at_ms),
        "delayType": "TransientCommunicationFailure",
        "expirationTime": iso(at_ms + 14 * HOUR),
        "delayedRecipients": [recipient],
    }
    return at_ms, {"eventType": "DeliveryDelay", "mail": mail, "deliveryDelay": delay}


def _rendering_failure(mail: Event, template: str) -> Event:
    about = {key: value for key, value in mail.items() if key not in {"headers", "commonHeaders"}}
    words = "Attribute 'name' is not present in the rendering data."
    failure = {"templateName": template, "errorMessage": words}
    return {"eventType": "Rendering Failure", "mail": about, "failure": failure}


def _subscription(mail: Event, at_ms: int) -> tuple[int, Event]:
    """Somebody leaves the list of contacts, and wants no mail any more."""

    def wishes(unsubscribed: bool) -> Event:
        status = "OptOut" if unsubscribed else "OptIn"
        topics = [{"topicName": "news", "subscriptionStatus": status}]
        return {"unsubscribeAll": unsubscribed, "topicSubscriptionStatus": topics}

    subscription = {
        "contactList": "readers",
        "timestamp": iso(at_ms),
        "source": "UnsubscribeHeader",
        "newTopicPreferences": wishes(True),
        "oldTopicPreferences": wishes(False),
    }
    return at_ms, {"eventType": "Subscription", "mail": mail, "subscription": subscription}


def iso(ms: int) -> str:
    """A time (ms since 1970) as SES writes it: `2025-09-01T08:30:00.125Z`."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
