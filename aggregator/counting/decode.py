"""Reading a record: what one record of the events topic states.

Pure: a record and its own time come in, an outcome comes out. The steps and their order are law (the first
that fits decides), as every number must come out the same whoever reads the record, when, and with whatever
beside it. Step 1, from bytes to an event, is in `events`.

Law: the steps know no format. A record of the topic is read by `Decoder`; one of the archive, which keeps of
it what the rules read, by `aggregator.archive.restore`; both go through `Law.read`.
"""

from collections.abc import Callable
from copy import copy
from sys import getsizeof
from typing import Any, Final, Self

import msgspec
from msgspec import UNSET

from aggregator.counting.event_types import EVENT_TYPES
from aggregator.counting.events import EventDecoder
from aggregator.counting.facts import Facts, Pseudonyms, Refusal, Scopes, Skipped, type_of_outcome
from aggregator.counting.rules import NO_ERASURES, Erasures, Rules
from aggregator.counting.timestamps import parse_ms
from schemas.instants import DAY_MS, QUARTER_MS, QUARTERS
from schemas.kinds import FUTURE_MS
from schemas.ses import Event, Mail

ID_MAX_BYTES: Final = 255
"""SES's own limit for the value of a message tag, and ours for the id of a tenant or of any other scope."""

ADDRESSES_MAX: Final = 1_000
"""More in one list, as they stand, are refused. SES allows 50 recipients; an event is counted in one call."""

_THE_MESSAGE: Final = (None,)


SCOPES_KEPT_BYTES: Final = 64 * 1024 * 1024
"""What the tags that a decoder remembers may take in memory, whatever comes: about 80,000 usual ones."""

_ENTRY_BYTES, _VALUE_BYTES = 256, 96
"""Of tags that are remembered, beside the texts: object, scopes and a place in the table; for each value its
array, and its places in the other ones."""


class _KnownScopes:
    """What mails with the same tags count for: worked out once, and then one object for all their events.

    Only tags as mails nearly always have them are kept, none or one value each, which are short if they name
    scopes: a long array or a refused tag would be held for nothing. When the room is used up all is
    forgotten; doing it again costs little.
    """

    def __init__(self) -> None:
        self._scopes: dict[Any, Scopes] = {}
        self._bytes = 0
        self.get = self._scopes.get

    def keep(self, tags: Any, scopes: Scopes) -> None:
        """Remember, where there is room. tags: a `Tags` of which `scopes` was made."""
        values = [value for value in msgspec.structs.astuple(tags) if value is not UNSET]
        if any(type(value) is not tuple or len(value) > 1 for value in values):
            return
        size = _ENTRY_BYTES
        for value in values:
            # Python keeps the UTF-8 of a text beside it once somebody has asked for that.
            size += _VALUE_BYTES + sum(getsizeof(text) + len(text.encode()) for text in value)
        if self._bytes + size > SCOPES_KEPT_BYTES:
            self._scopes.clear()
            self._bytes = 0
        self._scopes[tags] = scopes
        self._bytes += size


