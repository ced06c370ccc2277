"""Slim events as columns of Arrow, and back. Pure.

What the columns are called and mean is in `schemas.archive`; that each is written and read is tested.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, pairwise, repeat, starmap
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from aggregator.archive.slim import SlimEvent, type_of_tags
from aggregator.counting.facts import PSEUDONYM_BYTES
from schemas.archive import COLUMNS

_TAGS: Final = pa.map_(pa.string(), pa.list_(pa.string()))
_PSEUDONYM: Final = pa.binary(PSEUDONYM_BYTES)

_TYPES: Final[dict[str, Any]] = {
    "string": pa.string(),
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "ms": pa.timestamp("ms", tz="UTC"),
    "map<string, list<string>>": _TAGS,
    "list<binary(16)>": pa.list_(_PSEUDONYM),
}

SCHEMA: Final = pa.schema([(column.name, _TYPES[column.type]) for column in COLUMNS])

_CODE: Final = 4
"""Bytes of a place in a dictionary of Arrow's."""

_OF_THE_PLACE: Final = 2
"""The first columns say where the record was; all others are fields of a slim event, in their order."""

assert len(SCHEMA) == _OF_THE_PLACE + len(SlimEvent.__struct_fields__), "a column for each field"


def columns_of(topic_id: str, partition: int, events: Sequence[SlimEvent]) -> Any:
    """A record batch of slim events of one partition, at least one."""
    number = len(events)
    arrays = [pa.repeat(pa.scalar(topic_id), number), pa.repeat(pa.scalar(partition, pa.int32()), number)]
    fields = zip(*map(msgspec.structs.astuple, events), strict=True)
    for field, values in zip(list(SCHEMA)[_OF_THE_PLACE:], fields, strict=True):
        if values.count(None) == number:  # most columns, of most events
            arrays.append(pa.nulls(number, field.type))
        else:
            make = _MAKERS.get(field.name)
            arrays.append(pa.array(values, field.type) if make is None else make(values))
    return pa.record_batch(arrays, schema=SCHEMA)


def events_of(batch: Any) -> Iterator[SlimEvent]:
    """The slim events of a record batch or table of any file; a column that it lacks is none in all."""
    held = set(batch.schema.names)
    columns: list[Any] = []
    for field in list(SCHEMA)[_OF_THE_PLACE:]:
        if field.name not in held:
            columns.append(repeat(False if field.name == "notification" else None, batch.num_rows))
            continue
        column = batch.column(field.name)
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        if field.name == "tags":
            columns.append(_tags_of(column))
            continue
        if pa.types.is_timestamp(field.type):
            column = column.cast(pa.int64())
        columns.append(column.to_pylist())
    columns[-1] = [None if each is None else tuple(each) for each in columns[-1]]
    return starmap(SlimEvent, zip(*columns, strict=True))


def _tags(values: Sequence[type_of_tags | None]) -> Any:
    """Few mails differ in their tags: each kind of tags is converted once."""
    places: dict[type_of_tags, int] = {}
    which = [None if each is None else places.setdefault(each, len(places)) for each in values]
    return pa.array([list(each) for each in places], _TAGS).take(pa.array(which, pa.int32()))


def _tags_of(column: Any) -> Iterator[type_of_tags | None]:
    """The tags of each row.

    Arrow would make a Python object of each text, which takes longer than all else of a row together. Here
    each kind of tags is made once: rows have the same where names, numbers of texts and texts are.
    """
    starts = column.offsets.to_pylist()
    texts_of_tags = column.items.slice(starts[0], starts[-1] - starts[0])
    ends = texts_of_tags.offsets.to_pylist()
    names = _Coded(column.keys.slice(starts[0], starts[-1] - starts[0]))
    texts = _Coded(texts_of_tags.values.slice(ends[0], ends[-1] - ends[0]))
    numbers = _Coded(pc.list_value_length(texts_of_tags))
    starts = [start - starts[0] for start in starts]
    ends = [end - ends[0] for end in ends]
    known: dict[tuple[bytes, bytes, bytes], type_of_tags] = {}
    for valid, (first, next_) in zip(column.is_valid().to_pylist(), pairwise(starts), strict=True):
        if not valid:
            yield None
            continue
        kind = (
            names.packed[_CODE * first : _CODE * next_],
            numbers.packed[_CODE * first : _CODE * next_],
            texts.packed[_CODE * ends[first] : _CODE * ends[next_]],
        )
        found = known.get(kind)
        if found is None:
            found = known[kind] = tuple(
                [
                    (names[at], tuple(map(texts.__getitem__, range(ends[at], ends[at + 1]))))
                    for at in range(first, next_)
                ]
            )
        yield found


class _Coded:
    """Values of which many are equal. packed: `_CODE` bytes for each one, equal where the values are."""

    def __init__(self, values: Any) -> None:
        coded = values.dictionary_encode("encode")
        indices = coded.indices.buffers()[1]
        self.packed: bytes = b"" if indices is None else indices.to_pybytes()
        self._values = coded.dictionary.to_pylist()
        self._codes = coded.indices.to_pylist()

    def __getitem__(self, at: int) -> Any:
        return self._values[self._codes[at]]


def _recipients(values: Sequence[tuple[bytes, ...] | None]) -> Any:
    ends, at = [0], 0
    for each in values:
        at += len(each or ())
        ends.append(at)
    together = pa.py_buffer(b"".join(chain.from_iterable(filter(None, values))))
    pseudonyms = pa.FixedSizeBinaryArray.from_buffers(_PSEUDONYM, at, [None, together])
    mask = pa.array([each is None for each in values])
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pseudonyms, mask=mask)


_MAKERS: Final[dict[str, Callable[[Any], Any]]] = {"tags": _tags, "recipients": _recipients}
