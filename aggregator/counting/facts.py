"""Reading a record: what one record of the events topic states.

Pure: bytes and the record's own time come in, an outcome comes out. The steps and their order are law
(the first that fits decides), as every number must come out the same whoever reads the record, when, and
with whatever beside it. What is refused goes to the dead-letter topic under the name of its `Refusal`;
what is passed over is metered under the name of its `Skipped`.
"""

from enum import StrEnum
from sys import getsizeof
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, Struct, UnsetType

from aggregator.counting.rules import Rules
from aggregator.counting.timestamps import parse_ms
from schemas.instants import DAY_MS, HOUR_MS
from schemas.kinds import FUTURE_MS, HORIZON_MS, KINDS, STALE_MS
from schemas.ses import Body, Event, Mail, Record, type_of_array

ID_MAX_BYTES: Final = 255
"""SES's own limit for the value of a message tag, and ours for a tenant, a sequence and a template."""

ADDRESSES_MAX: Final = 1_000
"""More in one list, as they stand, are refused. SES allows 50 recipients; an event is counted in one call."""

NESTING_MAX: Final = 512
"""Deeper records are refused. The decoder's own limit depends on how deep the caller's stack is already."""


class Refusal(StrEnum):
    """Why a record is a dead letter."""

    UNREADABLE = "unreadable"
    BAD_TAG = "bad_tag"
    NO_TENANT = "no_tenant"
    BAD_TIME = "bad_time"
    FUTURE = "future"
    TOO_LARGE = "too_large"


class Skipped(StrEnum):
    """Why a record that was read counts for nothing."""

    IGNORED = "ignored"
    UNTAGGED = "untagged"
    STALE = "stale"
    LATE = "late"
    EMPTY = "empty"


class Scopes(NamedTuple):
    """What a mail counts for; none where it has no such tag."""

    tenant: str
    sequence: str | None
    template: str | None


class Facts(Struct, frozen=True, gc=False):
    """The facts of one event: one for each recipient, or one for the message.

    scopes: of the mail. day: the UTC day of the send, since 1970.
    hour: of the facts, from the start of that day (0 or more). message_id: SES's.
    kind: index into `KINDS`. recipients: addresses without repeats; `(None,)` is the message itself.
    """

    scopes: Scopes
    day: int
    hour: int
    message_id: str
    kind: int
    recipients: tuple[str | None, ...]


type_of_outcome = Facts | Skipped | Refusal
_THE_MESSAGE: Final = (None,)
_BY_TYPE: Final = {
    kind.event_type: (index, kind.body, kind.recipients, kind.address_key, kind.retraction)
    for index, kind in enumerate(KINDS)
}
SCOPES_KEPT_BYTES: Final = 64 * 1024 * 1024
"""What the tags that a reader remembers may take in memory, whatever comes: some 65,000 of the usual ones."""

_ENTRY_BYTES: Final = 640
"""Of tags that are remembered, beside the texts: arrays, object, scopes, a place in the table."""


class _KnownScopes:
    """What mails with the same tags count for: judged once, and then one object for all their events.

    Only tags as mails nearly always have them are kept, none or one value each, which are short if they name
    scopes: a long array or a refused tag would be held for nothing. When the room is used up all is
    forgotten; judging again costs little.
    """

    def __init__(self) -> None:
        self._scopes: dict[Any, Scopes] = {}
        self._bytes = 0
        self.get = self._scopes.get

    def keep(self, tags: Any, scopes: Scopes) -> None:
        """Remember, where there is room. tags: a `Tags` of which `scopes` was made."""
        values = [value for name in Scopes._fields if (value := getattr(tags, name)) is not UNSET]
        if any(type(value) is not tuple or len(value) > 1 for value in values):
            return
        # Twice the text: Python keeps its UTF-8 beside it once somebody has asked for that.
        size = _ENTRY_BYTES + sum(2 * getsizeof(text) for value in values for text in value)
        if self._bytes + size > SCOPES_KEPT_BYTES:
            self._scopes.clear()
            self._bytes = 0
        self._scopes[tags] = scopes
        self._bytes += size


