"""What an operator sees of the generations, and what a rebuild goes on with."""

import json
import time
from typing import Any

import msgspec
import pytest

from schemas import counters, redis_keys
from schemas.counters import Member, State
from schemas.kinds import CORE_FIELDS
from tests.pipeline import events
from tests.pipeline.place import Place, naive_count
from tests.pipeline.programs import Program

RECORDS = 2_000
TENANTS = 2
DAY_MS = 86_400_000
OLDER = "older"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def counted(place: Place, seed: int) -> Program:
    """A worker that has counted some records."""
    worker = place.programs.worker()
    place.send(events.records(seed, now_ms(), RECORDS, TENANTS))
    place.wait_until_counted(worker)
    return worker


def run(place: Place, *command: str) -> tuple[int, dict[str, Any]]:
    code, out = place.programs.run(*command, "--json")
    return code, json.loads(out) if out else {}


def put(place: Place, *members: Member) -> None:
    place.redis.set(redis_keys.RECORD_KEY, msgspec.json.encode(counters.Record(members)))


def calls(place: Place, command: str) -> int:
    return int(place.redis.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0))


def test_list_and_drop(place: Place) -> None:
    """Retired ones are listed with their keys and dropped in one pass; the live one never is."""
    counted(place, 41)
    names = []
    for _ in range(2):
        code, report = run(place, "rebuild")
        names.append(report["previous"])
        assert code == 0
    live = place.record().live
    assert live is not None
    place.redis.hset(redis_keys.lane_key("stray", 3), mapping={"generation": "stray"})
    code, reported = run(place, "generations", "list")
    listed = reported["generations"]
    assert code == 0
    assert [(each["name"], each["state"]) for each in listed] == [
        (names[0], "retired"),
        (names[1], "retired"),
        (live.name, "live"),
        ("stray", "unknown"),
    ]
    assert [each["lanes"] for each in listed] == [16, 16, 16, None]
    keys = {each["name"]: each["keys"] for each in listed}
    assert sum(keys.values()) == place.redis.dbsize() - 1
    assert str(names[0]) in place.programs.run("generations", "list")[1]

    assert place.programs.run("generations", "drop", live.name)[0] == 1
    assert place.programs.run("generations", "drop", "nobody")[0] == 1
    assert place.programs.run("generations", "drop")[0] == 2
    scans, size = calls(place, "scan"), place.redis.dbsize()
    code, reported = run(place, "generations", "drop", "--retired")
    assert (code, reported) == (0, {"dropped": names, "keys": keys[names[0]] + keys[names[1]]})
    assert calls(place, "scan") - scans <= size // 500 + 1, "one pass, not one for each lane"
    assert run(place, "generations", "drop", "stray") == (0, {"dropped": ["stray"], "keys": 1})
    assert place.redis.dbsize() == keys[live.name] + 1
    assert [each.generation for each in place.record().members] == [live]
    assert run(place, "generations", "drop", "--retired") == (0, {"dropped": [], "keys": 0})


def test_one_that_is_being_made_is_dropped_only_without_its_rebuild(place: Place) -> None:
    """While the lease is held it is refused; what a killed rebuild left is dropped."""
    counted(place, 42)
    record = place.record()
    assert record.live is not None
    begun = msgspec.structs.replace(record.live, name="begun")
    put(place, *record.members, Member(generation=begun, state=State.CLOSING, attempt="dead"))
    place.redis.set(redis_keys.LEASE_KEY, "alive")
    assert place.programs.run("generations", "drop", "begun")[0] == 1
    place.redis.delete(redis_keys.LEASE_KEY)
    assert place.programs.run("generations", "drop", "begun")[0] == 0
    assert place.record() == record
    assert not place.redis.exists(redis_keys.LEASE_KEY)


