"""Where counting stands: the fences of a partition's lanes, and the calls that move them.

Pure. `fence(lane, partition)` is a position: every event of the partition below it whose tenant is in the
lane is counted, none at or above. Each call says `prev`, the position that the caller believes in, and
`end`, the new one. `prev` becomes the end of what was *read*, at once, and not of what was answered: so a
Redis that has gone back in time shows itself as a fence below `prev`, also with several calls in flight.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from aggregator.facts import Facts

FACTS_A_CALL: Final = 3000
"""Redis does nothing else while a script runs: some milliseconds for this many facts."""

Events = list[tuple[int, Facts]]
"""Events that state facts, by offset."""


@dataclass(frozen=True, slots=True)
class Call:
    """The events of one lane in offsets [prev, end) of one partition."""

    lane: int
    partition: int
    prev: int
    end: int
    events: Events

    def from_fence(self, fence: int) -> "Call | None":
        """What is left of the call for a lane that is counted up to `fence`; none where nothing is."""
        if fence >= self.end:
            return None
        rest = [event for event in self.events if event[0] >= fence]
        return Call(self.lane, self.partition, fence, self.end, rest)


class Partition:
    """What is read of a partition, and what that makes of its lanes' fences."""

    def __init__(self, partition: int, fences: Sequence[int], facts_a_call: int = FACTS_A_CALL) -> None:
        """Begin at the fences.

        partition: its number. fences: of each lane. facts_a_call: at most so many, see `cut`.
        """
        self.partition = partition
        self.position = min(fences)
        """The offset to read next."""
        self._prev = list(fences)
        self._facts_a_call = facts_a_call

    def read(self, by_lane: dict[int, Events], end: int) -> list[Call]:
        """Take in a batch that begins at `position`.

        by_lane: the events of the batch that state facts. end: the offset after the batch.
        Returns: the calls that count it, in order. Lanes without events have none; `moves` takes them along.
        """
        self.position = end
        calls: list[Call] = []
        for lane, events in by_lane.items():
            prev = self._prev[lane]
            if prev >= end:
                continue
            # Events below `prev` are counted: the lane was ahead of the one that the reading began at.
            new = events if events[0][0] >= prev else [event for event in events if event[0] >= prev]
            if new:
                calls.extend(cut(lane, self.partition, prev, end, new, facts_a_call=self._facts_a_call))
                self._prev[lane] = end
        return calls

    def move(self, lane: int, through_ms: int) -> tuple[int, int, int, int]:
        """The move (prev, end) that takes a lane along to the position without events.

        through_ms: complete-through in ms, or -1 for none.
        """
        prev = self._prev[lane]
        end = max(prev, self.position)
        self._prev[lane] = end
        return self.partition, prev, end, through_ms


def cut(
    lane: int, partition: int, prev: int, end: int, events: Events, *, facts_a_call: int = FACTS_A_CALL
) -> Iterator[Call]:
    """Calls of at most `facts_a_call` facts, cut between offsets: an event is never split."""
    first = facts = 0
    for index, (offset, each) in enumerate(events):
        more = len(each.recipients)
        if facts + more > facts_a_call and index > first:
            yield Call(lane, partition, prev, offset, events[first:index])
            prev, first, facts = offset, index, 0
        facts += more
    yield Call(lane, partition, prev, end, events[first:])
