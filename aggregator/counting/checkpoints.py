"""Where counting stands: the checkpoints of a partition's lanes, and the calls that move them.

Pure. `checkpoint(lane, partition)` is a position: every event of the partition below it whose tenant is in
the lane is counted, none at or above. Each call says `prev`, the position that the caller believes in, and
`end`, the new one. `prev` becomes the end of what was *read*, at once, and not of what was answered: so a
Redis that has gone back in time shows itself as a checkpoint below `prev`, also with several calls in flight.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

from aggregator.counting.facts import Facts, Scopes
from schemas.instants import QUARTERS
from schemas.redis_keys import BLOCK_DAYS

FACTS_A_CALL: Final = 1000
"""Redis does nothing else while a script runs: some 4 ms for this many facts.

A call costs for each counter that it touches: with 500 a worker reached 0.52 of the ceiling, with 1,000 in
the same minutes 0.63. But the API waits for whole calls, and a worker that catches up makes one after the
other: with 3,000 it was no faster, and the API's p99 was then 20 times its idle one instead of 8 times.
"""

COST_A_FACT: Final = 4
"""A call that may hold so many facts may cost so many times as much, in the unit of `Load`.

That is some 2 to 5 ms of Redis. Ordinary traffic stays below it and is cut by facts alone; what touches new
keys with each fact is cut by it. With 2.5, or with dearer keys, the calls of ordinary traffic became smaller
too, and a fact cost Redis more.
"""

DAY_COST: Final = 12
"""Of a send day: its buckets, and how many there are of them."""

BLOCK_COST: Final = 8
"""Of a tenant and block of days: the counters, and what is known of the tenant."""

SCOPE_COST: Final = 2
"""Of a scope on a day: a field or two to read and write."""

SHORT: Final = 64
STEP: Final = 6
"""Each `STEP` characters of an id above `SHORT` cost one more: a hash with long fields is no compact one."""

Events = list[tuple[int, Facts]]
"""Events that state facts, by offset."""


class Move(NamedTuple):
    """What one call does to one checkpoint of its lane. Packed as it stands: the script reads four numbers.

    partition: whose checkpoint. prev: where the caller believes it to stand, an offset. end: where it is put.
    complete_through_ms: up to when the partition is complete there, in ms since 1970; -1 says nothing new.
    """

    partition: int
    prev: int
    end: int
    complete_through_ms: int = -1


@dataclass(frozen=True, slots=True)
class Span:
    """Events of one lane and partition: all those in offsets [prev, end).

    There may be more at or above `end`, where not all of the lane's are there: they are counted ahead of the
    checkpoint. Whoever passes them with it counts them again, which changes nothing.
    """

    partition: int
    prev: int
    end: int
    events: Events

    def from_checkpoint(self, checkpoint: int) -> "Span | None":
        """What is left of it for a lane that is counted up to `checkpoint`; none where nothing is."""
        events = [event for event in self.events if event[0] >= checkpoint]
        if checkpoint >= self.end and not events:
            return None
        return Span(self.partition, checkpoint, max(checkpoint, self.end), events)


class Load:
    """What the events of one call cost Redis together, taken in one after the other.

    The unit is a fact whose tenant and days the call touches anyway. It is a bound: what two mails of other
    scopes touch both is counted for each.
    """

    def __init__(self) -> None:
        self.facts = 0
        self.cost = 0
        self._mails: set[tuple[Scopes, int, int]] = set()
        self._blocks: set[tuple[str, int]] = set()
        self._days: set[int] = set()

    def take(self, events: Events, first: int, facts: float, cost: float) -> int:
        """Take in events from a place on while all that is taken stays within the limits.

        The first event of a load is taken whatever it costs, as an event is never split.
        first: the place in `events`. facts, cost: the limits, of all that the load holds.
        Returns: the place of the first event that is left.
        """
        mails, blocks, days = self._mails, self._blocks, self._days
        place, held, total = first, self.facts, self.cost
        for _, each in islice(events, first, None):
            number = more = len(each.recipients) * len(each.kinds)
            mail = each.scopes, each.day, each.day + each.quarter // QUARTERS
            if mail not in mails:
                (tenant, ids), day, counted = mail
                block = tenant, counted // BLOCK_DAYS
                more += SCOPE_COST + sum(map(_scope_cost, ids))
                if block not in blocks:
                    more += BLOCK_COST + _long(tenant)
                if day not in days:
                    more += DAY_COST
            if (held + number > facts or total + more > cost) and held:
                break
            held += number
            total += more
            if more != number:
                mails.add(mail)
                blocks.add(block)
                days.add(day)
            place += 1
        self.facts, self.cost = held, total
        return place


def _scope_cost(name: str | None) -> int:
    return 0 if name is None else SCOPE_COST + _long(name)


def _long(name: str) -> int:
    return 0 if len(name) <= SHORT else (len(name) - SHORT) // STEP


def cut(spans: Sequence[Span], facts_a_call: int) -> Iterator[list[Span]]:
    """Parts of the spans of one lane, each for a call: together all of it, in order, cut between offsets.

    spans: of different partitions. facts_a_call: how many facts a call may hold; it may cost `COST_A_FACT`
    times as much. A call of one event may be above both. Partitions share a call alike; what one leaves of
    its share is the next one's.
    """
    left = [(span, 0) for span in spans]
    while left:
        load, parts, rest = Load(), [], []
        for number, (span, first) in enumerate(left, 1):
            share = facts_a_call * number / len(left)
            next_ = load.take(span.events, first, share, share * COST_A_FACT)
            prev = min(span.events[first][0], span.end) if first else span.prev
            if next_ == len(span.events):
                parts.append(Span(span.partition, prev, span.end, span.events[first:]))
                continue
            if next_ > first:
                end = min(span.events[next_][0], span.end)
                parts.append(Span(span.partition, prev, end, span.events[first:next_]))
            rest.append((span, next_))
        yield parts
        left = rest


@dataclass(frozen=True, slots=True)
class Call:
    """What one call counts in a lane: a span of each partition that has any events for it."""

    lane: int
    spans: Sequence[Span]

    @property
    def moves(self) -> list[Move]:
        """The checkpoints that it moves."""
        return [Move(span.partition, span.prev, span.end) for span in self.spans]

    @property
    def facts(self) -> list[Facts]:
        """Its events."""
        return [facts for span in self.spans for _, facts in span.events]

    def from_checkpoint(self, partition: int, checkpoint: int) -> "Call | None":
        """What is left of it for a lane that is counted up to a checkpoint; none where nothing is."""
        left = [
            each.from_checkpoint(checkpoint) if each.partition == partition else each for each in self.spans
        ]
        spans = [each for each in left if each is not None]
        return Call(self.lane, spans) if spans else None


class Backlog:
    """What is read and not yet submitted, by lane.

    Many reads become few calls, of all partitions together: a call costs for each counter that it touches,
    and what happens at one time touches the same ones, in whichever partition it stands.
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
        """The calls that count it, each within the bounds of `cut`."""
        for lane, of_lane in self.spans.items():
            for spans in cut(list(of_lane.values()), facts_a_call):
                yield Call(lane, spans)