class Reader:
    """Reads records under one set of rules."""

    def __init__(self, rules: Rules) -> None:
        """Prepare to read.

        rules: the tag names and the default tenant.
        """
        self._default_tenant = rules.default_tenant
        tags = msgspec.defstruct(
            "Tags",
            [(name, type_of_array | UnsetType, UNSET) for name in Scopes._fields],
            rename=dict(zip(Scopes._fields, rules.tags, strict=True)),
            frozen=True,
            gc=False,
        )
        self._tags: Any = tags
        self._decode = msgspec.json.Decoder(Record[tags]).decode  # type: ignore[valid-type]  # made above
        self._known = _KnownScopes()
        self._scopes_without_tags = self._scopes_of(tags())

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
            return Skipped.IGNORED
        if type(event_type) is not str:
            return Refusal.UNREADABLE
        row = _BY_TYPE.get(event_type)
        if row is None:
            return Skipped.IGNORED
        kind, body_name, recipients_name, address_key, retraction = row
        mail = event.mail
        body = mail if body_name is None else getattr(event, body_name)
        if retraction is not None and type(body) is Body and getattr(body, retraction[0]) == retraction[1]:
            return Skipped.IGNORED
        if type(mail) is not Mail:
            return Refusal.UNREADABLE
        message_id = mail.message_id
        if type(message_id) is not str or not message_id:
            return Refusal.UNREADABLE

        tags: Any = mail.tags
        if type(tags) is self._tags:
            try:
                known = self._known.get(tags)
            except TypeError:  # an object or an array within a tag cannot be hashed
                known = None
            scopes = known or self._scopes_of(tags)
            if known is None and type(scopes) is Scopes:
                self._known.keep(tags, scopes)
        else:
            scopes = self._scopes_without_tags if tags is UNSET else Refusal.BAD_TAG
        if isinstance(scopes, Refusal):
            return Skipped.UNTAGGED if older and scopes is Refusal.NO_TENANT else scopes

        sent_ms = parse_ms(mail.timestamp)
        told_ms = sent_ms if body is mail else parse_ms(getattr(body, "timestamp", None))
        if sent_ms is None or told_ms is None:
            return Refusal.BAD_TIME
        if record_ms - sent_ms > STALE_MS:
            return Skipped.STALE
        fact_ms = max(sent_ms, told_ms)
        if fact_ms - record_ms > FUTURE_MS:
            return Refusal.FUTURE
        if fact_ms - sent_ms > HORIZON_MS:
            return Skipped.LATE

        recipients: tuple[str | None, ...] = _THE_MESSAGE
        if recipients_name is not None:
            try:
                addresses = _addresses(getattr(body, recipients_name), address_key)
            except ValueError:
                return Refusal.UNREADABLE
            if len(addresses) > ADDRESSES_MAX:
                return Refusal.TOO_LARGE
            if not addresses:
                return Skipped.EMPTY
            recipients = addresses if len(addresses) < 2 else tuple(dict.fromkeys(addresses))
        day = sent_ms // DAY_MS
        return Facts(scopes, day, fact_ms // HOUR_MS - day * 24, message_id, kind, recipients)

    def _scopes_of(self, tags: Any) -> Scopes | Refusal:
        """Step 3: what a mail with these tags counts for."""
        try:
            tenant, sequence, template = _tag(tags.tenant), _tag(tags.sequence), _tag(tags.template)
        except ValueError:
            return Refusal.BAD_TAG
        if tenant is None:
            tenant = self._default_tenant
        return Refusal.NO_TENANT if tenant is None else Scopes(tenant, sequence, template)

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
    if type(value) is not tuple:
        raise ValueError
    for element in value:
        if type(element) is not str:
            raise ValueError
    first: str = value[0] if value else ""
    if len(first) * 4 > ID_MAX_BYTES and len(first.encode()) > ID_MAX_BYTES:
        raise ValueError
    return first or None


def _addresses(value: Any, key: str | None) -> tuple[str, ...]:
    """The addresses of a list, as they stand. Raises ValueError where one is missing or no string."""
    if type(value) is not tuple:
        raise ValueError
    found: tuple[Any, ...] = value
    if key is not None:
        found = tuple([element.get(key) if type(element) is dict else None for element in value])
    for address in found:
        if type(address) is not str:
            raise ValueError
    return found


def _nested_too_deep(value: bytes) -> bool:
    # An object within another takes five bytes, `{"":}`: most records are too short to be counted through.
    if value.count(b"[") + len(value) // 5 <= NESTING_MAX:
        return False
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
