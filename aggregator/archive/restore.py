"""The second half of decoding, slim event -> outcome: the rules. Pure.

Law: a slim event states under any rules what its record states under them, but for rules about tags that were
dropped. The steps are those of `aggregator.counting.decode`, written there once.
"""

from typing import Any, Final

from msgspec import UNSET

from aggregator.archive.slim import SlimEvent, type_of_tags
from aggregator.counting.decode import Law
from aggregator.counting.event_types import EVENT_TYPES
from aggregator.counting.events import EventDecoder
from aggregator.counting.facts import Refusal, Skipped, type_of_outcome
from aggregator.counting.rules import NO_ERASURES, Erasures, Rules
from schemas.archive import ERASED
from schemas.ses import Body, Event, Mail, TopicPreferences

_NOTHING_MADE: Final[tuple[None, None]] = None, None

_MADE_MAX: Final = 16_384
_MADE_LENGTH: Final = 2_048
"""So many kinds of tags are remembered, none with longer texts, whatever comes."""


class SlimLaw:
    """Reads slim events under one set of rules, and of erasures."""

    def __init__(self, rules: Rules, erasures: Erasures = NO_ERASURES) -> None:
        """Prepare to read.

        rules: the tag names and the default tenant; the pseudonyms are made already. erasures: all that there
        are.
        """
        self._decoder = EventDecoder(rules.tags)
        self.tags: Final = rules.tags
        """The names of the tags that are read, the tenant's first."""
        self._made: dict[int, tuple[type_of_tags, Any]] = {}
        self._law = Law(
            rules.default_tenant,
            tags=self._decoder.tags,
            event=self._event,
            time=_as_it_is,
            recipients=_as_they_are,
            erasures=erasures,
        )

    def outcome_of(self, slim: SlimEvent) -> type_of_outcome:
        """What a slim event states."""
        if slim.reason is not None and slim.event_type is None:
            return Skipped.ERASED if slim.reason == ERASED else Refusal(slim.reason)
        return self._law.read(slim, slim.record_ms)

    def tenant_of(self, slim: SlimEvent) -> str | None:
        """Whose a slim event is, whatever it states; none where these rules cannot say."""
        tags: Any = UNSET
        if slim.odd_tags is not None:
            found = self._decoder.decode(slim.odd_tags.encode())
            tags = getattr(found.mail, "tags", UNSET) if found is not None else None
        elif slim.tags is not None:
            tags = self._tags(slim.tags)
        return self._law.tenant_of(tags)

    def _event(self, slim: SlimEvent) -> Event[Any] | None:
        """The event, with times and recipients as the archive has them; none where these rules refuse it."""
        tags: Any = UNSET
        if slim.odd_tags is not None:
            found = self._decoder.decode(slim.odd_tags.encode())
            if found is None:
                return None
            tags = getattr(found.mail, "tags", UNSET)
        elif slim.tags is not None:
            tags = self._tags(slim.tags)
        mail: Mail[Any] | None = None
        if slim.message_id is not None:
            mail = Mail(slim.message_id, slim.sent_ms, tags=tags)
        event_type: Any = UNSET if slim.event_type is None else slim.event_type
        event: Event[Any] = Event(mail=mail)
        if slim.notification:
            event.notification_type = event_type
        else:
            event.event_type = event_type
        row = EVENT_TYPES.get(slim.event_type or "")
        if row is None:
            return event
        recipients: Any = slim.recipients if slim.reason is None else Refusal(slim.reason)
        if row.body is None:
            if mail is not None:
                mail.destination = recipients
            return event
        body = Body(
            timestamp=slim.event_ms,
            bounce_type=slim.bounce_type,
            bounce_sub_type=slim.bounce_sub_type,
            complaint_feedback_type=slim.complaint_feedback_type,
            new_topic_preferences=TopicPreferences(slim.unsubscribe_all),
            user_agent=slim.user_agent,
            is_bot_event=UNSET if slim.is_bot_event is None else slim.is_bot_event,
        )
        if row.recipients is not None:
            setattr(body, row.recipients, recipients)
        setattr(event, row.body, body)
        return event

    def _tags(self, tags: type_of_tags) -> Any:
        """What the rules read of tags. Rows of one kind have one object, which is held while it is known."""
        held, made = self._made.get(id(tags), _NOTHING_MADE)
        if held is not tags:
            by_name = dict(tags)
            made = self._decoder.tags(*[by_name.get(name, UNSET) for name in self.tags])
            if sum(len(name) + sum(map(len, texts)) for name, texts in tags) <= _MADE_LENGTH:
                if len(self._made) >= _MADE_MAX:
                    self._made.clear()
                self._made[id(tags)] = tags, made
        return made


def _as_it_is(ms: int | None) -> int | None:
    return ms


_NO_LIST: Final = Refusal.UNREADABLE


def _as_they_are(kept: Any, _key: str | None) -> tuple[bytes, ...] | Refusal:
    return _NO_LIST if kept is None else kept
