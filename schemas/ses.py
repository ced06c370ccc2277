"""The part of an SES event that we read, and nothing more of it.

Sources: SES developer guide, "Contents of event publishing" (`eventType`) and "Contents of
notifications" (`notificationType`); EventBridge wraps either in an object `detail`.

Every field takes every JSON value, so that decoding never decides what the rules of reading decide
(`aggregator.counting.decode`): only bytes that are no JSON object are refused here. Unknown keys are skipped
but still have to be JSON. What is read of the tags differs by deployment (the tag names are settings) and by
who reads, hence the parameter.
"""

from typing import Any, Generic, TypeVar

from msgspec import UNSET, Struct, UnsetType

TagsT = TypeVar("TagsT")

type_of_json = str | int | float | bool | list[Any] | None
"""Any JSON value but an object: where an object is expected, the rest of what may stand there."""

type_of_array = tuple[Any, ...] | dict[str, Any] | str | int | float | bool | None
"""Any JSON value where an array is expected: the array as a tuple, which can be hashed and kept as it is."""


class Mail(Struct, Generic[TagsT], rename="camel", gc=False):
    """The mail that an event is about; SES copies it unchanged onto each of the mail's events."""

    message_id: Any = UNSET
    timestamp: Any = UNSET
    destination: type_of_array | UnsetType = UNSET
    tags: TagsT | UnsetType = UNSET


class TopicPreferences(Struct, rename="camel", gc=False):
    """What a recipient wants to get from now on (`newTopicPreferences` of a Subscription)."""

    unsubscribe_all: Any = UNSET


class Body(Struct, rename="camel", gc=False):
    """The object named after the event's type, with the fields of all types that are counted."""

    timestamp: Any = UNSET
    recipients: type_of_array | UnsetType = UNSET
    bounced_recipients: type_of_array | UnsetType = UNSET
    bounce_type: Any = UNSET
    bounce_sub_type: Any = UNSET
    complained_recipients: type_of_array | UnsetType = UNSET
    complaint_feedback_type: Any = UNSET
    delayed_recipients: type_of_array | UnsetType = UNSET
    new_topic_preferences: TopicPreferences | type_of_json | UnsetType = UNSET
    user_agent: Any = UNSET
    is_bot_event: Any = UNSET


class Event(Struct, Generic[TagsT], rename="camel", gc=False):
    """An event or an older notification."""

    event_type: Any = UNSET
    notification_type: Any = UNSET
    mail: Mail[TagsT] | type_of_json | UnsetType = UNSET
    delivery: Body | type_of_json | UnsetType = UNSET
    open: Body | type_of_json | UnsetType = UNSET
    click: Body | type_of_json | UnsetType = UNSET
    bounce: Body | type_of_json | UnsetType = UNSET
    complaint: Body | type_of_json | UnsetType = UNSET
    delivery_delay: Body | type_of_json | UnsetType = UNSET
    subscription: Body | type_of_json | UnsetType = UNSET


class Record(Event[TagsT], Generic[TagsT], rename="camel", gc=False):
    """The value of a record on the events topic: an event, or an EventBridge envelope around one."""

    detail: Event[TagsT] | type_of_json | UnsetType = UNSET


def unwrapped(record: Record[TagsT]) -> Event[TagsT]:
    """The event of a record: the `detail` of an EventBridge envelope, else the record itself.

    An object with a type of its own is an event, whatever it has in `detail`; one envelope is taken off.
    """
    if record.event_type is UNSET and record.notification_type is UNSET:
        detail = record.detail
        if type(detail) is Event:
            return detail
    return record
