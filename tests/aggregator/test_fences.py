"""The calls that count a partition, and the moves beside them: laws by Hypothesis."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from aggregator.facts import Facts, Scopes
from aggregator.fences import FACTS_A_CALL, Call, Events, Partition

LANES = 3
NUMBER = 5
"""Of the partition."""


def facts(offset: int, recipients: int) -> Facts:
    return Facts(Scopes("t", None, None), 1, 1, f"m{offset}", 0, tuple(str(n) for n in range(recipients)))


sizes = st.one_of(
    st.integers(1, 3),
    st.sampled_from([FACTS_A_CALL // 2, FACTS_A_CALL - 1, FACTS_A_CALL, FACTS_A_CALL + 1, 2 * FACTS_A_CALL]),
)
"""Facts of an event, also about as many as a call may hold, and more."""


Log = tuple[list[int], list[tuple[dict[int, Events], int]], list[int]]
"""Fences to begin at, batches (events by lane, end) from the least of them on, which a tick follows."""


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """A partition's log, as it is read."""
    fences = draw(st.lists(st.integers(0, 12), min_size=LANES, max_size=LANES))
    at, batches = min(fences), []
    for _ in range(draw(st.integers(0, 5))):
        end = at + draw(st.integers(1, 8))
        by_lane: dict[int, Events] = {}
        for offset in range(at, end):
            lane = draw(st.integers(-1, LANES - 1))  # -1: states nothing
            if lane >= 0:
                by_lane.setdefault(lane, []).append((offset, facts(offset, draw(sizes))))
        batches.append((by_lane, end))
        at = end
    return fences, batches, draw(st.lists(st.integers(0, 5), max_size=3))


def replay(
    log: Log,
) -> tuple[Partition, dict[int, list[Call | tuple[int, int]]]]:
    """Read the batches, ticking in between; the calls and moves of each lane, in order."""
    fences, batches, ticks = log
    partition = Partition(NUMBER, fences)
    steps: dict[int, list[Call | tuple[int, int]]] = {lane: [] for lane in range(LANES)}
    for index, (by_lane, end) in enumerate(batches):
        for call in partition.read(by_lane, end):
            steps[call.lane].append(call)
        if index in ticks:
            for lane in range(LANES):
                number, prev, to, through = partition.move(lane, 77)
                assert (number, through) == (NUMBER, 77)
                steps[lane].append((prev, to))
    return partition, steps


def bounds(step: Call | tuple[int, int]) -> tuple[int, int]:
    return (step.prev, step.end) if isinstance(step, Call) else step


@given(logs())
def test_the_steps_of_a_lane_are_without_gap_or_overlap(
    log: Log,
) -> None:
    """Each begins where the one before ended, the first at the lane's fence, and none goes down."""
    partition, steps = replay(log)
    for lane, of_lane in steps.items():
        spans = [(log[0][lane], log[0][lane]), *map(bounds, of_lane)]
        assert all(before[1] == after[0] for before, after in pairwise(spans))
        assert all(prev <= end for prev, end in spans)
        assert all(step.prev < step.end for step in of_lane if isinstance(step, Call)), "a call moves"
        _, prev, end, _ = partition.move(lane, -1)
        assert prev == spans[-1][1]
        assert end == max(log[0][lane], partition.position), "a move ends where the reading stands"
        assert partition.move(lane, -1) == (NUMBER, end, end, -1), "and a second one changes nothing"


@given(logs())
def test_each_event_at_or_above_its_lanes_fence_is_in_one_call(
    log: Log,
) -> None:
    """None is lost, split, repeated or reordered, and none below the fence is counted again."""
    fences, batches, _ = log
    partition, steps = replay(log)
    assert partition.position == (batches[-1][1] if batches else min(fences))
    for lane, of_lane in steps.items():
        called = [event for step in of_lane if isinstance(step, Call) for event in step.events]
        read = [event for by_lane, _ in batches for event in by_lane.get(lane, [])]
        assert called == [event for event in read if event[0] >= fences[lane]]
        for step in of_lane:
            if isinstance(step, Call):
                assert (step.lane, step.partition) == (lane, NUMBER)
                assert step.events, "only moves are empty"
                assert all(step.prev <= offset < step.end for offset, _ in step.events)


@given(logs())
def test_a_call_holds_no_more_facts_than_it_may_unless_one_event_does(
    log: Log,
) -> None:
    """And a batch is not cut where both halves would fit into one call."""
    partition, fences = Partition(NUMBER, log[0]), log[0]
    for by_lane, end in log[1]:
        assert partition.position >= min(fences)
        calls = partition.read(by_lane, end)
        for call in calls:
            assert (
                sum(len(each.recipients) for _, each in call.events) <= FACTS_A_CALL or len(call.events) == 1
            )
        for before, after in pairwise(calls):
            if before.lane == after.lane:
                held = sum(len(each.recipients) for _, each in before.events)
                assert held + len(after.events[0][1].recipients) > FACTS_A_CALL


@given(logs(), st.integers(0, 60))
def test_what_is_left_of_a_call_is_what_lies_at_or_above_the_fence(log: Log, fence: int) -> None:
    """A lane found further on takes the rest from there, whole events; nothing where it is past the end."""
    _, steps = replay(log)
    for call in (step for of_lane in steps.values() for step in of_lane if isinstance(step, Call)):
        rest = call.from_fence(max(fence, call.prev))
        if fence >= call.end:
            assert rest is None
        else:
            assert rest is not None
            assert (rest.lane, rest.partition, rest.end) == (call.lane, call.partition, call.end)
            assert rest.prev == max(fence, call.prev)
            assert rest.events == [event for event in call.events if event[0] >= fence]


def test_thousands_of_small_events_are_cut_into_even_calls() -> None:
    """A backlog becomes calls of the size that Redis takes in some milliseconds."""
    backlog = [(offset, facts(offset, 1)) for offset in range(10, 10 + 2 * FACTS_A_CALL + 1)]
    calls = Partition(0, [4]).read({0: backlog}, 20_000)
    assert [(call.prev, call.end, len(call.events)) for call in calls] == [
        (4, 10 + FACTS_A_CALL, FACTS_A_CALL),
        (10 + FACTS_A_CALL, 10 + 2 * FACTS_A_CALL, FACTS_A_CALL),
        (10 + 2 * FACTS_A_CALL, 20_000, 1),
    ]


def test_reading_begins_at_the_least_fence() -> None:
    """The lane that is furthest behind decides; the others wait until the reading has come to them."""
    partition = Partition(0, [7, 3, 5])
    assert partition.position == 3
    assert [partition.move(lane, -1)[1:3] for lane in range(3)] == [(7, 7), (3, 3), (5, 5)]
    assert partition.read({0: [(3, facts(3, 1))], 1: [(4, facts(4, 1))]}, 6) == [
        Call(1, 0, 3, 6, [(4, facts(4, 1))])
    ]
    assert [partition.move(lane, -1)[1:3] for lane in range(3)] == [(7, 7), (6, 6), (5, 6)]
