"""What is stored of a message: the record on the events topic.

Pure. Law: the value is SES's own text, byte for byte as SNS delivered it, readable or not: reading it is the
aggregator's work. The key spreads the load and keeps a mail's events together; nothing is counted by it.
"""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ingest.sns.messages import Verified
from schemas.ses import Mail, Record, unwrapped
from schemas.topics import SNS_MESSAGE_ID, SNS_TOPIC_ARN

KEY_MAX_BYTES: Final = 32_768
"""A longer message id is no key: key, value and headers must fit into `schemas.topics.EVENT_MAX_BYTES`."""

_EVENT: Final = msgspec.json.Decoder(Record[Any])


@dataclass(frozen=True, slots=True)
class EventRecord:
    """A record of the events topic, as it is produced; Kafka's client adds the time."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


def event_record(envelope: Verified) -> EventRecord:
    """The record of a notification."""
    message_id = _mail_message_id(envelope.message).encode()
    sns_message_id = envelope.message_id.encode()
    return EventRecord(
        key=message_id if 0 < len(message_id) <= KEY_MAX_BYTES else sns_message_id,
        value=envelope.message.encode(),
        headers=((SNS_MESSAGE_ID, sns_message_id), (SNS_TOPIC_ARN, envelope.topic_arn.encode())),
    )


def _mail_message_id(message: str) -> str:
    """`mail.messageId` of an event, bare or inside an EventBridge envelope; "" where there is none."""
    try:
        event = unwrapped(_EVENT.decode(message))
    except (msgspec.DecodeError, RecursionError):
        return ""
    mail = event.mail
    return mail.message_id if isinstance(mail, Mail) and isinstance(mail.message_id, str) else ""
