import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.http.bodies import BODY_MAX_BYTES
from ingest.log.record import KEY_MAX_BYTES, event_record
from ingest.sns.messages import Verified
from schemas.topics import EVENT_MAX_BYTES
from tests.ingest.support import TOPIC, event

SNS_ID = "5b1c7f0e-0000-4000-8000-000000000001"


def envelope(message: str) -> Verified:
    return Verified(type="Notification", message_id=SNS_ID, topic_arn=TOPIC, message=message, timestamp="t")


def key(message: str) -> str:
    return event_record(envelope(message)).key.decode()


@given(message=st.text())
def test_the_value_is_the_message_byte_for_byte(message: str) -> None:
    """Readable or not, the message is stored unchanged, with where it came from."""
    record = event_record(envelope(message))
    assert record.value.decode() == message
    assert record.headers == (("sns-message-id", SNS_ID.encode()), ("sns-topic-arn", TOPIC.encode()))


@given(message_id=st.text(min_size=1), rest=st.dictionaries(st.text(), st.integers()))
def test_the_key_is_the_mails_message_id(message_id: str, rest: dict[str, int]) -> None:
    """All events of a mail have one key, bare or inside an EventBridge envelope."""
    sent = {**rest, "eventType": "Send", "mail": {**rest, "messageId": message_id}}
    bridged = {"version": "0", "detail-type": "Email Sent", "detail": sent}
    assert key(json.dumps(sent)) == key(json.dumps(bridged, ensure_ascii=False)) == message_id


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"mail": {"messageId": "a"}}, "a"),
        ({"notificationType": "Bounce", "mail": {"messageId": "a"}}, "a"),
        ({"eventType": None, "mail": {"messageId": "a"}, "detail": {"mail": {"messageId": "b"}}}, "a"),
        ({"notificationType": 1, "detail": {"mail": {"messageId": "b"}}}, SNS_ID),
        ({"mail": {"messageId": "a"}, "detail": {"mail": {"messageId": "b"}}}, "b"),
        ({"mail": {"messageId": "a"}, "detail": "text"}, "a"),
        ({"detail": {"detail": {"mail": {"messageId": "c"}}}}, SNS_ID),
        ({"mail": {"messageId": ""}}, SNS_ID),
        ({"mail": {"messageId": 7}}, SNS_ID),
        ({"mail": {"messageId": None}}, SNS_ID),
        ({"mail": "text"}, SNS_ID),
        ({"mail": ["messageId"]}, SNS_ID),
        ({"mail": {"messageId": "x" * KEY_MAX_BYTES}}, "x" * KEY_MAX_BYTES),
        ({"mail": {"messageId": "x" * (KEY_MAX_BYTES + 1)}}, SNS_ID),
        ({"mail": {"messageId": "a:{b}\0\N{ROCKET}"}}, "a:{b}\0\N{ROCKET}"),
        ({}, SNS_ID),
        ([], SNS_ID),
        (None, SNS_ID),
    ],
)
def test_the_key_of_odd_messages(message: Any, expected: str) -> None:
    assert key(json.dumps(message)) == expected


@pytest.mark.parametrize(
    "message",
    [
        "",
        "text",
        "{",
        event() + "x",
        "[" * 100_000,
        '{"mail":{"messageId":"\\ud800"}}',
        '{"mail":NaN}',
        "9" * 9_000,
    ],
)
def test_the_key_of_what_is_no_json_is_the_sns_message_id(message: str) -> None:
    assert key(message) == SNS_ID


def test_whatever_fits_into_a_request_fits_into_a_record() -> None:
    """No verified body of up to 1 MiB makes a record that Kafka finds too large."""
    message = json.dumps({"mail": {"messageId": "x" * KEY_MAX_BYTES}})
    record = event_record(envelope(message.ljust(BODY_MAX_BYTES)))
    assert len(record.value) == BODY_MAX_BYTES
    assert len(record.key) == KEY_MAX_BYTES
    headers = sum(len(name) + len(value) for name, value in record.headers)
    assert len(record.value) + len(record.key) + headers + 1_024 <= EVENT_MAX_BYTES
