"""What SES publishes of a mail, as JSON: one function for each type of event.

No clock, no I/O, no decision: chance and times come in. The shapes are those of SES event publishing
(developer guide, "Contents of event publishing"). `deploy.letters` decides what happens to a mail.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any, Final
from uuid import UUID

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000

Event = dict[str, Any]

MTA: Final = "b224-12.smtp-out.eu-central-1.amazonses.com"

BOUNCES: Final[Mapping[str, tuple[str, str, str, str]]] = {
    "hard": ("Permanent", "General", "5.1.1", "smtp; 550 5.1.1 no such mailbox"),
    "suppressed": (
        "Permanent",
        "OnAccountSuppressionList",
        "5.1.1",
        "the address is on the suppression list",
    ),
    "soft": ("Transient", "MailboxFull", "4.2.2", "smtp; 452 4.2.2 mailbox full"),
    "undetermined": ("Undetermined", "Undetermined", "5.0.0", "smtp; 550 refused"),
}
"""By sort of bounce: type, subtype, status, words of the receiving side."""


MACHINES: Final = (
    "Mozilla/5.0",
    "Mozilla/5.0 (compatible; Barracuda Sentinel)",
)
"""What fetches images and follows links without anybody looking: Apple's relay, and a scanner of links."""

AGENTS: Final = (
    *MACHINES,
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
)


def iso(ms: int) -> str:
    """A time (ms since 1970) as SES writes it: `2025-09-01T08:30:00.125Z`."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def mail_of(
    rng: Random,
    *,
    name: str,
    domain: str,
    subject: str,
    tags: Mapping[str, str],
    people: list[str],
    sent_ms: int,
) -> Event:
    """The object `mail`, which every event of a mail carries.

    rng: of its ids. name, domain: the sender's. tags: message tags by name, each with its value.
    """
    message_id = f"{rng.getrandbits(64):016x}-{UUID(int=rng.getrandbits(128), version=4)}-000000"
    source = f"{name} <hello@{domain}>"
    headers = {
        "From": source,
        "To": ", ".join(people),
        "Subject": subject,
        "MIME-Version": "1.0",
        "Content-Type": f'multipart/alternative; boundary="part-{rng.getrandbits(48):012x}"',
        "List-Unsubscribe": f"<https://www.{domain}/leave/{rng.getrandbits(64):016x}>",
        "X-SES-CONFIGURATION-SET": "product-mail",
    }
    return {
        "timestamp": iso(sent_ms),
        "source": source,
        "sourceArn": f"arn:aws:ses:eu-central-1:000000000000:identity/{domain}",
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
            "ses:from-domain": [domain],
            "ses:caller-identity": ["mailer"],
            **{tag: [value] for tag, value in tags.items()},
        },
    }


def send(mail: Event) -> Event:
    """SES has taken the mail."""
    return {"eventType": "Send", "mail": mail, "send": {}}


def reject(mail: Event) -> Event:
    """A virus was found."""
    return {"eventType": "Reject", "mail": mail, "reject": {"reason": "Bad content"}}


def rendering_failure(mail: Event, template: str) -> Event:
    """The template could not be rendered, so the mail was never sent."""
    about = {key: value for key, value in mail.items() if key not in {"headers", "commonHeaders"}}
    words = "Attribute 'name' is not present in the rendering data."
    return {
        "eventType": "Rendering Failure",
        "mail": about,
        "failure": {"templateName": template, "errorMessage": words},
    }


def delivery(rng: Random, mail: Event, person: str, sent_ms: int, at_ms: int) -> Event:
    """The receiving side has taken it."""
    tags = {**mail["tags"], "ses:outgoing-ip": [f"203.0.113.{rng.randrange(64, 72)}"]}
    about = {
        "timestamp": iso(at_ms),
        "processingTimeMillis": at_ms - sent_ms,
        "recipients": [person],
        "smtpResponse": f"250 2.0.0 OK {rng.getrandbits(40):010x}",
        "reportingMTA": MTA,
    }
    return {"eventType": "Delivery", "mail": {**mail, "tags": tags}, "delivery": about}


def bounce(rng: Random, mail: Event, person: str, at_ms: int, sort: str) -> Event:
    """It came back. sort: one of `BOUNCES`."""
    kind, subtype, status, words = BOUNCES[sort]
    recipient = {"emailAddress": person, "action": "failed", "status": status, "diagnosticCode": words}
    about = {
        "bounceType": kind,
        "bounceSubType": subtype,
        "bouncedRecipients": [recipient],
        "timestamp": iso(at_ms),
        "feedbackId": f"{rng.getrandbits(64):016x}-000000",
        "reportingMTA": f"dns; {MTA}",
    }
    return {"eventType": "Bounce", "bounce": about, "mail": mail}


def complaint(rng: Random, mail: Event, person: str, at_ms: int) -> Event:
    """Somebody calls it spam."""
    whole_second_ms = at_ms - at_ms % SECOND  # a mailbox provider's clock knows no fractions
    about = {
        "complainedRecipients": [{"emailAddress": person}],
        "timestamp": iso(whole_second_ms),
        "feedbackId": f"{rng.getrandbits(64):016x}-000000",
        "complaintSubType": None,
        "userAgent": "Mailbox-Feedback/1.0",
        "complaintFeedbackType": "abuse",
        "arrivalDate": iso(whole_second_ms),
    }
    return {"eventType": "Complaint", "complaint": about, "mail": mail}


def delay(mail: Event, person: str, at_ms: int) -> Event:
    """The receiving side does not answer; SES goes on trying."""
    recipient = {"emailAddress": person, "status": "4.4.1", "diagnosticCode": "smtp; 421 4.4.1 no answer"}
    about = {
        "timestamp": iso(at_ms),
        "delayType": "TransientCommunicationFailure",
        "expirationTime": iso(at_ms + 14 * HOUR),
        "delayedRecipients": [recipient],
    }
    return {"eventType": "DeliveryDelay", "mail": mail, "deliveryDelay": about}


def opened(mail: Event, reader: Mapping[str, str], at_ms: int) -> Event:
    """An image of it was fetched. reader: who did it: `ipAddress`, `userAgent`, perhaps `isBotEvent`."""
    return {"eventType": "Open", "mail": mail, "open": {**reader, "timestamp": iso(at_ms)}}


def clicked(mail: Event, reader: Mapping[str, str], at_ms: int, link: str) -> Event:
    """A link of it was followed. reader: as in `opened`."""
    about = {**reader, "timestamp": iso(at_ms), "link": link, "linkTags": None}
    return {"eventType": "Click", "mail": mail, "click": about}


def subscription(mail: Event, at_ms: int) -> Event:
    """Somebody leaves the list of contacts, and wants no mail any more."""
    about = {
        "contactList": "readers",
        "timestamp": iso(at_ms),
        "source": "UnsubscribeHeader",
        "newTopicPreferences": _wishes(unsubscribed=True),
        "oldTopicPreferences": _wishes(unsubscribed=False),
    }
    return {"eventType": "Subscription", "mail": mail, "subscription": about}


def _wishes(*, unsubscribed: bool) -> Event:
    topics = [{"topicName": "news", "subscriptionStatus": "OptOut" if unsubscribed else "OptIn"}]
    return {"unsubscribeAll": unsubscribed, "topicSubscriptionStatus": topics}
