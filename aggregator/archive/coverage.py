"""Which offsets an archive holds, by the names of its files alone. Pure.

Law: a name is a promise. A file covers the offsets [first, next) of one partition, whether there is a record
at each of them or not, and it has its name only once it is whole. So where to go on needs no state elsewhere.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final, NamedTuple

_NAME: Final = re.compile(r"([A-Za-z0-9_-]{1,64})/([0-9]{5,10})/([0-9]{20})-([0-9]{20})\.parquet", re.ASCII)

_AS_KAFKA_WRITES: Final = str.maketrans("+/", "-_")

MERGED_AT_ONCE: Final = 8
"""So many neighbours become one file."""


class Span(NamedTuple):
    """Offsets [first, next); no `next`: and all that follow."""

    first: int
    next: int | None


class File(NamedTuple):
    """A file of the archive. size: in bytes, 0 where it does not matter."""

    topic_id: str
    partition: int
    first: int
    next: int
    size: int = 0

    @property
    def name(self) -> str:
        """Below the archive's root."""
        return f"{self.topic_id}/{self.partition:05}/{self.first:020}-{self.next:020}.parquet"


def topic_id_of(told: str) -> str:
    """A topic's id as Kafka's own tools write it, which fits a name. told: as librdkafka writes it."""
    return told.translate(_AS_KAFKA_WRITES)


def file_of(name: str, size: int = 0) -> File | None:
    """The file of a name below the archive's root; none where it is no file of an archive."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    found = File(match[1], int(match[2]), int(match[3]), int(match[4]), size)
    return found if found.first < found.next and found.name == name else None


def covered(files: Iterable[File]) -> list[tuple[int, int]]:
    """The offsets that files of one partition cover together: ranges that do not touch, in order."""
    found: list[tuple[int, int]] = []
    for file in sorted(files, key=_place):
        if found and file.first <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], file.next)
        else:
            found.append((file.first, file.next))
    return found


def uncovered(files: Iterable[File], start: int) -> Span:
    """The first offsets at or above `start` that no file of the partition covers."""
    for first, next_ in covered(files):
        if start < first:
            return Span(start, first)
        start = max(start, next_)
    return Span(start, None)


def holes(files: Iterable[File]) -> list[Span]:
    """What lies between the files of one partition and is covered by none."""
    return [Span(before[1], after[0]) for before, after in pairwise(covered(files))]


def overlapping(files: Iterable[File]) -> Iterator[tuple[File, File]]:
    """Pairs of files of one partition that cover an offset both: each file with all before it that do."""
    open_: list[File] = []
    for file in sorted(files, key=_place):
        open_ = [each for each in open_ if each.next > file.first]
        for each in open_:
            yield each, file
        open_.append(file)


def to_merge(files: Iterable[File], most_bytes: int) -> list[File]:
    """Small neighbours of one partition that are worth one file: `MERGED_AT_ONCE`, or none.

    No one of them is larger than the others together. So each time that a row is written anew, it is in a
    file at least twice as large: that happens few times, whatever the sizes.
    most_bytes: what the file may be about as large as.
    """
    found = sorted(files, key=_place)
    for at in range(len(found) - MERGED_AT_ONCE + 1):
        run = found[at : at + MERGED_AT_ONCE]
        sizes = [file.size for file in run]
        if all(one.next == other.first for one, other in pairwise(run)) and (
            2 * max(sizes) <= sum(sizes) <= most_bytes
        ):
            return run
    return []


def _place(file: File) -> tuple[int, int]:
    return file.first, file.next