class Law:
    """Reads records of one format under one set of rules, and of erasures."""

    def __init__(
        self,
        default_tenant: str | None,
        *,
        tags: Any,
        event: Callable[[Any], Event[Any] | None],
        time: Callable[[Any], int | None],
        recipients: Callable[[Any, str | None], tuple[bytes, ...] | Refusal],
        erasures: Erasures = NO_ERASURES,
    ) -> None:
        """Prepare to read.

        default_tenant: of the rules. The rest is the format. tags: the type of `mail.tags`, with a field for
        each tag name of the rules. event: the event of a record; none where it is unreadable. time: what a
        timestamp of its says, in ms since 1970; none where it is no time. recipients: the pseudonyms of a
        list, each once, by the JSON key of the addresses in it, or why it is refused.
        erasures: all that there are.
        """
        self._default_tenant = default_tenant
        self._tags = tags
        self._event = event
        self._time = time
        self._recipients = recipients
        self._erased = erasures.table
        self._known = _KnownScopes()
        self._scopes_without_tags = self._scopes_of(self._tags())

    def knowing(self, erasures: Erasures) -> Self:
        """The same law with other erasures. What the two have worked out of tags they share."""
        other = copy(self)
        other._erased = erasures.table
        return other

    def read(  # noqa: PLR0911, PLR0912  # the steps of the law, one under the other
        self, record: Any, record_ms: int
    ) -> type_of_outcome:
        """What a record states.

        record: as its format has it; of the topic its value. record_ms: the record's own Kafka time, in ms
        since 1970.
        """
        event = self._event(record)
        if event is None:
            return Refusal.UNREADABLE
        older = event.event_type is UNSET
        event_type = event.notification_type if older else event.event_type
        if event_type is UNSET:
            return Skipped.IGNORED
        if type(event_type) is not str:
            return Refusal.UNREADABLE
        row = EVENT_TYPES.get(event_type)
        if row is None:
            return Skipped.IGNORED
        mail = event.mail
        body = mail if row.body is None else getattr(event, row.body)
        kinds = row.always or row.kinds(body)
        if not kinds:
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
        if self._erased:
            erased = self._erased.get(scopes.tenant)
            if erased is not None and record_ms <= erased.through_ms:
                return Skipped.ERASED

        sent_ms = self._time(mail.timestamp)
        told_ms = sent_ms if body is mail else self._time(getattr(body, "timestamp", None))
        if sent_ms is None or told_ms is None:
            return Refusal.BAD_TIME
        if record_ms - sent_ms > row.stale_ms:
            kinds = row.not_stale(kinds, record_ms - sent_ms)
            if not kinds:
                return Skipped.STALE
        fact_ms = max(sent_ms, told_ms)
        if fact_ms - record_ms > FUTURE_MS:
            return Refusal.FUTURE
        if fact_ms - sent_ms > row.late_ms:
            kinds = row.not_late(kinds, fact_ms - sent_ms)
            if not kinds:
                return Skipped.LATE

        recipients: tuple[bytes | None, ...] = _THE_MESSAGE
        if row.recipients is not None:
            found = self._recipients(getattr(body, row.recipients), row.address_key)
            if isinstance(found, Refusal):
                return found
            if not found:
                return Skipped.EMPTY
            recipients = found
        day = sent_ms // DAY_MS
        return Facts(scopes, day, fact_ms // QUARTER_MS - day * QUARTERS, message_id, kinds, recipients)

    def tenant_of(self, tags: Any) -> str | None:
        """Whose a mail with these tags is, also where another tag is refused; none where nobody can say."""
        if tags is UNSET:
            return self._default_tenant
        if type(tags) is not self._tags:
            return None
        try:
            return _tag(msgspec.structs.astuple(tags)[0]) or self._default_tenant
        except ValueError:
            return None

    def _scopes_of(self, tags: Any) -> Scopes | Refusal:
        """Step 3: what a mail with these tags counts for."""
        try:
            tenant, *ids = map(_tag, msgspec.structs.astuple(tags))
        except ValueError:
            return Refusal.BAD_TAG
        if tenant is None:
            tenant = self._default_tenant
        return Refusal.NO_TENANT if tenant is None else Scopes(tenant, tuple(ids))


class Decoder(Law):
    """Reads records of the topic under one set of rules, and of erasures."""

    def __init__(self, rules: Rules, erasures: Erasures = NO_ERASURES) -> None:
        """Prepare to read.

        rules: the tag names, the default tenant and the key of the pseudonyms. erasures: all that there are.
        """
        decoder = EventDecoder(rules.tags)
        super().__init__(
            rules.default_tenant,
            tags=decoder.tags,
            event=decoder.decode,
            time=parse_ms,
            recipients=Recipients(rules.recipient_key).of,
            erasures=erasures,
        )


class Recipients:
    """Reads lists of addresses: step 5."""

    def __init__(self, recipient_key: bytes) -> None:
        """recipient_key: of the pseudonyms."""
        self._pseudonym = Pseudonyms(recipient_key).of

    def of(self, value: Any, key: str | None) -> tuple[bytes, ...] | Refusal:
        """The pseudonyms of a list, each once and in its order, or why it is refused.

        value: any JSON value. key: of the address, where the list holds objects.
        """
        if type(value) is not tuple:
            return Refusal.UNREADABLE
        addresses: tuple[Any, ...] = value
        if key is not None:
            addresses = tuple([element.get(key) if type(element) is dict else None for element in value])
        for address in addresses:
            if type(address) is not str:
                return Refusal.UNREADABLE
        if len(addresses) == 1:
            return (self._pseudonym(addresses[0]),)
        if len(addresses) > ADDRESSES_MAX:
            return Refusal.TOO_LARGE
        return tuple(map(self._pseudonym, dict.fromkeys(addresses)))


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
