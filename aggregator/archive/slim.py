"""Slim events: of a record of the topic all that any rule of counting reads, and nothing else. Pure.

This is the first half of decoding, bytes -> slim event: the format. The second, slim event -> outcome, is in
`restore`. What the rules decide is left to them: tag names, the default tenant, kinds, horizons and the table
of machines may be others when the archive is read. Only what no rules can read leaves nothing but a reason.

No address, subject, header or IP is in it: recipients are pseudonyms. What senders write into tags stays.
"""

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, Raw, Struct

from aggregator.counting.decode import Recipients
from aggregator.counting.event_types import EVENT_TYPES
from aggregator.counting.events import RecordDecoder
from aggregator.counting.facts import Refusal
from aggregator.counting.reading import KafkaRecord, refused_unread
from aggregator.counting.timestamps import parse_ms
from schemas.archive import ALWAYS_DROPPED
from schemas.ses import Body, Event, Mail, Record, TopicPreferences, unwrapped

type_of_tags = tuple[tuple[str, tuple[str, ...]], ...]
"""Names and values of tags, in the order in which they stand."""


class SlimEvent(Struct, frozen=True, gc=False):
    """What is kept of a record.

    offset: in its partition. record_ms: its own Kafka time, in ms since 1970. reason: why the record, or
    where there is a type its list of recipients, cannot be read by any rules; none for nearly all.
    event_type: as SES names it. notification: whether it stood in `notificationType`. message_id: SES's, none
    where it is none. sent_ms, event_ms: the mail's and the event's own time, none where it is no time.
    tags: of the mail, none where it has none. odd_tags: in their place where one has another shape than a
    list of texts: JSON, the record as it was but for all else. unsubscribe_all: where it is true or false.
    is_bot_event: empty where it is no text. recipients: pseudonyms, each once; none where there is no list.
    All other texts: none where they are no texts.
    """

    offset: int
    record_ms: int
    reason: str | None = None
    event_type: str | None = None
    notification: bool = False
    message_id: str | None = None
    sent_ms: int | None = None
    event_ms: int | None = None
    tags: type_of_tags | None = None
    odd_tags: str | None = None
    bounce_type: str | None = None
    bounce_sub_type: str | None = None
    complaint_feedback_type: str | None = None
    unsubscribe_all: bool | None = None
    is_bot_event: str | None = None
    user_agent: str | None = None
    recipients: tuple[bytes, ...] | None = None


class Reducer:
    """Makes slim events of records."""

    def __init__(self, recipient_key: bytes, drop_tags: frozenset[str] = ALWAYS_DROPPED) -> None:
        """Prepare.

        recipient_key: of the pseudonyms. drop_tags: names of all tags that are not kept.
        """
        self._record = RecordDecoder().decode
        self._recipients = Recipients(recipient_key).of
        self._tags = _Tags(drop_tags)

    def reduce(self, record: KafkaRecord) -> SlimEvent:
        """The slim event of a record of the topic, whatever that is."""
        offset, record_ms = record.offset, record.timestamp
        refused = refused_unread(record)
        if refused is not None:
            return SlimEvent(offset, record_ms, refused)
        whole = self._record(record.value)
        if whole is None:
            return SlimEvent(offset, record_ms, Refusal.UNREADABLE)
        event = unwrapped(whole)
        notification = event.event_type is UNSET and event.notification_type is not UNSET
        event_type = event.notification_type if notification else event.event_type
        if event_type is UNSET:
            event_type = None
        elif type(event_type) is not str:
            return SlimEvent(offset, record_ms, Refusal.UNREADABLE)

        mail: Any = event.mail
        message_id = sent_ms = None
        if type(mail) is Mail:
            message_id = _text(mail.message_id) or None
            sent_ms = parse_ms(mail.timestamp)
        tags, odd_tags = self._tags.of(whole, event)
        row = EVENT_TYPES.get(event_type or "")
        if row is None:
            return SlimEvent(
                offset, record_ms, None, event_type, notification, message_id, sent_ms, None, tags, odd_tags
            )
        body: Any = mail if row.body is None else getattr(event, row.body)
        reason: Refusal | None = None
        recipients: tuple[bytes, ...] | None = None
        if row.recipients is not None:
            found = self._recipients(getattr(body, row.recipients, None), row.address_key)
            if isinstance(found, Refusal):
                reason = found
            else:
                recipients = found
        if type(body) is not Body:
            event_ms = sent_ms if row.body is None else None
            body = _NOTHING
        else:
            event_ms = parse_ms(body.timestamp)
        wish = body.new_topic_preferences
        unsubscribe_all = wish.unsubscribe_all if type(wish) is TopicPreferences else None
        bot = body.is_bot_event
        return SlimEvent(
            offset,
            record_ms,
            reason,
            event_type,
            notification,
            message_id,
            sent_ms,
            event_ms,
            tags,
            odd_tags,
            _text(body.bounce_type),
            _text(body.bounce_sub_type),
            _text(body.complaint_feedback_type),
            unsubscribe_all if type(unsubscribe_all) is bool else None,
            None if bot is UNSET else _text(bot) or "",
            _text(body.user_agent),
            recipients,
        )