@pytest.mark.parametrize(
    ("days", "by_layout_2", "resumed"), [(13, False, True), (15, False, False), (0, True, False)]
)
def test_a_rebuild_is_gone_on_with_while_it_can_be(
    place: Place, days: int, by_layout_2: bool, resumed: bool
) -> None:
    """After 14 days what recognizes duplicates may be gone, and what layout 2 wrote back lacks its secret."""
    worker = counted(place, 43)
    record = place.record()
    assert record.live is not None
    begun = msgspec.structs.replace(record.live, name="begun", created_ms=now_ms() - days * DAY_MS)
    if by_layout_2:
        begun = msgspec.structs.replace(begun, families=(), scopes=(), identity_key="")
    put(place, *record.members, Member(generation=begun, state=State.BUILDING))
    code, report = run(place, "rebuild")
    assert (code, report["resumed"], report["generation"] == "begun") == (0, resumed, resumed)
    assert report["cells_differing"] == 0
    place.wait_until_counted(worker)
    found = place.record().named("begun")
    assert (found is not None and found.state is State.LIVE) == resumed


@pytest.mark.parametrize("stuck", [False, True], ids=["no worker", "a worker that cannot go on"])
def test_a_live_generation_that_stands_still_is_said_at_once(place: Place, stuck: bool) -> None:
    """Where nobody moves it the wait is said with its length; where nobody can, there is none."""
    worker = counted(place, 44)
    assert worker.stop() == 0
    place.send(events.records(45, now_ms(), RECORDS, TENANTS))
    if stuck:
        place.forget_records_before(min(place.ends()) - 1)
        code, report = run(place, "rebuild", "--allow-truncated", "--lose")
        assert code == 0
        assert "no longer has" in str(report["not_compared"])
        return
    rebuild = place.programs.command("rebuild")
    try:
        assert rebuild.stderr is not None
        words = ""
        while "waiting up to 60 s" not in words:
            words = rebuild.stderr.readline()
            assert words, "it ended without a word"
    finally:
        rebuild.kill()
        rebuild.communicate()


def test_from_layout_2(place: Place) -> None:
    """A generation of the layout before is followed up to the switch, then retired, and can be dropped."""
    worker = counted(place, 46)
    record = place.record()
    assert record.live is not None
    assert worker.stop() == 0
    as_layout_2(place, record.live)
    worker = place.programs.worker()
    worker.wait_until_unready_because("layout 2")
    more = events.records(47, now_ms(), RECORDS, TENANTS)
    place.send(more)
    for lane in place.lanes():  # as workers of layout 2 count on beside the rebuild
        for number, end in enumerate(place.ends()):
            place.redis.hset(lane, f"f{number}", str(end))

    code, report = run(place, "rebuild")
    assert (code, report["previous"], report["workers_seen"]) == (0, OLDER, True)
    assert "another layout" in str(report["not_compared"])
    worker.wait_until_ready()
    place.wait_until_counted(worker)
    place.check_cells(naive_count(place.events()))
    assert run(place, "verify")[1]["differences"] == []
    dropped = {"dropped": [OLDER], "keys": record.live.lanes}
    assert run(place, "generations", "drop", "--retired") == (0, dropped)


def as_layout_2(place: Place, live: counters.Generation) -> None:
    """Put in the place of the live generation one as layout 2 left it, counted to the end of the log."""
    known = ("lanes", "cluster_id", "topic_id", "created_ms")
    generation = {name: getattr(live, name) for name in known}
    generation |= {"name": OLDER, "rules": "11", "layout": 2, "kinds": CORE_FIELDS}
    place.redis.flushall()
    for lane in range(live.lanes):
        key = redis_keys.lane_key(OLDER, lane)
        place.redis.hset(key, mapping={"generation": OLDER, "rules": "11"})
        for number, end in enumerate(place.ends()):
            place.redis.hset(key, f"f{number}", str(end))
    member = {"generation": generation, "state": "live", "attempt": "", "start": {}}
    place.redis.set(redis_keys.RECORD_KEY, json.dumps({"members": [member]}))
