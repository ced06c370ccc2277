"""Where counting stands: the fences of a partition's lanes, and the calls that move them.

Pure. `fence(lane, partition)` is a position: every event of the partition below it whose tenant is in the
lane is counted, none at or above. Each call says `prev`, the position that the caller believes in, and
`end`, the new one. `prev` becomes the end of what was *read*, at once, and not of what was answered: so a
Redis that has gone back in time shows itself as a fence below `prev`, also with several calls in flight.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from aggregator.facts import Facts

FACTS_A_CALL: Final = 1000
"""Redis does nothing else while a script runs: some 4 ms for this many facts.

A call costs for each counter that it touches: with 500 a worker reached 0.52 of the ceiling, with 1,000 in
the same minutes 0.63. But the API waits for whole calls, and a worker that catches up makes one after the
other: with 3,000 it was no faster, and the API's p99 was then 20 times its idle one instead of 8 times.
"""

Events = list[tuple[int, Facts]]
"""Events that state facts, by offset."""


@dataclass(frozen=True, slots=True)
class Span:
    """The events of one lane in offsets [prev, end) of one partition."""

    partition: int
    prev: int
    end: int
    events: Events

    def from_fence(self, fence: int) -> "Span | None":
        """What is left of it for a lane that is counted up to `fence`; none where nothing is."""
        if fence >= self.end:
            return None
        return Span(self.partition, fence, self.end, [event for event in self.events if event[0] >= fence])

    def cut(self, most: int) -> "Iterator[Span]":
        """Parts of it of at most `most` facts, cut between offsets: an event is never split."""
        prev, first, facts = self.prev, 0, 0
        for index, (offset, each) in enumerate(self.events):
            more = len(each.recipients)
            if facts + more > most and index > first:
                yield Span(self.partition, prev, offset, self.events[first:index])
                prev, first, facts = offset, index, 0
            facts += more
        yield Span(self.partition, prev, self.end, self.events[first:])


@dataclass(frozen=True, slots=True)
class Call:
    """What one call counts in a lane: a span of each partition that has any events for it."""

    lane: int
    spans: Sequence[Span]

    @property
    def moves(self) -> list[tuple[int, int, int, int]]:
        """The fences that it moves: (partition, prev, end, -1 for no complete-through)."""
        return [(span.partition, span.prev, span.end, -1) for span in self.spans]

    @property
    def facts(self) -> list[Facts]:
        """Its events."""
        return [facts for span in self.spans for _, facts in span.events]

    def from_fence(self, partition: int, fence: int) -> "Call | None":
        """What is left of it for a lane that is counted up to a fence; none where nothing is."""
        left = [each.from_fence(fence) if each.partition == partition else each for each in self.spans]
        spans = [each for each in left if each is not None]
        return Call(self.lane, spans) if spans else None


class Backlog:
    """What is read and not yet handed over, by lane.

    Many reads become few calls, of all partitions together: a call costs for each counter that it touches,
    and what happens at one time touches the same ones, in whichever partition it is told.
    """

    def __init__(self) -> None:
        self.spans: dict[int, dict[int, Span]] = {}
        """By lane and partition."""

    def add(self, lane: int, span: Span) -> None:
        """Take a span over, which begins where the one before of this lane and partition ended."""
        of_lane = self.spans.setdefault(lane, {})
        had = of_lane.get(span.partition)
        if had is not None:
            had.events.extend(span.events)
            span = Span(span.partition, had.prev, span.end, had.events)
        of_lane[span.partition] = span

    def calls(self, facts_a_call: int = FACTS_A_CALL) -> Iterator[Call]:
        """The calls that count it, each of at most so many facts, or of one event of each partition."""
        for lane, of_lane in self.spans.items():
            share = facts_a_call // len(of_lane)
            parts = zip_longest(*[span.cut(share) for span in of_lane.values()])
            for spans in parts:
                yield Call(lane, [span for span in spans if span is not None])


class Partition:
    """What is read of a partition, and what that makes of its lanes' fences."""

    def __init__(self, partition: int, fences: Sequence[int]) -> None:
        """Begin at the fences.

        partition: its number. fences: of each lane.
        """
        self.partition = partition
        self.position = min(fences)
        """The offset to read next."""
        self._prev = list(fences)

    def read(self, by_lane: dict[int, Events], end: int, backlog: Backlog) -> None:
        """Take in a batch that begins at `position`.

        by_lane: the events of the batch that state facts. end: the offset after the batch.
        backlog: is given what counts them. Lanes without events get nothing; `move` takes them along.
        """
        self.position = end
        for lane, events in by_lane.items():
            prev = self._prev[lane]
            if prev >= end:
                continue
            # Events below `prev` are counted: the lane was ahead of the one that the reading began at.
            new = events if events[0][0] >= prev else [event for event in events if event[0] >= prev]
            if new:
                backlog.add(lane, Span(self.partition, prev, end, new))
                self._prev[lane] = end

    def move(self, lane: int, through_ms: int) -> tuple[int, int, int, int]:
        """The move (prev, end) that takes a lane along to the position without events.

        It must reach Redis after all that the backlog was given before. through_ms: complete-through in ms,
        or -1 for none.
        """
        prev = self._prev[lane]
        end = max(prev, self.position)
        self._prev[lane] = end
        return self.partition, prev, end, through_ms
