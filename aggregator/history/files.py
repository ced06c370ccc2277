"""What an archive holds of one topic, as rows. pyarrow is imported with this module, and with no other here.

Law: each offset is read once, in order, although files overlap; an offset in a file's span without a row was
no record. A file is read only if it says of itself that these rules can read it. Memory holds a row group of
a partition; where a file goes while it is read (another archiver has merged it), the one in its place goes on
behind the last row.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from aggregator.archive.columns import SCHEMA
from aggregator.archive.coverage import File, topic_id_of
from aggregator.archive.store import Store, said_by
from aggregator.counting.facts import key_check
from aggregator.counting.rules import Rules
from aggregator.errors import ArchiveUnavailableError, FileChangedError, OtherArchiveError
from aggregator.history.spans import furthest
from schemas.archive import ALWAYS_DROPPED, DROPPED_KEY, KEY_CHECK_KEY, VERSION, VERSION_KEY

_OFFSET: Final = SCHEMA.get_field_index("offset")


class Files:
    """The files of an archive that are of one topic."""

    def __init__(self, url: str, topic_id: str, rules: Rules) -> None:
        """Prepare; `look` lists them.

        url: of the archive. topic_id: as librdkafka writes it. rules: to read by.
        Raises: OtherArchiveError where it is no such URL.
        """
        try:
            self._store = Store(url)
        except ValueError as error:
            raise OtherArchiveError(str(error)) from error
        self._topic_id = topic_id_of(topic_id)
        self._key_check = key_check(rules.recipient_key)
        self._needed = frozenset(rules.tags)
        self.by_partition: defaultdict[int, list[File]] = defaultdict(list)
        """As `look` saw them last."""
        self.others: frozenset[str] = frozenset()
        """Ids of other topics of which the archive has files."""

    def look(self) -> None:
        """See which files there are now. Raises: ArchiveUnavailableError."""
        found = self._store.files()
        self.by_partition = defaultdict(list)
        for file in found:
            if file.topic_id == self._topic_id:
                self.by_partition[file.partition].append(file)
        self.others = frozenset(file.topic_id for file in found) - {self._topic_id}

    def validate(self) -> None:
        """Open the last file of each partition, as it would be opened to be read.

        Raises: OtherArchiveError, ArchiveUnavailableError.
        """
        for number in list(self.by_partition):
            while files := self.by_partition[number]:
                last = max(files)
                try:
                    with self._store.open(last) as opened:
                        self._validate(last, opened)
                    break
                except ArchiveUnavailableError as error:
                    if not self._is_gone(last, error):
                        raise

    def _validate(self, file: File, opened: Any) -> None:
        said = said_by(opened)
        if said.get(VERSION_KEY) != str(VERSION):
            raise OtherArchiveError(f"{file.name} is of version {said.get(VERSION_KEY)}, not {VERSION}")
        if said.get(KEY_CHECK_KEY) != self._key_check:
            raise OtherArchiveError(
                f"{file.name} was written with another RECIPIENT_KEY: its people would count twice. Set the"
                " key of the archive, or no ARCHIVE_URL"
            )
        dropped = ALWAYS_DROPPED.union(filter(None, said.get(DROPPED_KEY, "").split(",")))
        needed = sorted(dropped & self._needed)
        if needed:
            raise OtherArchiveError(
                f"{file.name} was written without the tags {', '.join(needed)}, by which these rules count"
            )

    def rows(self, number: int, first: int, next_: int) -> Iterator[Any]:
        """The rows of the offsets [first, next) of a partition, all of which files cover.

        Returns: record batches of the columns of `schemas.archive`, none empty.
        Raises: OtherArchiveError, ArchiveUnavailableError.
        """
        at = first
        while at < next_:
            file = self._furthest(number, at)
            try:
                for batch in self._rows_of(file, at, next_):
                    yield batch
                    at = batch.column(_OFFSET)[-1].as_py() + 1
            except ArchiveUnavailableError as error:
                if not self._is_gone(file, error):
                    raise
            else:
                at = file.next

    def since(self, number: int, first: int, next_: int, since_ms: int) -> int | None:
        """An offset of [first, next), of which no earlier row there is of `since_ms` or later.

        Returns: the highest that the bounds of row groups tell; none where no row is of that time.
        Raises: as `rows`.
        """
        at = first
        while at < next_:
            file = self._furthest(number, at)
            try:
                with self._store.open(file) as opened:
                    self._validate(file, opened)
                    for group in _groups(opened, at, next_):
                        if group.latest_ms is None or group.latest_ms >= since_ms:
                            return max(at, group.first)
            except ArchiveUnavailableError as error:
                if not self._is_gone(file, error):
                    raise
            else:
                at = file.next
        return None

    def _furthest(self, number: int, at: int) -> File:
        file = furthest(self.by_partition[number], at)
        if file is None:
            raise ArchiveUnavailableError(f"no file has offset {at} of partition {number} any more")
        return file

    def _is_gone(self, file: File, why: ArchiveUnavailableError) -> bool:
        """Whether another file stands where this one was."""
        self.look()
        return isinstance(why, FileChangedError) or file not in self.by_partition[file.partition]

    def _rows_of(self, file: File, first: int, next_: int) -> Iterator[Any]:
        with self._store.open(file) as opened:
            self._validate(file, opened)
            for group in _groups(opened, first, next_):
                for batch in opened.read_row_group(group.number).to_batches():
                    kept = _within(batch, first, next_)
                    if kept.num_rows:
                        yield _in_our_columns(kept)


class _Group(NamedTuple):
    """A row group. first: its least offset, 0 where the file does not say. latest_ms: none there."""

    number: int
    first: int
    latest_ms: int | None


def _groups(opened: Any, first: int, next_: int) -> Iterator[_Group]:
    """The row groups of a file that may have rows of the offsets [first, next), in order."""
    places = {opened.schema.column(at).path: at for at in range(len(opened.schema))}
    for number in range(opened.num_row_groups):
        group = opened.metadata.row_group(number)
        offset, time = (group.column(places[name]).statistics for name in ("offset", "record_time"))
        if offset is None or not offset.has_min_max:
            yield _Group(number, 0, None)
        elif offset.min < next_ and offset.max >= first:
            latest_ms = time.max_raw if time is not None and time.has_min_max else None
            yield _Group(number, offset.min, latest_ms)


def _within(batch: Any, first: int, next_: int) -> Any:
    """The rows of the offsets [first, next), which nearly always are all: those are not copied."""
    offset = batch.column("offset")
    if batch.num_rows and first <= offset[0].as_py() and offset[-1].as_py() < next_:
        return batch
    return batch.filter(pc.and_(pc.greater_equal(offset, first), pc.less(offset, next_)))


def _in_our_columns(batch: Any) -> Any:
    """The same rows with all columns that we know, in their order; one that a file lacks is null."""
    if batch.schema.equals(SCHEMA):
        return batch
    held = set(batch.schema.names)
    columns = [
        batch.column(field.name).cast(field.type)
        if field.name in held
        else pa.nulls(batch.num_rows, field.type)
        for field in SCHEMA
    ]
    return pa.record_batch(columns, schema=SCHEMA)
