"""The calls that count a partition, and the moves beside them: laws by Hypothesis.

Long because reading, cutting and moving are held to their laws on one model of a log.
"""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.counting.checkpoints import (
    BLOCK_COST,
    COST_A_FACT,
    DAY_COST,
    FACTS_A_CALL,
    SCOPE_COST,
    SHORT,
    STEP,
    Backlog,
    Call,
    Events,
    Partition,
    Span,
)
from aggregator.counting.facts import Facts, Scopes
from schemas.redis_keys import BLOCK_DAYS
from tests.aggregator.lanes import kinds

LANES = 3
NUMBER = 5
"""Of the partition."""


SCOPES = [
    Scopes("t", (None, None, None)),
    Scopes("t", ("s", None, None)),
    Scopes("t", (None, "p" * 255, "c")),
    Scopes("u", ("s", "p", "c" * 70)),
    Scopes("v" * 255, (None, None, None)),
]
ALONE = kinds("sent")


def facts(
    offset: int,
    recipients: int,
    scopes: Scopes = SCOPES[0],
    *,
    day: int = 1,
    quarter: int = 4,
    stated: tuple[int, ...] = ALONE,
) -> Facts:
    people = tuple(b"%d" % n for n in range(recipients))
    return Facts(scopes, day, quarter, f"m{offset}", stated, people)


def number_of(events: list[Facts]) -> int:
    """Each recipient with each kind is a fact."""
    return sum(len(each.recipients) * len(each.kinds) for each in events)


