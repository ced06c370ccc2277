"""Events in their envelopes: which object of a record is the event, the same in every program."""

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from aggregator.counting.events import EventDecoder
from ingest.log.record import event_record
from ingest.sns.messages import Verified
from schemas.ses import Event, Record, unwrapped

SNS_ID = "5b1c7f0e-0000-4000-8000-000000000001"
EVENTS = EventDecoder(("tenant", "sequence", "template"))

odd: st.SearchStrategy[Any] = st.sampled_from([None, "", "Send", 0, [], {}, True])
mails: st.SearchStrategy[Any] = st.sampled_from(
    [None, "m", [], {}, {"messageId": "m"}, {"messageId": None}, {"messageId": ""}]
)


def objects(detail: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that have any of the keys by which an event is told from an envelope."""
    return st.fixed_dictionaries(
        {},
        optional={"eventType": odd, "notificationType": odd, "mail": mails, "detail": detail, "x": odd},
    )


records = objects(st.one_of(odd, objects(objects(odd))))


def event_in(record: dict[str, Any]) -> dict[str, Any]:
    """The law: an object without a type is an envelope where its `detail` is an object; one is taken off."""
    if "eventType" in record or "notificationType" in record or not isinstance(record.get("detail"), dict):
        return record
    detail: dict[str, Any] = record["detail"]
    return detail


@given(records)
def test_one_envelope_is_taken_off(record: dict[str, Any]) -> None:
    """Whatever stands in odd places; what is in the envelope's own fields is not seen any more."""
    value, expected = json.dumps(record).encode(), event_in(record)
    found = unwrapped(msgspec.json.decode(value, type=Record[Any]))
    made_of: Any = Record[Any] if expected is record else Event[Any]
    assert found == msgspec.json.decode(json.dumps(expected), type=made_of)
    counted = EVENTS.decode(value)
    assert counted is not None
    assert counted.event_type == expected.get("eventType", msgspec.UNSET)
    assert counted.notification_type == expected.get("notificationType", msgspec.UNSET)


@given(records)
def test_the_key_in_kafka_is_the_message_that_is_counted(record: dict[str, Any]) -> None:
    """Ingest and the aggregator look into the same object: else a mail's events would lie apart."""
    mail = event_in(record).get("mail")
    message_id = mail.get("messageId") if isinstance(mail, dict) else None
    text = json.dumps(record)
    notification = Verified(
        type="Notification", message_id=SNS_ID, topic_arn="arn", message=text, timestamp="t"
    )
    assert event_record(notification).key.decode() == (message_id or SNS_ID)
