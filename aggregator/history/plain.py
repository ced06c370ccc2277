"""Rows of the archive that say what nearly all rows say: read by whole columns. pyarrow is imported here.

Law: what a row states depends on its type and the few fields that say of which kinds it is, on its tags, on
its times, and on whom it is about. Many rows have the first two alike, so `SlimLaw` is asked once about each
way in which they occur, by an event that nothing else is odd about. A row is *plain* where both answers are
facts and its own times and recipients take nothing from them; all other rows are for `SlimLaw` itself, one by
one. So to call too few rows plain costs time, and never a number. The bounds of times, and day and quarter of
a fact, are written here once more, for columns; a test holds them to the law.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import starmap
from struct import iter_unpack
from sys import getsizeof
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from aggregator.archive.columns import SCHEMA, events_of
from aggregator.archive.restore import SlimLaw
from aggregator.archive.slim import SlimEvent, type_of_tags
from aggregator.counting.event_types import EVENT_TYPES
from aggregator.counting.facts import PSEUDONYM_BYTES, Facts, Scopes, type_of_outcome
from aggregator.counting.reading import RECIPIENT_BYTES
from schemas.instants import DAY_MS, QUARTER_MS, QUARTERS
from schemas.kinds import FUTURE_MS

_OWN: Final = frozenset({"offset", "record_time", "message_id", "sent_time", "event_time", "recipients"})
_FIELD_OF: Final = dict(
    zip(SCHEMA.names[-len(SlimEvent.__struct_fields__) :], SlimEvent.__struct_fields__, strict=True)
)
"""By the name of a column the field of a slim event."""
_DECIDING: Final = [name for name in _FIELD_OF if name not in _OWN | {"tags", "odd_tags"}]
"""The columns that say of which kinds a row is, a later one too."""

_THE_MESSAGE: Final = (None,)
_SOMEBODY: Final = (bytes(PSEUDONYM_BYTES),)
_NOBODYS: Final = "\x00"
"""A tenant that the kinds are asked with. If somebody erases it no row is plain."""
_SENT: Final = {"event_type": "Send"}
"""What tags are asked with."""

_BYTES_AN_EVENT: Final = getsizeof("") + RECIPIENT_BYTES
"""In memory, beside what is in its message id: as `Reading` weighs it."""

_KEPT_MAX: Final = 65_536
_KEPT_LENGTH: Final = 256
"""So many tags are remembered: some 30 MB of usual ones. Rows with longer ones are never plain."""


class _Kinds(NamedTuple):
    """What rows state in which the deciding columns say the same.

    is_of_message: it is no fact of a recipient. is_timed: their own time counts, not only that of the mail.
    late_ms, stale_ms: as of `EventType`.
    """

    kinds: tuple[int, ...]
    is_of_message: bool
    is_timed: bool
    late_ms: int
    stale_ms: int


_NO_KINDS: Final = _Kinds((), is_of_message=False, is_timed=False, late_ms=-1, stale_ms=-1)
"""No row is early enough to be plain and of these."""


class Plain(NamedTuple):
    """What the rows of a record batch state: the plain ones, and the others.

    scopes: each once. of: which of them each plain row has. events: what it states, by rising offset.
    stated: of these, as in `Reading`. weight: about how many bytes of memory they take. others: by rising
    offset, as they are asked for.
    """

    scopes: list[Scopes | None]
    of: list[int]
    events: Iterator[tuple[int, Facts]]
    stated: Counter[tuple[int, ...]]
    weight: int
    others: Iterator[tuple[int, type_of_outcome]]


class PlainLaw:
    """Reads rows under the rules of a `SlimLaw`."""

    def __init__(self, law: SlimLaw) -> None:
        """law: which is asked."""
        self._law = law
        self._nobodys: type_of_tags = ((law.tags[0], (_NOBODYS,)),)
        self._known: dict[tuple[str | None, ...], Scopes | None] = {}

    def read(self, batch: Any) -> Plain:
        """What the rows of a record batch state. batch: of all columns of the archive, not empty."""
        ways_of_kinds, (ways_of_scopes, is_tagged) = _deciding(batch), _tagged(batch, self._law.tags)
        kinds = [self._kinds(said) for said in ways_of_kinds.values]
        scopes = [self._scopes(texts) for texts in ways_of_scopes.values]
        of_kinds, of_scopes = ways_of_kinds.codes, ways_of_scopes.codes

        sent = _ms(batch, "sent_time")
        is_timed = pa.array([each.is_timed for each in kinds]).take(of_kinds)
        fact = pc.max_element_wise(
            sent, pc.if_else(is_timed, _ms(batch, "event_time"), sent), skip_nulls=False
        )
        of_message = pa.array([each.is_of_message for each in kinds]).take(of_kinds)
        pseudonyms = _single(batch.column("recipients"), of_message)
        is_plain = pc.and_(is_tagged, pa.array([each is not None for each in scopes]).take(of_scopes))
        for more in (
            _is_in_time(_ms(batch, "record_time"), sent, fact, kinds, of_kinds),
            pc.or_(of_message, pseudonyms.is_valid()),
            pc.greater(pc.binary_length(batch.column("message_id")), 0),
        ):
            is_plain = pc.and_(is_plain, more)
        is_plain = pc.fill_null(is_plain, False)

        day = pc.divide(sent, DAY_MS)
        quarter = pc.subtract(pc.divide(fact, QUARTER_MS), pc.multiply(day, QUARTERS))
        ids = batch.column("message_id")
        columns = [batch.column("offset"), of_scopes, day, quarter, ids, of_kinds, pseudonyms]
        odd = batch.slice(0, 0)
        if is_plain.true_count < batch.num_rows:
            columns = [each.filter(is_plain) for each in columns]
            odd = batch.filter(pc.invert(is_plain))
        outcome_of = self._law.outcome_of
        others = ((slim.offset, outcome_of(slim)) for slim in events_of(odd))
        of = columns.pop(1).to_pylist()
        events = _events(map(scopes.__getitem__, of), kinds, columns)
        return Plain(scopes, of, events, _stated(kinds, columns), _weight(columns), others)

    def _kinds(self, said: tuple[Any, ...]) -> _Kinds:
        """What plain rows state in which the deciding columns say this."""
        fields: dict[str, Any] = dict(zip(map(_FIELD_OF.__getitem__, _DECIDING), said, strict=True))
        outcome = self._asked(fields, self._nobodys)
        if outcome is None:
            return _NO_KINDS
        row = EVENT_TYPES[fields["event_type"]]
        of_message, is_timed = outcome.recipients == _THE_MESSAGE, outcome.quarter == 1
        return _Kinds(outcome.kinds, of_message, is_timed, row.late_ms, row.stale_ms)

    def _scopes(self, texts: tuple[str | None, ...]) -> Scopes | None:
        """What rows count for in which the tags of the rules say this; none where no such row is plain."""
        if sum(map(len, filter(None, texts))) > _KEPT_LENGTH:
            return None
        if texts not in self._known:
            named = zip(self._law.tags, texts, strict=True)
            outcome = self._asked(_SENT, tuple([(name, (text,)) for name, text in named if text is not None]))
            if len(self._known) >= _KEPT_MAX:
                self._known.clear()
            self._known[texts] = None if outcome is None else outcome.scopes
        return self._known[texts]

    def _asked(self, fields: dict[str, Any], tags: type_of_tags) -> Facts | None:
        """What an event states a quarter of an hour after its mail was sent; none where that is no fact.

        That was when 1970 began: who was erased ever since is so here too.
        """
        slim = SlimEvent(
            0, 0, message_id="m", sent_ms=0, event_ms=QUARTER_MS, tags=tags, recipients=_SOMEBODY, **fields
        )
        outcome = self._law.outcome_of(slim)
        return outcome if type(outcome) is Facts else None


class _Ways:
    """Ways in which some columns occur together. codes: the way of each row. values: of each way."""

    def __init__(self, rows: int) -> None:
        self.codes = pa.repeat(pa.scalar(0, pa.int32()), rows)
        self.values: list[tuple[Any, ...]] = [()]

    def add(self, codes: Any, values: Sequence[Any]) -> None:
        """One more column. codes: which of the values stands in each row."""
        if len(values) == 1:
            self.values = [(*had, values[0]) for had in self.values]
            return
        both = pc.add(pc.multiply(self.codes.cast(pa.int64()), len(values)), codes.cast(pa.int64()))
        coded = both.dictionary_encode()
        places = [divmod(each, len(values)) for each in coded.dictionary.to_pylist()]
        self.codes = coded.indices
        self.values = [(*self.values[had], values[new]) for had, new in places]


def _deciding(batch: Any) -> _Ways:
    ways = _Ways(batch.num_rows)
    for name in _DECIDING:
        column = batch.column(name)
        if column.null_count == batch.num_rows:
            ways.add(None, [None])
        else:
            coded = column.dictionary_encode("encode")
            ways.add(coded.indices, coded.dictionary.to_pylist())
    return ways


def _tagged(batch: Any, names: Sequence[str]) -> tuple[_Ways, Any]:
    """What the tags of some names say, and in which rows each of them is absent or one text."""
    ways, column = _Ways(batch.num_rows), batch.column("tags")
    is_plain = pc.is_null(batch.column("odd_tags"))
    first = column.offsets[0].as_py()
    bounds = pc.subtract(column.offsets, first)
    number = bounds[-1].as_py()
    keys, lists = column.keys.slice(first, number), column.items.slice(first, number)
    texts = _first(lists, pc.equal(pc.list_value_length(lists), 1))
    for name in names:
        is_named = pc.equal(keys, name)
        said = texts.filter(is_named).dictionary_encode()
        # How many of that name stand before each row: so many places on in `said` is the row's own.
        counted = pc.cumulative_sum(is_named.cast(pa.int32()))
        counted = pa.concat_arrays([pa.array([0], pa.int32()), counted]).take(bounds)
        before = counted.slice(0, batch.num_rows)
        found = pc.if_else(column.is_valid(), pc.subtract(counted.slice(1), before), 0)
        codes = said.indices.take(pc.if_else(pc.equal(found, 1), before, _NONE))
        is_plain = pc.and_(is_plain, pc.or_(pc.equal(found, 0), codes.is_valid()))
        ways.add(pc.fill_null(pc.add(codes, 1), 0), [None, *said.dictionary.to_pylist()])
    return ways, is_plain


_NONE: Final = pa.scalar(None, pa.int32())


def _first(lists: Any, where: Any) -> Any:
    """The first element of lists; none where they are not asked for."""
    return lists.values.take(pc.if_else(where, lists.offsets.slice(0, len(lists)), _NONE))


def _single(recipients: Any, of_message: Any) -> Any:
    """The pseudonym of each row that is of one recipient; none where it is of the message, or not of one."""
    is_single = pc.equal(pc.list_value_length(recipients), 1)
    return _first(recipients, pc.and_not(is_single, of_message))


def _ms(batch: Any, name: str) -> Any:
    return batch.column(name).cast(pa.int64())


def _is_in_time(record: Any, sent: Any, fact: Any, kinds: Sequence[_Kinds], of: Any) -> Any:
    """Which rows are so far from each bound that all kinds are counted; those of before 1970 are none."""
    late = pa.array([each.late_ms for each in kinds]).take(of)
    stale = pa.array([each.stale_ms for each in kinds]).take(of)
    found = pc.and_(pc.greater_equal(record, 0), pc.greater_equal(sent, 0))
    for after, most in (
        (pc.subtract(record, sent), stale),
        (pc.subtract(fact, record), FUTURE_MS),
        (pc.subtract(fact, sent), late),
    ):
        found = pc.and_(found, pc.less_equal(after, most))
    return found


def _events(
    scopes: Iterator[Scopes | None], kinds: Sequence[_Kinds], columns: Sequence[Any]
) -> Iterator[tuple[int, Facts]]:
    """Facts by offset. scopes: of each. columns: offset, day, quarter, message id, which kinds, pseudonym."""
    *columns, pseudonyms = columns
    offsets, days, quarters, ids, of_kinds = (column.to_pylist() for column in columns)
    mine = list(map(kinds.__getitem__, of_kinds))
    recipients = [
        _THE_MESSAGE if of.is_of_message else pseudonym
        for of, pseudonym in zip(mine, _unpacked(pseudonyms), strict=True)
    ]
    facts = starmap(
        Facts, zip(scopes, days, quarters, ids, [of.kinds for of in mine], recipients, strict=True)
    )
    return zip(offsets, facts, strict=True)


def _stated(kinds: Sequence[_Kinds], columns: Sequence[Any]) -> Counter[tuple[int, ...]]:
    """How many rows are of which kinds: each is about one. Arguments: as `_events`."""
    found: Counter[tuple[int, ...]] = Counter()
    for of in pc.value_counts(columns[-2]).to_pylist():
        found[kinds[of["values"]].kinds] += of["counts"]
    return found


def _weight(columns: Sequence[Any]) -> int:
    """Arguments: as `_events`."""
    *_, ids, _, _ = columns
    return _BYTES_AN_EVENT * len(ids) + int(pc.sum(pc.binary_length(ids)).as_py() or 0)


def _unpacked(pseudonyms: Any) -> Iterator[tuple[bytes]]:
    """Each in a tuple of its own; anything where it is none."""
    data, at = pseudonyms.buffers()[1], PSEUDONYM_BYTES * pseudonyms.offset
    packed = b"" if data is None else memoryview(data)[at : at + PSEUDONYM_BYTES * len(pseudonyms)]
    return iter_unpack(f"{PSEUDONYM_BYTES}s", packed)
