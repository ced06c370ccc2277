"""Reading a record: what one record of the events topic states.

Pure: bytes and the record's own time come in, an outcome comes out. The steps and their order are law
(the first that fits decides), as every number must come out the same whoever reads the record, when, and
with whatever beside it. What is refused goes to the dead-letter topic under the name of its `Refusal`;
what is passed over is metered under the name of its `Passed`.
"""

from enum import StrEnum
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct

from aggregator.rules import Rules
from aggregator.times import DAY_MS, HOUR_MS, parse_ms
from schemas.kinds import FUTURE_MS, HORIZON_MS, KINDS, STALE_MS, Kind
from schemas.ses import Body, Event, Mail, Record

ID_MAX_BYTES: Final = 255
"""SES's own limit for the value of a message tag, and ours for a tenant, a sequence and a template."""

NESTING_MAX: Final = 512
"""Deeper records are refused. The decoder's own limit depends on how deep the caller's stack is already."""


class Refusal(StrEnum):
    """Why a record is a dead letter."""

    UNREADABLE = "unreadable"
    BAD_TAG = "bad_tag"
    NO_TENANT = "no_tenant"
    BAD_TIME = "bad_time"
    FUTURE = "future"


class Passed(StrEnum):
    """Why a record that was read counts for nothing."""

    IGNORED = "ignored"
    UNTAGGED = "untagged"
    STALE = "stale"
    LATE = "late"
    EMPTY = "empty"


class Facts(Struct, frozen=True, gc=False):
    """The facts of one event: one for each recipient, or one for the message.

    tenant, sequence, template: the scopes; none where the mail has no such tag.
    day: the UTC day of the send, since 1970. hour: of the facts, from the start of that day (0 or more).
    kind: index into `KINDS`. recipients: addresses without repeats; `(None,)` is the message itself.
    """

    tenant: str
    sequence: str | None
    template: str | None
    day: int
    hour: int
    message_id: str
    kind: int
    recipients: tuple[str | None, ...]


type_of_outcome = Facts | Passed | Refusal
_THE_MESSAGE: Final = (None,)
_BY_TYPE: Final[dict[str, tuple[int, Kind]]] = {kind.event_type: (i, kind) for i, kind in enumerate(KINDS)}


class Reader:
    """Reads records under one set of rules."""

    def __init__(self, rules: Rules) -> None:
        """Prepare to read.

        rules: the tag names and the default tenant.
        """
        self._default_tenant = rules.default_tenant
        tags = msgspec.defstruct(
            "Tags",
            [(name, Any, UNSET) for name in ("tenant", "sequence", "template")],
            rename=dict(zip(("tenant", "sequence", "template"), rules.tags, strict=True)),
            gc=False,
        )
        self._tags: Any = tags
        self._decode = msgspec.json.Decoder(Record[tags]).decode  # type: ignore[valid-type]  # made above

    def read(  # noqa: PLR0911, PLR0912  # the steps of the law, one under the other
        self, value: bytes | None, record_ms: int
    ) -> type_of_outcome:
        """What a record states.

        value: the record's value. record_ms: the record's own Kafka time, in ms since 1970.
        """
        event = self._event(value)
        if event is None:
            return Refusal.UNREADABLE
        older = event.event_type is UNSET
        event_type = event.notification_type if older else event.event_type
        if event_type is UNSET:
            return Passed.IGNORED
        if type(event_type) is not str:
            return Refusal.UNREADABLE
        row = _BY_TYPE.get(event_type)
        if row is None:
            return Passed.IGNORED
        index, kind = row
        mail = event.mail
        body = mail if kind.body is None else getattr(event, kind.body)
        if kind.retraction and type(body) is Body and getattr(body, kind.retraction[0]) == kind.retraction[1]:
            return Passed.IGNORED
        if type(mail) is not Mail or type(mail.message_id) is not str or not mail.message_id:
            return Refusal.UNREADABLE

        tenant: str | None = None
        sequence: str | None = None
        template: str | None = None
        tags: Any = mail.tags
        if tags is not UNSET:
            if type(tags) is not self._tags:
                return Refusal.BAD_TAG
            try:
                tenant, sequence, template = _tag(tags.tenant), _tag(tags.sequence), _tag(tags.template)
            except ValueError:
                return Refusal.BAD_TAG
        if tenant is None:
            tenant = self._default_tenant
            if tenant is None:
                return Passed.UNTAGGED if older else Refusal.NO_TENANT

        sent_ms = parse_ms(mail.timestamp)
        told_ms = sent_ms if kind.body is None else parse_ms(getattr(body, "timestamp", None))
        if sent_ms is None or told_ms is None:
            return Refusal.BAD_TIME
        if record_ms - sent_ms > STALE_MS:
            return Passed.STALE
        fact_ms = max(sent_ms, told_ms)
        if fact_ms - record_ms > FUTURE_MS:
            return Refusal.FUTURE
        if fact_ms - sent_ms > HORIZON_MS:
            return Passed.LATE

        recipients: tuple[str | None, ...] = _THE_MESSAGE
        if kind.recipients is not None:
            try:
                recipients = _addresses(getattr(body, kind.recipients), kind.address_key)
            except ValueError:
                return Refusal.UNREADABLE
            if not recipients:
                return Passed.EMPTY
        day = sent_ms // DAY_MS
        hour = fact_ms // HOUR_MS - day * 24
        return Facts(tenant, sequence, template, day, hour, mail.message_id, index, recipients)

    def _event(self, value: bytes | None) -> Event[Any] | None:
        """Step 1: the event of a record, out of its EventBridge envelope; none where it is unreadable."""
        if not value or _nested_too_deep(value):
            return None
        try:
            if not value.isascii():
                value.decode()  # the decoder does not look into the strings that it skips
            record: Record[Any] = self._decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        detail = record.detail
        if record.event_type is UNSET and record.notification_type is UNSET and type(detail) is Event:
            return detail
        return record


def _tag(value: Any) -> str | None:
    """The tag's value, none where there is none. Raises ValueError where it has another shape."""
    if value is UNSET or value == "":
        return None
    if type(value) is not list:
        raise ValueError
    for element in value:
        if type(element) is not str:
            raise ValueError
    first: str = value[0] if value else ""
    if len(first) * 4 > ID_MAX_BYTES and len(first.encode()) > ID_MAX_BYTES:
        raise ValueError
    return first or None


def _addresses(value: Any, key: str | None) -> tuple[str, ...]:
    """The addresses of a list, each once. Raises ValueError where one is missing or no string."""
    if type(value) is not list:
        raise ValueError
    if key is not None:
        value = [element.get(key) if type(element) is dict else None for element in value]
    for address in value:
        if type(address) is not str:
            raise ValueError
    return tuple(value) if len(value) < 2 else tuple(dict.fromkeys(value))


def _nested_too_deep(value: bytes) -> bool:
    if value.count(b"[") + value.count(b"{") <= NESTING_MAX:
        return False
    depth = 0
    in_string = escaped = False
    for byte in value:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in (0x5B, 0x7B):
            depth += 1
            if depth > NESTING_MAX:
                return True
        elif byte in (0x5D, 0x7D):
            depth -= 1
    return False
