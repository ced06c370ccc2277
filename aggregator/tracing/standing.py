"""What became of a fact that a record states: whether and where it counts, and by which record. Pure.

Redis remembers of a fact the quarter of an hour in which it counts, and not who told it: that is in the log.
So both are given here: what Redis remembers, and every counted record that states the same fact. The key of
a record is its mail's id, so all records of a mail lie in one partition, in the order in which they are
counted.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple


class Word(StrEnum):
    """What became of it."""

    COUNTED = "counted"
    """It counts when this record says."""
    REPEATED = "repeated"
    """A record before this one had stated it, for the same time or an earlier one."""
    MOVED = "moved"
    """It counted when this record says, until a later record stated it for an earlier time."""
    NOT_YET = "not_yet"
    """The record is not counted yet: its offset is not below the checkpoint."""
    EARLIER = "earlier"
    """It counts at an earlier time, by a record that was not found, or not looked for."""
    EXPIRED = "expired"
    """It was counted so long ago that Redis no longer remembers where."""
    BEFORE_START = "before_start"
    """The counters were counted from a later offset on."""
    WRONG = "wrong"
    """Redis should remember it, and does not, or for a later time: `verify` says what else is wrong."""


class Told(NamedTuple):
    """That a record states the fact. quarter: of an hour, from the start of the send day."""

    offset: int
    quarter: int


class Standing(NamedTuple):
    """Where a fact stands.

    quarter: in which it counts, from the start of the send day; none where it does not, or nobody knows.
    by: the offset of the first record that states it for then; none where it is not known.
    """

    word: Word
    quarter: int | None = None
    by: int | None = None


class Lane(NamedTuple):
    """What Redis says of the record's partition in its tenant's lane.

    checkpoint: records below it are counted. start: those below it never were, as the counters begin there.
    """

    checkpoint: int
    start: int = 0


def standing_of(  # noqa: PLR0911  # the cases, one under the other
    mine: Told, told: Sequence[Told], held: int | None, lane: Lane, *, kept: bool
) -> Standing:
    """Where the fact of a record stands.

    mine: what the record says. told: what other records of its partition say of the same fact.
    held: the quarter in which Redis says that it counts, none where it says nothing. kept: whether Redis must
    still remember it.
    """
    counted = sorted(each for each in told if lane.start <= each.offset < lane.checkpoint)
    if mine.offset >= lane.checkpoint:
        return Standing(Word.NOT_YET, held, _first(counted, held))
    if mine.offset < lane.start:
        return Standing(Word.BEFORE_START, held, _first(counted, held))
    counted = sorted([*counted, mine])
    if held is None:
        if kept:
            return Standing(Word.WRONG)
        least = min(each.quarter for each in counted)
        return Standing(Word.EXPIRED, least, _first(counted, least))
    if held > mine.quarter:
        return Standing(Word.WRONG, held, _first(counted, held))
    by = _first(counted, held)
    if by == mine.offset:
        return Standing(Word.COUNTED, held, by)
    if by is None:
        return Standing(Word.EARLIER, held)
    before = any(each.offset < mine.offset and each.quarter <= mine.quarter for each in counted)
    return Standing(Word.REPEATED if before else Word.MOVED, held, by)


def _first(counted: Sequence[Told], quarter: int | None) -> int | None:
    """The offset of the first of them, in the order of offsets, that tells of a quarter."""
    return next((each.offset for each in counted if each.quarter == quarter), None)