def cost(events: list[Facts]) -> int:
    """The bound said a second time: of each fact, of each scope on a day, of each block and each send day."""

    def long(name: str) -> int:
        return max(0, len(name) - SHORT) // STEP

    mails = {(each.scopes, each.day, each.day + each.quarter // 96) for each in events}
    blocks = {(scopes.tenant, counted // BLOCK_DAYS) for scopes, _, counted in mails}
    ids = [name for (_, names), _, _ in mails for name in names if name is not None]
    return (
        number_of(events)
        + SCOPE_COST * len(mails)
        + sum(SCOPE_COST + long(name) for name in ids)
        + sum(BLOCK_COST + long(tenant) for tenant, _ in blocks)
        + DAY_COST * len({day for _, day, _ in mails})
    )


def fits(events: list[Facts], facts_a_call: int) -> bool:
    """Whether one call may hold these."""
    return number_of(events) <= facts_a_call and cost(events) <= facts_a_call * COST_A_FACT


sizes = st.one_of(
    st.integers(1, 3),
    st.sampled_from([FACTS_A_CALL // 2, FACTS_A_CALL - 1, FACTS_A_CALL, FACTS_A_CALL + 1, 2 * FACTS_A_CALL]),
)
"""Facts of an event, also about as many as a call may hold, and more."""


Log = tuple[list[int], list[tuple[dict[int, Events], int]], list[int]]
"""Checkpoints to begin at, batches (events by lane, end) from the least of them on, which a tick follows."""


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """A partition's log, as it is read."""
    checkpoints = draw(st.lists(st.integers(0, 12), min_size=LANES, max_size=LANES))
    at, batches = min(checkpoints), []
    for _ in range(draw(st.integers(0, 5))):
        end = at + draw(st.integers(1, 8))
        by_lane: dict[int, Events] = {}
        for offset in range(at, end):
            lane = draw(st.integers(-1, LANES - 1))  # -1: states nothing
            if lane >= 0:
                scopes = draw(st.sampled_from(SCOPES))
                day, quarter = draw(st.integers(0, 9)), draw(st.sampled_from([0, 95, 96, 6047]))
                stated = draw(st.sampled_from([ALONE, kinds("bounced", "suppressed")]))
                each = facts(offset, draw(sizes), scopes, day=day, quarter=quarter, stated=stated)
                by_lane.setdefault(lane, []).append((offset, each))
        batches.append((by_lane, end))
        at = end
    return checkpoints, batches, draw(st.lists(st.integers(0, 5), max_size=3))


Step = Call | tuple[int, int]
"""A call, or the move of a tick: (prev, end)."""


def replay(log: Log, facts_a_call: int = FACTS_A_CALL) -> tuple[Partition, dict[int, list[Step]]]:
    """Read the batches; ticks in between hand over all that was read. Each lane's steps, in order."""
    checkpoints, batches, ticks = log
    partition, backlog = Partition(NUMBER, checkpoints), Backlog()
    steps: dict[int, list[Step]] = {lane: [] for lane in range(LANES)}
    for index, (by_lane, end) in enumerate(batches):
        partition.read({lane: list(events) for lane, events in by_lane.items()}, end, backlog)
        if index in ticks or index == len(batches) - 1:
            for call in backlog.calls(facts_a_call):
                steps[call.lane].append(call)
            backlog = Backlog()
        if index in ticks:
            for lane in range(LANES):
                number, prev, to, through = partition.move(lane, 77)
                assert (number, through) == (NUMBER, 77)
                steps[lane].append((prev, to))
    return partition, steps


def span(step: Call) -> Span:
    """The one span of a call where there is one partition."""
    (only,) = step.spans
    assert (only.partition, step.moves) == (NUMBER, [(NUMBER, only.prev, only.end, -1)])
    assert step.facts == [facts for _, facts in only.events]
    return only


def bounds(step: Step) -> tuple[int, int]:
    return (span(step).prev, span(step).end) if isinstance(step, Call) else step


def calls(steps: dict[int, list[Step]]) -> list[Call]:
    return [step for of_lane in steps.values() for step in of_lane if isinstance(step, Call)]


@given(logs())
def test_the_steps_of_a_lane_are_without_gap_or_overlap(log: Log) -> None:
    """Each begins where the one before ended, the first at the lane's checkpoint, and none goes down."""
    partition, steps = replay(log)
    for lane, of_lane in steps.items():
        spans = [(log[0][lane], log[0][lane]), *map(bounds, of_lane)]
        assert all(before[1] == after[0] for before, after in pairwise(spans))
        assert all(prev <= end for prev, end in spans)
        assert all(span(step).prev < span(step).end for step in of_lane if isinstance(step, Call))
        _, prev, end, _ = partition.move(lane, -1)
        assert prev == spans[-1][1]
        assert end == max(log[0][lane], partition.position), "a move ends where the reading stands"
        assert partition.move(lane, -1) == (NUMBER, end, end, -1), "and a second one changes nothing"


@given(logs(), st.sampled_from([1, 2, FACTS_A_CALL]))
def test_each_event_at_or_above_its_lanes_checkpoint_is_in_one_call(log: Log, facts_a_call: int) -> None:
    """None is lost, split, repeated or reordered, and none below the checkpoint is counted again."""
    checkpoints, batches, _ = log
    partition, steps = replay(log, facts_a_call)
    assert partition.position == (batches[-1][1] if batches else min(checkpoints))
    for lane, of_lane in steps.items():
        called = [event for step in of_lane if isinstance(step, Call) for event in span(step).events]
        read = [event for by_lane, _ in batches for event in by_lane.get(lane, [])]
        assert called == [event for event in read if event[0] >= checkpoints[lane]]
    for call in calls(steps):
        assert span(call).events, "only moves are empty"
        assert all(span(call).prev <= offset < span(call).end for offset, _ in span(call).events)


@given(logs(), st.sampled_from([1, 9, 30, FACTS_A_CALL]))
def test_a_call_costs_no_more_than_it_may_unless_one_event_does(log: Log, most: int) -> None:
    """In facts and in keys. And a backlog is not cut where the next event would have fit as well."""
    _, steps = replay((log[0], log[1], []), most)
    for of_lane in steps.values():
        for call in calls({0: of_lane}):
            assert fits(call.facts, most) or len(call.facts) == 1
        for before, after in pairwise(calls({0: of_lane})):
            assert not fits([*before.facts, after.facts[0]], most)


@given(logs(), st.integers(0, 60))
def test_what_is_left_of_a_call_is_what_lies_at_or_above_the_checkpoint(log: Log, checkpoint: int) -> None:
    """A lane found further on takes the rest from there, whole events; nothing where it is past the end."""
    for call in calls(replay(log)[1]):
        whole = span(call)
        rest = call.from_checkpoint(NUMBER, max(checkpoint, whole.prev))
        if checkpoint >= whole.end:
            assert rest is None
        else:
            assert rest is not None
            left = span(rest)
            assert (rest.lane, left.end, left.prev) == (call.lane, whole.end, max(checkpoint, whole.prev))
            assert left.events == [event for event in whole.events if event[0] >= checkpoint]


@given(st.lists(logs(), min_size=2, max_size=4), st.sampled_from([1, 4, 100, FACTS_A_CALL]))
def test_partitions_are_counted_together(several: list[Log], most: int) -> None:
    """A lane's calls hold spans of the partitions, in order; together they are what each has alone."""
    backlog = Backlog()
    alone: dict[tuple[int, int], list[int]] = {}
    for number, (checkpoints, batches, _) in enumerate(several):
        partition = Partition(number, checkpoints)
        for by_lane, end in batches:
            for lane, events in by_lane.items():
                alone.setdefault((lane, number), []).extend(o for o, _ in events if o >= checkpoints[lane])
            partition.read({lane: list(events) for lane, events in by_lane.items()}, end, backlog)
    together: dict[tuple[int, int], list[int]] = {}
    stands: dict[tuple[int, int], int] = {}
    for call in backlog.calls(most):
        numbers = [each.partition for each in call.spans]
        assert numbers == sorted(set(numbers)), "a partition once"
        assert fits(call.facts, most) or len(call.facts) == 1
        for each in call.spans:
            at = call.lane, each.partition
            assert each.prev == stands.get(at, several[each.partition][0][call.lane])
            stands[at] = each.end
            together.setdefault(at, []).extend(offset for offset, _ in each.events)
    assert together == {at: offsets for at, offsets in alone.items() if offsets}


def test_a_call_without_one_partition_keeps_the_others() -> None:
    """A checkpoint that stands further on in one partition takes nothing from the others."""
    one, other = Span(0, 2, 9, [(2, facts(2, 1))]), Span(1, 4, 7, [(5, facts(5, 1))])
    call = Call(3, [one, other])
    assert call.from_checkpoint(0, 9) == Call(3, [other])
    assert call.from_checkpoint(1, 6) == Call(3, [one, Span(1, 6, 7, [])])
    assert Call(3, [one]).from_checkpoint(0, 9) is None


@given(st.integers(0, 20), st.integers(0, 20), st.lists(st.integers(0, 20), unique=True), st.integers(0, 20))
def test_what_is_counted_ahead_moves_no_checkpoint(
    prev: int, moved: int, offsets: list[int], checkpoint: int
) -> None:
    """However a span is cut whose events go on above its end: it ends there, and all of them are counted."""
    whole = Span(NUMBER, prev, prev + moved, [(at, facts(at, 1)) for at in sorted(offsets) if at >= prev])
    backlog = Backlog()
    backlog.add(0, whole)
    parts = [span(call) for call in backlog.calls(1)]
    assert [event for part in parts for event in part.events] == whole.events
    assert [part.prev for part in parts] == [prev, *(part.end for part in parts[:-1])]
    assert parts[-1].end == whole.end
    for part in parts[:-1]:
        assert all(at < part.end for at, _ in part.events) or part.end == whole.end
    rest = Call(0, [whole]).from_checkpoint(NUMBER, max(prev, checkpoint))
    left = [event for event in whole.events if event[0] >= checkpoint]
    assert (rest is None) == (max(prev, checkpoint) >= whole.end and not left)
    if rest is not None:
        at = max(prev, checkpoint)
        assert rest.spans == [Span(NUMBER, at, max(at, whole.end), left)], "what lies above is not lost"


def test_thousands_of_small_events_are_cut_into_even_calls() -> None:
    """A backlog becomes calls of the size that Redis takes in some milliseconds."""
    backlog = Backlog()
    events = [(offset, facts(offset, 1)) for offset in range(10, 10 + 2 * FACTS_A_CALL + 1)]
    Partition(NUMBER, [4]).read({0: events}, 20_000, backlog)
    assert [(*bounds(call), len(call.facts)) for call in backlog.calls()] == [
        (4, 10 + FACTS_A_CALL, FACTS_A_CALL),
        (10 + FACTS_A_CALL, 10 + 2 * FACTS_A_CALL, FACTS_A_CALL),
        (10 + 2 * FACTS_A_CALL, 20_000, 1),
    ]


def backlog_of(events: list[Facts]) -> Backlog:
    """All in one lane of one partition."""
    backlog = Backlog()
    backlog.add(0, Span(NUMBER, 0, len(events), list(enumerate(events))))
    return backlog


def test_calls_are_short_where_each_fact_touches_keys_of_its_own() -> None:
    """New tenants, long ids and many days: as many facts as their keys leave room for, a third at most."""
    long = (255 - SHORT) // STEP
    bursts = {
        "tenants": (
            [facts(n, 1, Scopes(f"t{n}", ("s", "p", None))) for n in range(3000)],
            1 + 3 * SCOPE_COST + BLOCK_COST,
        ),
        "ids": (
            [facts(n, 1, Scopes("t", (f"{n:0255}", None, f"{n:0255}"))) for n in range(3000)],
            1 + 3 * SCOPE_COST + 2 * long,
        ),
        "days": (
            [facts(n, 1, SCOPES[1], day=n) for n in range(3000)],
            1 + 2 * SCOPE_COST + DAY_COST + BLOCK_COST / BLOCK_DAYS,
        ),
    }
    for name, (events, cost_each) in bursts.items():
        most = max(len(call.facts) for call in backlog_of(events).calls())
        assert most == pytest.approx(FACTS_A_CALL * COST_A_FACT / cost_each, abs=3), name
        assert FACTS_A_CALL / 25 < most < FACTS_A_CALL / 3, name


def test_ordinary_traffic_is_cut_by_facts_alone() -> None:
    plain = [facts(n, 1, Scopes(f"t{n % 12}", (f"s{n % 20}", f"p{n % 50}", None))) for n in range(3000)]
    assert max(len(call.facts) for call in backlog_of(plain).calls()) == FACTS_A_CALL


def test_partitions_share_a_call_alike() -> None:
    """What one partition has to tell does not keep the others from the call; what it leaves is theirs."""
    backlog = Backlog()
    for number, size in enumerate((3000, 3000, 10)):
        backlog.add(0, Span(number, 0, size, [(offset, facts(offset, 1)) for offset in range(size)]))
    shares = [[len(span.events) for span in call.spans] for call in backlog.calls(300)]
    assert shares[0] == [100, 100, 10]
    assert shares[1] == [150, 150]


def test_reading_begins_at_the_least_checkpoint() -> None:
    """The lane that is furthest behind decides; the others wait until the reading has come to them."""
    partition = Partition(0, [7, 3, 5])
    assert partition.position == 3
    assert [partition.move(lane, -1)[1:3] for lane in range(3)] == [(7, 7), (3, 3), (5, 5)]
    backlog = Backlog()
    partition.read({0: [(3, facts(3, 1))], 1: [(4, facts(4, 1))]}, 6, backlog)
    assert list(backlog.calls()) == [Call(1, [Span(0, 3, 6, [(4, facts(4, 1))])])]
    assert [partition.move(lane, -1)[1:3] for lane in range(3)] == [(7, 7), (6, 6), (5, 6)]