class Partition:
    """What is read of a partition, and what that makes of its lanes' checkpoints."""

    def __init__(self, partition: int, checkpoints: Sequence[int]) -> None:
        """Begin at the checkpoints.

        partition: its number. checkpoints: of each lane.
        """
        self.partition = partition
        self.position = min(checkpoints)
        """The offset to read next."""
        self._prev = list(checkpoints)

    def read(self, by_lane: dict[int, Events], end: int, backlog: Backlog) -> Events:
        """Take in a batch that begins at `position`.

        by_lane: the events of the batch that state facts. end: the offset after the batch.
        backlog: is given what counts them. Lanes without events get nothing; `move` takes them along.
        Returns: the events that are counted already, as their lane is ahead of the one that the reading began
        at; nobody is given them.
        """
        self.position = end
        counted: Events = []
        for lane, events in by_lane.items():
            prev, new = self._prev[lane], events
            if events[0][0] < prev:
                counted += [event for event in events if event[0] < prev]
                new = [event for event in events if event[0] >= prev]
            if new:
                backlog.add(lane, Span(self.partition, prev, end, new))
                self._prev[lane] = end
        return counted

    def move(self, lane: int, through_ms: int) -> Move:
        """The move that takes a lane along to the position without events.

        It must reach Redis after all that the backlog was given before. through_ms: as in `Move`.
        """
        prev = self._prev[lane]
        end = max(prev, self.position)
        self._prev[lane] = end
        return Move(self.partition, prev, end, through_ms)
