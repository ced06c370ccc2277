"""From live lanes to new ones, for any two numbers of lanes: laws by Hypothesis on a model of Redis."""

from itertools import product
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.counting.checkpoints import Events, Move
from aggregator.counting.facts import Facts
from aggregator.rebuild.regrouping import LaneGroups, Regrouping, Step
from tests.examples import examples

numbers_of_lanes = st.integers(1, 12)


@given(numbers_of_lanes, numbers_of_lanes)
def test_lanes_that_share_tenants_are_in_one_group_and_no_others(live: int, new: int) -> None:
    """Said a second time, by looking at what the checksum of a tenant may be."""
    groups = LaneGroups(live, new)
    sharing = {(checksum % live, checksum % new) for checksum in range(live * new)}
    in_one_group = {
        pair
        for group in range(groups.number)
        for pair in product(groups.live_lanes(group), groups.new_lanes(group))
    }
    assert in_one_group == sharing
    assert all(groups.of(live_lane) == groups.of(new_lane) for live_lane, new_lane in sharing)
    assert all((c % groups.finest % live, c % groups.finest % new) in sharing for c in range(live * new))


def test_as_many_lanes_are_as_many_groups() -> None:
    groups = LaneGroups(16, 16)
    assert (groups.number, groups.finest) == (16, 16)
    assert [*groups.live_lanes(5), *groups.new_lanes(5)] == [5, 5]


PARTITIONS = 2
SENT = 12
"""Records in each partition."""


class Model:
    """A live generation, a new one, and the log: a tenant is its checksum, an event the tenant's."""

    def __init__(self, data: st.DataObject, groups: LaneGroups) -> None:
        self.data, self.groups = data, groups
        self.log = [
            data.draw(st.lists(st.integers(0, groups.finest - 1), min_size=SENT, max_size=SENT))
            for _ in range(PARTITIONS)
        ]
        bulk = data.draw(st.lists(st.integers(0, SENT), min_size=PARTITIONS, max_size=PARTITIONS))
        # A rebuild that was killed while it compared has left its new lanes at different checkpoints.
        beyond = data.draw(st.integers(0, 3))
        self.live = [[min(SENT, at + beyond) for at in bulk] for _ in range(groups.live)]
        self.checkpoints = [
            [data.draw(st.integers(at, at + beyond)) for at in bulk] for _ in range(groups.new)
        ]
        self.checkpoints = [[min(SENT, at) for at in lane] for lane in self.checkpoints]
        self.held = [
            {(p, at) for p, at in self.events(lane) if at < self.checkpoints[lane][p]}
            for lane in range(groups.new)
        ]
        self.went_back = False
        self.begin()

    def begin(self) -> None:
        """As who begins, and knows nothing but the checkpoints."""
        stored = [dict(enumerate(lane)) for lane in self.checkpoints]
        self.regrouping = Regrouping(self.groups, stored, range(PARTITIONS))
        self.positions = [self.regrouping.first_unread()[number] for number in range(PARTITIONS)]

    def events(self, lane: int) -> set[tuple[int, int]]:
        """Partition and offset of all events of a new lane."""
        return {
            (number, at)
            for number, log in enumerate(self.log)
            for at, tenant in enumerate(log)
            if tenant % self.groups.new == lane
        }

    def read_to(self, offsets: list[int]) -> None:
        for number, end in enumerate(offsets):
            by_lane: dict[int, Events] = {}
            for at in range(self.positions[number], end):
                by_lane.setdefault(self.log[number][at], []).append((at, cast("Facts", None)))
            self.regrouping.add(number, by_lane)
            self.positions[number] = max(end, self.positions[number])

    def apply(self, step: Step) -> None:
        """As Redis does, which refuses to move what stands elsewhere."""
        for lane, spans in step.backlog.spans.items():
            for number, span in spans.items():
                assert self.checkpoints[lane][number] == span.prev
                self.held[lane] |= {(number, at) for at, _ in span.events}
                assert [at for at, _ in span.events] == sorted({at for at, _ in span.events})
                passed = {at for number_, at in self.events(lane) if number_ == number}
                passed &= set(range(span.prev, span.end))
                assert passed <= {at for at, _ in span.events}, "a checkpoint passes what is not with it"
                self.checkpoints[lane][number] = span.end
        for lane, moves in step.moves.items():
            for number, prev, end, _ in moves:
                assert self.checkpoints[lane][number] == prev
                assert not {at for of, at in self.events(lane) if of == number} & set(range(prev, end))
                self.checkpoints[lane][number] = end

    def live_goes_on(self, lane: int) -> None:
        for number in range(PARTITIONS):
            at = self.live[lane][number]
            self.live[lane][number] = self.data.draw(st.integers(at, SENT))

    def loses_what_was_counted_ahead(self) -> None:
        """A Redis that went back, to where its checkpoints were no others."""
        for lane, held in enumerate(self.held):
            ahead = {(number, at) for number, at in held if at >= self.checkpoints[lane][number]}
            if ahead:
                held.difference_update(self.data.draw(st.sets(st.sampled_from(sorted(ahead)))))
        self.went_back = True

    def compare(self, lane: int) -> None:
        """The tenants of a live lane are where that is."""
        at = self.live[lane]
        reached = self.regrouping.reached(lane)
        assert all(at[number] >= reached[number] for number in range(PARTITIONS)), "a live lane was passed"
        self.read_to(at)
        self.apply(self.regrouping.count_to({lane: dict(enumerate(at))}))
        want = {
            (number, offset)
            for number, log in enumerate(self.log)
            for offset, tenant in enumerate(log[: at[number]])
            if tenant % self.groups.live == lane
        }
        if self.went_back and self.counted(lane) != want:
            self.apply(self.regrouping.count_again(lane))
        assert self.counted(lane) == want

    def counted(self, lane: int) -> set[tuple[int, int]]:
        """Partition and offset of all that the new lanes hold of a live one."""
        held = set().union(*self.held)
        return {(p, at) for p, at in held if self.log[p][at] % self.groups.live == lane}

    def end(self) -> None:
        """All that is read, in all lanes, and nothing in any above its checkpoint."""
        self.read_to([SENT] * PARTITIONS)
        everything = dict.fromkeys(range(PARTITIONS), SENT)
        self.apply(self.regrouping.count_to(dict.fromkeys(range(self.groups.live), everything)))
        assert self.checkpoints == [[SENT] * PARTITIONS] * self.groups.new
        assert self.held == [self.events(lane) for lane in range(self.groups.new)]