_NOTHING: Final = Body()


def _text(value: Any) -> str | None:
    return value if type(value) is str else None


class _Kept(NamedTuple):
    """The tags of one object: plain ones, or else the JSON that is kept of them."""

    plain: type_of_tags | None
    odd: str = ""

    @property
    def json(self) -> str:
        return self.odd if self.plain is None else msgspec.json.encode(dict(self.plain)).decode()


_KEPT_MAX: Final = 16_384
_KEPT_BYTES: Final = 2_048
"""So many texts of tags are remembered, none longer: the tags of few templates stand on nearly all mails."""

_plain: Final = msgspec.json.Decoder(dict[str, tuple[str, ...]]).decode
_name: Final = msgspec.json.Decoder(str).decode


class _Tags:
    """Reads tags, whatever they are called."""

    def __init__(self, dropped: frozenset[str]) -> None:
        self._dropped = dropped
        names = b"|".join(re.escape(name.encode()) for name in sorted(dropped))
        self._without = re.compile(rb'"(?:%s)":\["[^"]*"\],?' % names if names else rb"(?!)").sub
        self._known: dict[bytes, _Kept] = {}

    def of(self, record: Record[Raw], event: Event[Raw]) -> tuple[type_of_tags | None, str | None]:
        """The tags of a record's event: the plain ones, or the record's odd ones.

        A record has two places for tags where it has a `detail`. Rules refuse it for odd ones in either.
        """
        mail: Any = event.mail
        mine = self._read(mail)
        if record.detail is UNSET:
            if mine is None or mine.plain is not None:
                return mine and mine.plain, None
            return None, f'{{"mail":{{"tags":{mine.json}}}}}'
        inner: Any = record.detail.mail if isinstance(record.detail, Event) else None
        outer = self._read(record.mail)
        within = self._read(inner)
        if all(each is None or each.plain is not None for each in (outer, within)):
            return mine and mine.plain, None
        whole, detail = ("" if each is None else f'"mail":{{"tags":{each.json}}}' for each in (outer, within))
        parts = ['"eventType":""' if event is record else "", whole, f'"detail":{{{detail}}}']
        return None, f"{{{','.join(filter(None, parts))}}}"

    def _read(self, mail: Any) -> _Kept | None:
        if type(mail) is not Mail or mail.tags is UNSET:
            return None
        written = bytes(mail.tags)
        # What is dropped differs by mail, and all else seldom. Without escapes and within one object a member
        # that looks dropped is one: not a part of a text, nor of a tag of another shape, which is kept.
        plain = written.count(b"{") == 1 and b"\\" not in written
        key = self._without(b"", written) if plain else written
        kept = self._known.get(key)
        if kept is None:
            kept = self._kept(written)
            if len(key) <= _KEPT_BYTES:
                if len(self._known) >= _KEPT_MAX:
                    self._known.clear()
                self._known[key] = kept
        return kept

    def _kept(self, written: bytes) -> _Kept:
        try:
            plain = _plain(written)
        except msgspec.DecodeError:
            text = written.decode()
            if text.startswith("{"):
                members = [f"{name}:{value}" for name, value in _members(text) if not self._is_dropped(name)]
                text = f"{{{','.join(members)}}}"
            return _Kept(None, text)
        return _Kept(tuple([each for each in plain.items() if each[0] not in self._dropped]))

    def _is_dropped(self, name: str) -> bool:
        try:
            return _name(name) in self._dropped
        except msgspec.DecodeError:
            return False  # as no rule's name for a tag, it has escapes that mean nothing


_TOKEN: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]|[^\s"\[\]{},:]+', re.DOTALL)


def _members(text: str) -> Iterator[tuple[str, str]]:
    """Name and value of each member of an object, as written, those of equal names too. text: is JSON."""
    depth, begin, name = 0, 1, ""
    for token in _TOKEN.finditer(text):
        what = token[0]
        if what in "[{":
            depth += 1
        elif depth == 1 and what == ":":
            name, begin = text[begin : token.start()].strip(), token.end()
        elif depth == 1 and what in ",}":
            if name:
                yield name, text[begin : token.start()].strip()
            name, begin = "", token.end()
        if what in "]}":
            depth -= 1
