"""Where a partition's history begins, what is missing before, and which of it the archive is read for. Pure.

Law: what is read has no hole. History begins at the least offset from which on each one is covered by a file
of the archive or is still in the topic. What files cover before a hole is not read, and is told.
"""

from collections.abc import Collection
from itertools import pairwise

from aggregator.archive.coverage import File, Span, covered, uncovered


def begins(files: Collection[File], topic_first: int) -> int:
    """The least offset from which on nothing is missing.

    files: of the partition, in any order. topic_first: the first offset that the topic still has.
    """
    for first, next_ in covered(files):
        if first <= topic_first <= next_:
            return first
    return topic_first


def missing(files: Collection[File], topic_first: int) -> list[Span]:
    """What neither has behind the first offset of the archive, in order. Arguments: as `begins`."""
    begin = begins(files, topic_first)
    before = [each for each in covered(files) if each[0] < begin]
    return [Span(one[1], other[0]) for one, other in pairwise([*before, (begin, begin)])]


def turn(
    files: Collection[File], topic_first: int, start: int, stop: int, topic_from: int | None = None
) -> int:
    """Where the reading of [start, stop) goes over from the archive to the topic, between both.

    topic_from: the topic is read from there on wherever it has the records; none: the archive is, as far as
    it goes. Where the turn is below `topic_first` and `stop`, what lies at it is missing.
    """
    upto = uncovered(files, start).first
    if topic_from is not None:
        upto = min(upto, max(start, topic_first, topic_from))
    return min(upto, stop)


def furthest(files: Collection[File], offset: int) -> File | None:
    """Of the files that cover an offset the one that goes furthest; none where none does."""
    return max(
        (file for file in files if file.first <= offset < file.next),
        key=lambda file: file.next,
        default=None,
    )
