"""The number of lanes is chosen for a first generation, and for each next one by a rebuild."""

import json
import time
from contextlib import AbstractContextManager
from itertools import count
from typing import Any

from schemas import redis_keys
from schemas.counters import Generation
from tests.pipeline import events
from tests.pipeline.log import Outgoing
from tests.pipeline.meanwhile import meanwhile
from tests.pipeline.place import Place, naive_count
from tests.pipeline.test_operators import kill_in_the_middle

RECORDS = 4_000
TENANTS = events.TENANTS[:8]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def live(place: Place) -> Generation:
    found = place.record().live
    assert found is not None
    return found


def traffic(place: Place, sent: list[Outgoing]) -> AbstractContextManager[None]:
    """Some hundreds of records a second."""
    seeds = count(1_001)

    def send() -> None:
        batch = events.records(next(seeds), now_ms(), 30, len(TENANTS))
        place.send(batch)
        sent.extend(batch)

    return meanwhile(send)


def rebuild(place: Place, *options: str) -> dict[str, Any]:
    """Rebuild, and see that all was compared, nothing differs, and workers have followed."""
    code, out = place.programs.run("rebuild", *options, "--json")
    report: dict[str, Any] = json.loads(out)
    assert (code, report["not_compared"], report["workers_seen"]) == (0, None, True)
    assert (report["tenants_compared"], report["cells_differing"]) == (len(TENANTS), 0)
    assert report["generation"] == live(place).name
    return report


def planned(place: Place, *options: str) -> tuple[int, str | None]:
    """How many lanes a rebuild would have, and what it would go on with."""
    code, out = place.programs.run("rebuild", "--dry-run", "--json", *options)
    assert code == 0
    plan = json.loads(out)
    return plan["lanes"], plan["resumes"]


def kill_half_way(place: Place, *options: str) -> str:
    """Kill a rebuild that has begun to count. Returns: the name of its generation."""
    kill_in_the_middle(place, *options)
    making = place.record().next
    assert making is not None
    return making.generation.name


def test_any_number_of_lanes_under_traffic(place: Place) -> None:
    """From 16 to 5, killed once, to 32, and back: compared and switched to like any other, and exact."""
    sent = events.records(81, now_ms(), RECORDS, len(TENANTS))
    worker, api = place.programs.worker(), place.programs.api()
    place.send(sent)
    place.wait_until_counted(worker)
    place.make_keys(TENANTS)
    assert live(place).lanes == 16
    with traffic(place, sent):
        begun = kill_half_way(place, "--lanes", "5")
        assert planned(place) == (16, None), "one of other lanes is not gone on with"
        report = rebuild(place, "--lanes", "5")
        assert (report["resumed"], report["generation"], live(place).lanes) == (True, begun, 5)
        assert planned(place) == (5, None), "the next one has as many"
        rebuild(place, "--lanes", "32")
        assert live(place).lanes == 32
        rebuild(place, "--lanes", "16")
    place.wait_until_counted(worker)
    assert len(place.lanes()) == 16
    place.check(api, naive_count(sent), ("day",))
    code, out = place.programs.run("verify", "--json")
    assert (code, json.loads(out)["differences"]) == (0, [])
    place.check_dead_letters(place.naive_dead_letters())


def test_a_difference_is_found_with_other_lanes_too(place: Place) -> None:
    """A day of a tenant is gone from the live counters: only that differs, and the wrong one is kept."""
    worker = place.programs.worker(LANES="3")
    place.send(events.records(82, now_ms(), RECORDS, len(TENANTS)))
    place.wait_until_counted(worker)
    assert live(place).lanes == 3, "the first one has as many as are set"
    tenant = TENANTS[1]
    lane = place.lanes()[redis_keys.lane_of(tenant, 3)]
    of_tenant = f"{lane}:c:{redis_keys.safe_id(tenant)}:[0-9]*"
    place.redis.delete(max(place.redis.scan_iter(match=of_tenant, count=1000)))
    code, out = place.programs.run("rebuild", "--lanes", "7", "--json", LANES="12")
    report = json.loads(out)
    assert (code, report["tenants_compared"], report["not_compared"]) == (0, len(TENANTS), None)
    assert report["cells_differing"] > 0
    assert {each["tenant"] for each in report["examples"]} == {tenant}
    assert report["kept"] == report["previous"]
    assert live(place).lanes == 7
    assert place.programs.run("verify")[0] == 0
    assert planned(place) == (7, None), "LANES is for the first one"


def test_the_number_of_lanes_has_bounds(place: Place) -> None:
    """Said with the setting's or the option's name, before anything is done."""
    refused = place.programs.command("rebuild", "--lanes", "1025")
    assert "--lanes" in refused.communicate()[1]
    assert refused.returncode == 2
    refused = place.programs.command(LANES="0")
    assert "LANES" in refused.communicate()[1]
    assert refused.returncode == 1
    assert place.redis.dbsize() == 0
    code, out = place.programs.run("rebuild", "--dry-run", LANES="40")
    assert (code, "40 lanes" in out) == (0, True)
