"""The happenings of a workload as SES writes them: JSON in one line, 1.2 KB and more, headers that differ.

Law: pure, and the same bytes for the same happening. As with SES, the mail's object is the same on each of
its events but for `sourceArn` (not on opens and clicks), `ses:outgoing-ip` (on deliveries alone) and headers
(not where it could not be rendered). Text is put together from parts that are made once a tenant, template or
mail: a million must not take a minute.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple

from tests.benchmarks.variants import BOUNCES, READERS, SUBSCRIPTIONS
from tests.benchmarks.workload import (
    BOUNCED,
    CLICKED,
    COMPLAINED,
    DELAYED,
    DELIVERED,
    HOUR,
    MINUTE,
    OPENED,
    REJECTED,
    RENDERING_FAILED,
    SECOND,
    SENT,
    SUBSCRIPTION,
    Happening,
    Mail,
    sequence_name,
    template_name,
    tenant_name,
)

WORDS: Final = (
    "Your weekly digest of the things that matter",
    "A reminder: your trial ends soon",
    "Welcome aboard! Here is how to begin",
    "The receipt for your order",
    "We have missed you",
    "New this month: seven ideas for the garden and the balcony",
    "Please confirm your address",
)


class Record(NamedTuple):
    """A record of the events topic; its partition follows from its key. timestamp_ms: its own Kafka time."""

    key: bytes
    value: bytes
    timestamp_ms: int


def records(happenings: Iterable[Happening]) -> Iterator[Record]:
    """Each happening as a record, reported at once."""
    for happening in happenings:
        at_ms, _, kind, person, mail, _ = happening
        event_type, detail = TYPES[kind]
        reported = detail(_iso(at_ms), _address(mail.people[person]), mail.chance ^ at_ms, happening)
        message_id, head, arn, body = _mail(mail)
        if kind in {OPENED, CLICKED}:
            arn = ""
        elif kind == DELIVERED:
            body = f'{body[:-2]},"ses:outgoing-ip":["203.0.113.{64 + mail.chance % 8}"]}}}}'
        elif kind == RENDERING_FAILED:
            body = body[: body.index(',"headersTruncated"')] + body[body.index(',"tags"') :]
        text = f'{{"eventType":"{event_type}",{head}{arn}{body},{reported}}}\n'
        yield Record(message_id.encode(), text.encode(), at_ms)


@lru_cache(maxsize=200_000)
def _hour(hour: int) -> str:
    return datetime.fromtimestamp(hour * 3_600, UTC).strftime("%Y-%m-%dT%H")


def _iso(ms: int) -> str:
    """A time as SES writes it: `2025-09-01T08:30:00.125Z`."""
    rest = ms % HOUR
    return f"{_hour(ms // HOUR)}:{rest // MINUTE:02}:{rest // SECOND % 60:02}.{rest % SECOND:03}Z"


def _address(person: int) -> str:
    return f"reader-{person:08}@mailbox-{person % 40}.example"


@lru_cache(maxsize=65_536)
def _sender(tenant: int, template: int) -> tuple[str, str, str, str]:
    """What the mails of a template have alike: domain, source, subject, headers that only some have."""
    domain = f"{tenant_name(tenant)}.example"
    source = f"News <hello@{domain}>"
    extra = ""
    if tenant % 2:
        extra += ',{"name":"List-Unsubscribe-Post","value":"List-Unsubscribe=One-Click"}'
    if tenant % 5 == 3:
        extra += f',{{"name":"Reply-To","value":"answers@{domain}"}}'
    if tenant % 3 == 1:
        extra += f',{{"name":"X-Campaign","value":"{tenant_name(tenant)}/{template_name(template)}/autumn"}}'
    if template % 4 == 2:
        extra += ',{"name":"Precedence","value":"bulk"},{"name":"Auto-Submitted","value":"auto-generated"}'
    return domain, source, f"{WORDS[template % len(WORDS)]} ({template})", extra


@lru_cache(maxsize=100_000)
def _mail(mail: Mail) -> tuple[str, str, str, str]:
    """The object `mail`, in parts: its id, up to the source, the ARN that opens leave out, from there on."""
    domain, source, subject, extra = _sender(mail.tenant, mail.template)
    token = f"{mail.chance:032x}"
    sent = _iso(mail.sent_ms)
    message_id = (
        f"0100{mail.sent_ms:012x}-{token[:8]}-{token[8:12]}-{token[12:16]}-{token[16:20]}-{token[20:]}-000000"
    )
    people = '","'.join(map(_address, mail.people))
    to = people.replace('","', ", ")
    head = f'"mail":{{"timestamp":"{sent}","source":"{source}"'
    arn = f',"sourceArn":"arn:aws:ses:eu-central-1:111122223333:identity/{domain}"'
    body = (
        f',"sendingAccountId":"111122223333","messageId":"{message_id}","destination":["{people}"]'
        f',"headersTruncated":false,"headers":[{{"name":"From","value":"{source}"}},{{"name":"To","value":"{to}"}}'
        f',{{"name":"Subject","value":"{subject}"}},{{"name":"MIME-Version","value":"1.0"}}'
        f',{{"name":"Content-Type","value":"multipart/alternative; boundary=\\"part-{token[3:15]}\\""}}'
        f',{{"name":"List-Unsubscribe","value":"<https://www.{domain}/leave/{token[16:]}>"}}'
        f"{extra}]"
        f',"commonHeaders":{{"from":["{source}"],"to":["{people}"],"messageId":"{message_id}"'
        f',"subject":"{subject}"}},"tags":{{"ses:operation":["SendEmail"]'
        f',"ses:configuration-set":["product-mail"],"ses:source-ip":["203.0.113.25"]'
        f',"ses:from-domain":["{domain}"],"ses:caller-identity":["mailer"],"tenant":["{tenant_name(mail.tenant)}"]'
        f',"sequence":["{sequence_name(mail.sequence)}"],"template":["{template_name(mail.template)}"]}}}}'
    )
    return message_id, head, arn, body


def _sent(_at: str, _address: str, _chance: int, _happening: Happening) -> str:
    return '"send":{}'


def _delivered(at: str, address: str, chance: int, happening: Happening) -> str:
    return (
        f'"delivery":{{"timestamp":"{at}","processingTimeMillis":{happening.at_ms - happening.mail.sent_ms}'
        f',"recipients":["{address}"],"smtpResponse":"250 2.0.0 OK {chance & 0xFFFFFFFFFF:010x}"'
        ',"reportingMTA":"b224-12.smtp-out.eu-central-1.amazonses.com"}'
    )


def _opened(at: str, _address: str, chance: int, happening: Happening) -> str:
    agent, is_bot = _reader(happening)
    return f'"open":{{"timestamp":"{at}","userAgent":"{agent}","ipAddress":"{_ip(chance)}"{is_bot}}}'


def _clicked(at: str, _address: str, chance: int, happening: Happening) -> str:
    agent, is_bot = _reader(happening)
    return (
        f'"click":{{"timestamp":"{at}","ipAddress":"{_ip(chance)}","userAgent":"{agent}"'
        f',"link":"https://www.example.com/go/{chance % 400}?from=mail","linkTags":null{is_bot}}}'
    )


def _reader(happening: Happening) -> tuple[str, str]:
    """The user agent, and the key that says whether it was a machine, where there is one."""
    reader = READERS[happening.variant]
    return reader.agent, f',"isBotEvent":"{reader.is_bot}"' if reader.is_bot else ""


def _bounced(at: str, address: str, chance: int, happening: Happening) -> str:
    bounce = BOUNCES[happening.variant]
    return (
        f'"bounce":{{"bounceType":"{bounce.type}","bounceSubType":"{bounce.subtype}","bouncedRecipients":['
        f'{{"emailAddress":"{address}","action":"failed","status":"{bounce.status}"'
        f',"diagnosticCode":"{bounce.said}"}}]'
        f',"timestamp":"{at}","feedbackId":"{chance & 0xFFFFFFFFFFFFFFFF:016x}-000000"'
        ',"reportingMTA":"dns; b224-12.smtp-out.eu-central-1.amazonses.com"}'
    )


def _complained(at: str, address: str, chance: int, _happening: Happening) -> str:
    return (
        f'"complaint":{{"complainedRecipients":[{{"emailAddress":"{address}"}}],"timestamp":"{at}"'
        f',"feedbackId":"{chance & 0xFFFFFFFFFFFFFFFF:016x}-000000","complaintSubType":null'
        f',"userAgent":"Mailbox-Feedback/1.0","complaintFeedbackType":"abuse","arrivalDate":"{at}"}}'
    )


def _delayed(at: str, address: str, _chance: int, happening: Happening) -> str:
    return (
        f'"deliveryDelay":{{"timestamp":"{at}","delayType":"TransientCommunicationFailure"'
        f',"expirationTime":"{_iso(happening.at_ms + 14 * HOUR)}","delayedRecipients":['
        f'{{"emailAddress":"{address}","status":"4.4.1","diagnosticCode":"smtp; 421 4.4.1 no answer"}}]}}'
    )


def _rejected(_at: str, _address: str, _chance: int, _happening: Happening) -> str:
    return '"reject":{"reason":"Bad content"}'


def _not_rendered(_at: str, _address: str, _chance: int, happening: Happening) -> str:
    name = template_name(happening.mail.template)
    return (
        f'"failure":{{"templateName":"{name}","errorMessage":"Attribute \'firstName\' is not present in the'
        ' rendering data."}'
    )


def _subscribed(at: str, _address: str, _chance: int, happening: Happening) -> str:
    is_all = "true" if SUBSCRIPTIONS[happening.variant].is_all else "false"
    topic = '"topicSubscriptionStatus":[{"topicName":"news","subscriptionStatus":"OptOut"}]'
    return (
        f'"subscription":{{"contactList":"readers","timestamp":"{at}","source":"UnsubscribeHeader"'
        f',"newTopicPreferences":{{"unsubscribeAll":{is_all},{topic}}}'
        f',"oldTopicPreferences":{{"unsubscribeAll":false,{topic.replace("Out", "In")}}}}}'
    )


def _ip(chance: int) -> str:
    return f"198.51.100.{chance % 256}"


TYPES: Final[dict[int, tuple[str, Callable[[str, str, int, Happening], str]]]] = {
    SENT: ("Send", _sent),
    DELIVERED: ("Delivery", _delivered),
    OPENED: ("Open", _opened),
    CLICKED: ("Click", _clicked),
    BOUNCED: ("Bounce", _bounced),
    COMPLAINED: ("Complaint", _complained),
    DELAYED: ("DeliveryDelay", _delayed),
    REJECTED: ("Reject", _rejected),
    RENDERING_FAILED: ("Rendering Failure", _not_rendered),
    SUBSCRIPTION: ("Subscription", _subscribed),
}
"""Of each kind: SES's `eventType`, and what writes the object with the details (time, address, chance)."""