@settings(max_examples=examples(200))
@given(st.data(), st.integers(1, 6), st.integers(1, 6))
def test_each_live_lane_is_compared_where_it_stands_and_none_is_passed(
    data: st.DataObject, live: int, new: int
) -> None:
    """In any order, while they go on, with crashes and a Redis that goes back; at the end all is counted."""
    model = Model(data, LaneGroups(live, new))
    for lane in data.draw(st.lists(st.integers(0, live - 1), max_size=8)):
        model.live_goes_on(lane)
        model.compare(lane)
        if data.draw(st.booleans()):
            model.loses_what_was_counted_ahead()
        if data.draw(st.booleans()):
            model.begin()
    model.loses_what_was_counted_ahead()
    model.end()


def test_what_was_counted_ahead_is_counted_again_with_the_move_that_passes_it() -> None:
    """A Redis that went back in between has lost it, and no checkpoint shows that."""
    regrouping = Regrouping(LaneGroups(2, 1), [{0: 0}], [0])
    one, two, three = ((at, cast("Facts", None)) for at in (1, 2, 3))
    regrouping.add(0, {0: [one, three], 1: [two]})
    (span,) = regrouping.count_to({0: {0: 4}}).backlog.spans[0].values()
    assert (span.prev, span.end, span.events) == (0, 0, [one, three])
    (span,) = regrouping.count_to({1: {0: 4}}).backlog.spans[0].values()
    assert (span.prev, span.end) == (0, 4)
    assert span.events == [one, two, three], "a checkpoint passes what is not with it"


def test_with_as_many_lanes_nothing_is_counted_ahead() -> None:
    """A lane moves to where the live one stands, by one call that holds what is below, and no more."""
    regrouping = Regrouping(LaneGroups(2, 2), [{0: 4}, {0: 5}], [0])
    events: Events = [(at, cast("Facts", None)) for at in range(4, 9)]
    regrouping.add(0, {1: events})
    step = regrouping.count_to({1: {0: 7}})
    (span,) = step.backlog.spans[1].values()
    assert (span.prev, span.end, span.events) == (5, 7, events[1:3])
    assert (len(step.backlog.spans), step.moves) == (1, {})
    step = regrouping.count_to({0: {0: 9}})
    assert (step.backlog.spans, step.moves) == ({}, {0: [Move(0, 4, 9)]})


def test_how_complete_a_lane_is_is_what_all_are_whose_tenants_it_has() -> None:
    """The least time; none where one of them has none. Others do not count."""
    regrouping = Regrouping(LaneGroups(4, 2), [{0: 4, 1: 0}, {0: 6, 1: 1}], [0, 1])
    moves = regrouping.carry({0: {0: 70, 1: 90}, 2: {0: 60}, 1: {0: 50, 1: 40}, 3: {0: 55, 1: 30}})
    assert moves == {0: [Move(0, 4, 4, 60)], 1: [Move(0, 6, 6, 50), Move(1, 1, 1, 30)]}


@pytest.mark.parametrize(("checkpoint", "first"), [(0, 3), (3, 3), (5, 5), (8, 9)])
def test_what_a_lane_has_counted_is_not_kept(checkpoint: int, first: int) -> None:
    """Of what is read, only what lies at or above the checkpoint is held and counted."""
    regrouping = Regrouping(LaneGroups(1, 1), [{0: checkpoint}], [0])
    regrouping.add(0, {0: [(at, cast("Facts", None)) for at in (3, 5, 9)]})
    (span,) = regrouping.count_to({0: {0: 20}}).backlog.spans[0].values()
    assert span.events[0][0] == first
