"""From the lanes of the live generation to those of the new one: what to count where, and how far. Pure.

A tenant lives in lane `c % live` of the one and `c % new` of the other, where c is its checksum
(`redis_keys.lane_of`). So two lanes may share tenants exactly where they are equal modulo the greatest common
divisor of both numbers; what is equal modulo it is a group, and its tenants live in no lane without.

Live lanes stand at different checkpoints. For a new lane to be as far as one of them, for the tenants of that
one alone, it is counted *ahead* of its own checkpoint, which itself moves to the least checkpoint of the live
lanes of its group: so it passes none of those that are compared later. Law: all events that a checkpoint
passes are in the calls that move it, also those which were counted ahead already: applying commutes and
repeats harmlessly. So a Redis that went back, or a rebuild that goes on, needs nothing but the checkpoints
here either. With as many lanes in both, each lane is a group, and nothing is ever counted ahead.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import gcd, lcm
from operator import itemgetter
from typing import Final, NamedTuple

from aggregator.counting.checkpoints import Backlog, Events, Move, Span

Offsets = Mapping[int, int]
"""By partition."""

_OFFSET: Final = itemgetter(0)
"""Of an event."""


@dataclass(frozen=True, slots=True)
class LaneGroups:
    """live, new: how many lanes either generation has."""

    live: int
    new: int

    @property
    def number(self) -> int:
        """How many groups there are, numbered from 0."""
        return gcd(self.live, self.new)

    @property
    def finest(self) -> int:
        """Tenants in so many lanes are sorted for both: modulo either number it is the lane there."""
        return lcm(self.live, self.new)

    def of(self, lane: int) -> int:
        """The group of a lane of either generation."""
        return lane % self.number

    def live_lanes(self, group: int) -> range:
        """The lanes of the live generation that are in a group."""
        return range(group, self.live, self.number)

    def new_lanes(self, group: int) -> range:
        """The lanes of the new generation that are in a group."""
        return range(group, self.new, self.number)


class Step(NamedTuple):
    """What is to be counted, and the moves (by new lane) that are to be made then."""

    backlog: Backlog
    moves: dict[int, list[Move]]


class Regrouping:
    """Where the new lanes stand, up to where they hold the tenants of each live lane, and what is read.

    A step that it gives is taken for done.
    """

    def __init__(
        self, groups: LaneGroups, checkpoints: Sequence[Offsets], partitions: Collection[int]
    ) -> None:
        """Begin.

        checkpoints: of each new lane, none is 0. partitions: of the topic.
        """
        self.groups: Final = groups
        self._checkpoints = [{number: lane.get(number, 0) for number in partitions} for lane in checkpoints]
        self._counted = [dict.fromkeys(partitions, 0) for _ in range(groups.live)]
        self._read: list[dict[int, defaultdict[int, Events]]] = [{} for _ in checkpoints]
        # For each new lane, by live lane and partition: all that is read at or above its checkpoint.

    def first_unread(self) -> dict[int, int]:
        """For each partition, where reading begins."""
        return {number: min(lane[number] for lane in self._checkpoints) for number in self._checkpoints[0]}

    def add_partition(self, number: int) -> None:
        """Take in a partition that is new to the topic."""
        for lane in (*self._checkpoints, *self._counted):
            lane[number] = 0

    def add(self, number: int, by_lane: Mapping[int, Events]) -> None:
        """Take in what was read of a partition. by_lane: as if there were `LaneGroups.finest` lanes."""
        for each, events in by_lane.items():
            live, lane = each % self.groups.live, each % self.groups.new
            checkpoint = self._checkpoints[lane][number]
            if events[-1][0] >= checkpoint:
                of_live = self._read[lane].setdefault(live, defaultdict(list))
                of_live[number] += events[_place(events, checkpoint) :]

    def reached(self, live_lane: int) -> dict[int, int]:
        """For each partition, the furthest checkpoint in the group of a live lane."""
        lanes = [self._checkpoints[lane] for lane in self.groups.new_lanes(self.groups.of(live_lane))]
        return {number: max(lane[number] for lane in lanes) for number in lanes[0]}

    def count_to(self, offsets: Mapping[int, Offsets]) -> Step:
        """Count the tenants of live lanes up to offsets that are read already; what is passed stays passed.

        offsets: by live lane.
        """
        before = {}
        for live_lane, ends in offsets.items():
            counted = self._counted[live_lane]
            before[live_lane] = dict(counted)
            counted.update({number: max(end, counted[number]) for number, end in ends.items()})
        step = Step(Backlog(), {})
        for group in sorted({self.groups.of(live_lane) for live_lane in offsets}):
            live_lanes = [self._counted[lane] for lane in self.groups.live_lanes(group)]
            least = {number: min(lane[number] for lane in live_lanes) for number in live_lanes[0]}
            for lane in self.groups.new_lanes(group):
                self._count_lane(lane, least, before, step)
        return step

    def count_again(self, live_lane: int) -> Step:
        """Count once more what was counted ahead for a live lane."""
        counted = self._counted[live_lane]
        self._counted[live_lane] = dict.fromkeys(counted, 0)
        return self.count_to({live_lane: counted})

    def _count_lane(self, lane: int, least: Offsets, before: Mapping[int, Offsets], step: Step) -> None:
        """Move a new lane, and count ahead what else is wanted.

        least: where its checkpoints go, unless they are there. before: up to where those live lanes were
        counted that are counted further now. step: is given what is to be done.
        """
        checkpoints = self._checkpoints[lane]
        ends = {number: max(least[number], checkpoint) for number, checkpoint in checkpoints.items()}
        wanted: defaultdict[int, Events] = defaultdict(list)
        for live_lane, by_partition in self._read[lane].items():
            if live_lane not in before and ends == checkpoints:
                continue
            for number, events in by_partition.items():
                passed = _place(events, ends[number])
                wanted[number] += events[:passed]
                if live_lane in before:
                    ahead = _place(events, max(ends[number], before[live_lane][number]))
                    wanted[number] += events[ahead : _place(events, self._counted[live_lane][number])]
                del events[:passed]
        moves = []
        for number, end in ends.items():
            if wanted[number]:
                events = sorted(wanted[number], key=_OFFSET)
                step.backlog.add(lane, Span(number, checkpoints[number], end, events))
            elif end > checkpoints[number]:
                moves.append(Move(number, checkpoints[number], end))
        if moves:
            step.moves[lane] = moves
        self._checkpoints[lane] = ends

    def carry(self, through_ms: Mapping[int, Mapping[int, int]]) -> dict[int, list[Move]]:
        """Take over up to when partitions are complete: in each new lane where its whole group is.

        through_ms: by live lane and partition. It must have stood beside checkpoints that the live lane's
        tenants are counted up to: then all that was complete there is counted here. Returns: moves.
        """
        moves = {}
        for group in range(self.groups.number):
            known = [through_ms[lane] for lane in self.groups.live_lanes(group)]
            least = {
                number: min(each[number] for each in known) for number in set(known[0]).intersection(*known)
            }
            for lane in self.groups.new_lanes(group):
                stands = {number: self._checkpoints[lane].get(number, 0) for number in least}
                moves[lane] = [Move(number, at, at, least[number]) for number, at in stands.items()]
        return moves


def _place(events: Events, offset: int) -> int:
    """Where in events, which rise, those at or above an offset begin."""
    return bisect_left(events, offset, key=_OFFSET)
