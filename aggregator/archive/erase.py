"""Rows of erased tenants leave the archive: of each its place and record time are left, and the reason.

Law: a row is erased where these rules name its tenant, by its tags or by the default tenant, and its record
time is not later than that tenant's erasure: also one of a type that is not counted. A file is written anew
and put in the place of the old one, whole; so it covers the same offsets, whoever is killed when, and doing
it again changes nothing. Who has opened the old one reads on in it, or on S3 goes on in the new one, and
leaves the same rows out by the law (`aggregator.counting.decode`).

Who writes an archive meanwhile, or merges files of it, may have read rows before the erasure and put them in
place after all files were gone through. So each archiver does the same as soon as it has heard (`archiver`),
and what it puts in place after that is without those rows.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import structlog

from aggregator.archive.columns import SCHEMA, columns_of, events_of
from aggregator.archive.coverage import File
from aggregator.archive.file_writer import FileWriter
from aggregator.archive.restore import SlimLaw
from aggregator.archive.slim import SlimEvent
from aggregator.archive.store import Store
from aggregator.counting.rules import Erasures, Rules
from aggregator.errors import ArchiveUnavailableError, FileChangedError
from schemas.archive import ERASED

log = structlog.get_logger(__name__)

_READ: Final = ["record_time", "reason", "type", "tags", "odd_tags"]
"""The columns that say whose a row is."""


class Erasing:
    """Knows the erasures, and whose a row is."""

    def __init__(self, rules: Rules, erasures: Erasures) -> None:
        """rules: that name the tenant. erasures: all that there are."""
        self._law = SlimLaw(rules)
        self._tag = rules.tenant_tag
        self._default = rules.default_tenant
        self._erasures = erasures
        self._last_ms = max((each.through_ms for each in erasures.table.values()), default=-1)
        self.end: Final = erasures.end
        """Up to where the topic of erasures is known."""

    def of(self, events: Sequence[SlimEvent]) -> Sequence[SlimEvent]:
        """Slim events as they are kept: the erased ones without anything."""
        if not self._erasures.table:
            return events
        return [_left(each) if self._is_erased(each) else each for each in events]

    def rows(self, batch: Any) -> list[int]:
        """Where in a record batch with the columns of `_READ` rows stand that are to be erased."""
        early = pc.less_equal(pc.cast(batch.column("record_time"), pa.int64()), self._last_ms)
        maybe = batch.append_column("row", pa.array(range(batch.num_rows), pa.int32())).filter(early)
        if not maybe.num_rows:
            return []
        if self._default not in self._erasures.table:
            # Only a row whose tags hold the name of an erased tenant, or are odd, can be one of its.
            values = pc.map_lookup(maybe.column("tags"), pa.scalar(self._tag), "first")
            named = pc.is_in(pc.list_flatten(values), pa.array(self._erasures.table, pa.string()))
            hits = pc.filter(pc.list_parent_indices(values), named)
            odd = pc.indices_nonzero(pc.is_valid(maybe.column("odd_tags")))
            maybe = maybe.take(pc.unique(pa.concat_arrays([hits.cast(pa.uint64()), odd])))
        numbers = maybe.column("row").to_pylist()
        events = events_of(maybe.drop_columns(["row"]))
        return sorted(row for row, each in zip(numbers, events, strict=True) if self._is_erased(each))

    def _is_erased(self, event: SlimEvent) -> bool:
        if event.event_type is None and event.reason is not None:
            return False  # nobody knows whose it is, or nothing is left of it
        tenant = self._law.tenant_of(event)
        through_ms = None if tenant is None else self._erasures.through(tenant)
        return through_ms is not None and event.record_ms <= through_ms


def _left(event: SlimEvent) -> SlimEvent:
    return SlimEvent(event.offset, event.record_ms, ERASED)


def erase_all(store: Store, erasing: Erasing) -> int:
    """Erase in all files of an archive, those too that appear meanwhile.

    Returns: how many were written anew. Raises: ArchiveUnavailableError: what is done is done.
    """
    number = 0
    seen: set[File] = set()
    while new := sorted(set(store.files()) - seen):
        seen |= set(new)
        for file in new:
            try:
                made = erase_in(store, file, erasing)
            except FileChangedError:
                seen.discard(file)
                continue
            except ArchiveUnavailableError:
                if file in store.files():
                    raise
                continue  # it was merged into another one, which is new
            if made is not None:
                seen.add(made)
                number += 1
    return number


def erase_in(store: Store, file: File, erasing: Erasing) -> File | None:
    """Erase in one file. Returns: the file that is in its place, none where nothing was to be erased.

    Raises: ArchiveUnavailableError.
    """
    with store.open(file) as opened:
        found: dict[int, list[int]] = {}
        for group in range(opened.num_row_groups):
            if rows := erasing.rows(_first(opened, group, _READ)):
                found[group] = rows
        if not found:
            return None
        said = store.metadata(file)
        writer = FileWriter(store.unfinished(), said)
        try:
            for group in range(opened.num_row_groups):
                batch = _in_our_columns(_first(opened, group, None))
                _write(writer, file, batch, found.get(group, ()))
            writer.close()
            made = store.put(writer.path, file)
        finally:
            writer.discard()
    log.info("rows of erased tenants are gone", file=file.name, rows=sum(map(len, found.values())))
    return made


def _first(opened: Any, group: int, columns: list[str] | None) -> Any:
    """A row group as one record batch."""
    held = None if columns is None else [name for name in columns if name in opened.schema_arrow.names]
    return opened.read_row_group(group, columns=held).combine_chunks().to_batches()[0]


def _in_our_columns(batch: Any) -> Any:
    """A batch of any file in the columns of today; one that it lacks is null."""
    held = set(batch.schema.names)
    return pa.record_batch(
        [
            batch.column(field.name).cast(field.type)
            if field.name in held
            else pa.nulls(batch.num_rows, field.type)
            for field in SCHEMA
        ],
        schema=SCHEMA,
    )


def _write(writer: FileWriter, file: File, batch: Any, erased: Iterable[int]) -> None:
    """Write a batch, of some rows only what is left."""
    at = 0
    for row in erased:
        if row > at:
            writer.add_batch(batch.slice(at, row - at))
        left = [_left(each) for each in events_of(batch.slice(row, 1))]
        writer.add_batch(columns_of(file.topic_id, file.partition, left))
        at = row + 1
    if at < batch.num_rows:
        writer.add_batch(batch.slice(at))
