"""Whether an archive is whole: what is missing in it, what contradicts itself, what cannot be read.

Each file is opened and its offsets are read; where files overlap, the rows of both are compared. Two files
that say the same of an offset are no fault. In bounded memory, and nothing is written.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby, zip_longest
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from aggregator.archive.columns import events_of
from aggregator.archive.coverage import File, holes, overlapping
from aggregator.archive.slim import SlimEvent
from aggregator.archive.store import Store
from aggregator.errors import ArchiveUnavailableError, BrokenFileError, FileChangedError
from schemas.archive import KEY_CHECK_KEY, VERSION, VERSION_KEY


class Fault(NamedTuple):
    """What is wrong with the offsets [first, next) of a partition."""

    what: str
    topic_id: str
    partition: int
    first: int
    next: int
    detail: str


@dataclass(slots=True)
class Report:
    """What a check found. rows: of all files, those of overlaps in each."""

    files: int = 0
    rows: int = 0
    faults: list[Fault] = field(default_factory=list)


def check(store: Store) -> Report:
    """Read all of an archive.

    Raises: ArchiveUnavailableError where the store does not answer, which says nothing of the files;
    FileChangedError where one was replaced meanwhile: check again.
    """
    files = sorted(store.files())
    report = Report(files=len(files))
    keys: defaultdict[str, list[File]] = defaultdict(list)
    for (topic_id, partition), group in groupby(files, key=lambda file: (file.topic_id, file.partition)):
        of_partition = list(group)
        for first, next_ in holes(of_partition):
            report.faults.append(Fault("hole", topic_id, partition, first, next_ or first, "in no file"))
        sound = [file for file in of_partition if _is_sound(store, file, report, keys)]
        for one, other in overlapping(sound):
            report.faults += _disagreements(store, one, other)
    begun, *others = sorted(keys, key=lambda key: -len(keys[key])) or [""]
    for key in others:
        for file in keys[key]:
            detail = f"another RECIPIENT_KEY than that of {keys[begun][0].name}"
            report.faults.append(_fault("other key", file, detail))
    return report


def _fault(what: str, file: File, detail: str) -> Fault:
    return Fault(what, file.topic_id, file.partition, file.first, file.next, f"{file.name}: {detail}")


def _is_sound(store: Store, file: File, report: Report, keys: defaultdict[str, list[File]]) -> bool:
    """Whether a file can be read and holds rows of its own offsets alone, in their order."""
    try:
        said = store.metadata(file)
        if said.get(VERSION_KEY) != str(VERSION):
            report.faults.append(_fault("other version", file, f"version {said.get(VERSION_KEY)}"))
            return False
        keys[said.get(KEY_CHECK_KEY, "")].append(file)
        before = file.first - 1
        with store.open(file) as opened:
            for batch in opened.iter_batches(columns=["topic_id", "partition", "offset"]):
                report.rows += batch.num_rows
                before = _in_order(batch, file, before)
    except BrokenFileError as error:
        report.faults.append(_fault("unreadable", file, str(error)))
        return False
    except FileChangedError:
        raise
    except ArchiveUnavailableError:
        if file in store.files():
            raise
        return False  # it was merged into another one meanwhile
    except ValueError as error:
        report.faults.append(_fault("wrong rows", file, str(error)))
        return False
    return True


def _in_order(batch: Any, file: File, before: int) -> int:
    """Returns: the last offset. Raises: ValueError where one is not its file's, or not above those before."""
    offsets = batch.column("offset")
    of_file = pc.and_(
        pc.equal(batch.column("topic_id"), file.topic_id), pc.equal(batch.column("partition"), file.partition)
    )
    if not pc.all(of_file).as_py():
        raise ValueError("a row of another partition")
    steps = pc.subtract(offsets, pa.concat_arrays([pa.array([before], pa.int64()), offsets[:-1]]))
    last: int = offsets[-1].as_py()
    if pc.min(steps).as_py() <= 0 or last >= file.next:
        raise ValueError("offsets that are not the file's own, or not in order")
    return last


def _disagreements(store: Store, one: File, other: File) -> Iterator[Fault]:
    """The first offset of which two files say different things, if any."""
    first, next_ = max(one.first, other.first), min(one.next, other.next)
    rows = zip_longest(_rows(store, one, first, next_), _rows(store, other, first, next_))
    for mine, theirs in rows:
        if mine != theirs:
            at = min(each.offset for each in (mine, theirs) if each is not None)
            detail = f"{one.name} and {other.name} differ from offset {at} on"
            yield Fault("disagreement", one.topic_id, one.partition, at, next_, detail)
            return


def _rows(store: Store, file: File, first: int, next_: int) -> Iterator[SlimEvent]:
    with store.open(file) as opened:
        for batch in opened.iter_batches():
            offset = batch.column("offset")
            inside = pc.and_(pc.greater_equal(offset, first), pc.less(offset, next_))
            yield from events_of(batch.filter(inside))
