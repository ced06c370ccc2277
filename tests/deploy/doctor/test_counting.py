"""How far counting is, judged of what Redis and Kafka say."""

import msgspec
import pytest

from aggregator.counters.generation import make
from aggregator.counting.rules import Rules
from aggregator.log.admin import Log
from deploy.doctor.check import State
from deploy.doctor.counting import (
    FRESH_MS,
    Lane,
    complete_through,
    judge_freshness,
    judge_generation,
    judge_lag,
    judge_rules,
    lane_of_fields,
)
from schemas.counters import Member, Record
from schemas.counters import State as Life

LOG = Log("cluster", "topic", 2)
RULES = Rules()
LIVE = make(RULES, 2, LOG, 0)
NOW = 1_800_000_000_000


def record(*members: tuple[str, Life]) -> Record:
    """A record of generations by their names."""
    return Record(
        tuple(
            Member(generation=msgspec.structs.replace(LIVE, name=name), state=state)
            for name, state in members
        )
    )


def lane(*checkpoints: int, complete: tuple[int, ...] = (NOW, NOW), closed: bool = False) -> Lane:
    return Lane(LIVE.rules, closed, dict(enumerate(checkpoints)), dict(enumerate(complete)))


def test_a_lane_is_read_by_its_fields_and_one_of_another_is_none() -> None:
    fields = {
        b"generation": LIVE.name.encode(),
        b"rules": b"abc",
        b"f0": b"12",
        b"f11": b"7",
        b"c0": b"99",
        b"barred": b"x",
    }
    assert lane_of_fields(LIVE, fields) == Lane("abc", False, {0: 12, 11: 7}, {0: 99})
    assert lane_of_fields(LIVE, {**fields, b"retired": b"n"}) == Lane("abc", True, {0: 12, 11: 7}, {0: 99})
    assert lane_of_fields(LIVE, {**fields, b"generation": b"other"}) is None
    assert lane_of_fields(LIVE, {}) is None


def test_a_live_generation_with_all_its_lanes_is_well() -> None:
    live = record(("a", Life.LIVE), ("b", Life.RETIRED))
    assert [each.state for each in judge_generation(live, [lane(1, 1)] * 2, committed=None)] == [State.OK]


@pytest.mark.parametrize(
    ("found", "lanes", "committed", "what", "fix"),
    [
        (record(), [], False, "no worker has ever counted", "python -m aggregator"),
        (record(), [], None, "no worker has ever counted", "python -m aggregator"),
        (record(), [], True, "was wiped, or is another one", "REDIS_URL"),
        (record(("b", Life.BUILDING)), [], True, "a rebuild makes b", "rebuild"),
        (record(("a", Life.LIVE)), [lane(1, 1), None], None, "lanes 1 of generation a", "rebuild"),
        (record(("a", Life.LIVE)), [lane(1), lane(1, closed=True)], None, "closed", "generations restore"),
    ],
)
def test_what_is_not_there_is_named(
    found: Record, lanes: list[Lane | None], committed: bool | None, what: str, fix: str
) -> None:
    [finding] = judge_generation(found, lanes, committed=committed)
    assert finding.state is State.PROBLEM
    assert what in finding.what
    assert fix in finding.fix


def test_lanes_that_a_switch_closes_are_no_problem() -> None:
    found = record(("a", Life.LIVE), ("b", Life.CLOSING))
    assert judge_generation(found, [lane(1, closed=True)], committed=None)[0].state is State.OK


def test_a_generation_of_another_version_is_named() -> None:
    other = msgspec.structs.replace(LIVE, layout=2)
    found = Record((Member(generation=other, state=Life.LIVE),))
    assert "layout 2, of an older version" in judge_generation(found, [], committed=None)[0].what


def test_rules_and_log_must_be_those_of_the_live_generation() -> None:
    assert judge_rules(LIVE, RULES, LOG).state is State.OK
    other = judge_rules(LIVE, Rules("customer"), LOG)
    assert other.state is State.PROBLEM
    assert Rules("customer").fingerprint in other.what
    assert "TENANT_TAG" in other.fix
    elsewhere = judge_rules(LIVE, RULES, Log("cluster", "made anew", 2))
    assert "another topic" in elsewhere.what
    assert "KAFKA_BOOTSTRAP_SERVERS" in elsewhere.fix


@pytest.mark.parametrize(
    ("checkpoints", "oldest_ms", "what"),
    [
        ((5, 7), NOW, []),
        ((4, 7), NOW, []),  # it will be counted in a moment
        ((4, 7), NOW - FRESH_MS - 1, ["1 records are not counted"]),
        ((2, 7), NOW, ["starts at 3"]),
        ((5, 9), NOW, ["ends at 7"]),
        ((2, 9), NOW, ["starts at 3", "ends at 7"]),
    ],
)
def test_what_waits_and_what_is_gone_is_told_apart(
    checkpoints: tuple[int, int], oldest_ms: int, what: list[str]
) -> None:
    ranges = {0: (3, 5), 1: (0, 7)}
    found = judge_lag([lane(5, 7), lane(*checkpoints)], ranges, oldest_ms, NOW, has_archive=False)
    problems = [each for each in found if each.state is State.PROBLEM]
    assert len(problems) == len(what)
    assert all(said in finding.what for said, finding in zip(what, problems, strict=True))


def test_what_only_an_archive_has_is_counted_from_there() -> None:
    """`rebuild --allow-truncated` would make numbers that miss what the archive can still tell."""
    [named] = judge_lag([lane(2, 7)], {0: (3, 5), 1: (0, 7)}, NOW, NOW, has_archive=True)
    [unnamed] = judge_lag([lane(2, 7)], {0: (3, 5), 1: (0, 7)}, NOW, NOW, has_archive=False)
    assert "aggregator catch-up" in named.fix
    assert "truncated" not in named.fix
    assert unnamed.fix.index("catch-up") < unnamed.fix.index("--allow-truncated")


def test_numbers_are_as_old_as_the_oldest_partition_of_any_lane() -> None:
    old = NOW - FRESH_MS - 1
    lanes = [lane(1, 1), lane(1, 1, complete=(NOW, old))]
    assert complete_through(lanes, [0, 1]) == (old, 1)
    stale = judge_freshness(old, 1, NOW)
    assert stale.state is State.PROBLEM
    assert "partition 1" in stale.what
    assert "never complete" in judge_freshness(0, 1, NOW).what
    assert judge_freshness(NOW - FRESH_MS, 1, NOW).state is State.OK
