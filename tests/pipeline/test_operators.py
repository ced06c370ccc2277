"""The operators' commands on the true programs: rebuild, verify, dead-letters."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import msgspec

from schemas import counters, redis_keys
from tests.chaos.proxy import Proxy
from tests.pipeline import events, stored
from tests.pipeline.log import Outgoing
from tests.pipeline.meanwhile import meanwhile
from tests.pipeline.place import Place, naive_count
from tests.pipeline.programs import LIMIT_S, Program, wait_until

RECORDS = 60_000
TENANTS = 4
LIVE_A_ROUND = 100
QUARTER = 5 * 4 + 3
"""Of the day: it begins at 05:45."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@contextmanager
def traffic(place: Place, api: Program, sent: list[Outgoing]) -> Iterator[list[int]]:
    """Some hundreds of records a second, and a request after each round; yields the statuses of all."""
    statuses: list[int] = []
    key = {"Authorization": f"Bearer {place.keys[events.TENANTS[0]]}"}
    seeds = count(1_001)

    def send() -> None:
        batch = events.records(next(seeds), now_ms(), LIVE_A_ROUND, TENANTS)
        place.send(batch)
        sent.extend(batch)
        statuses.append(api.get("/api/metrics", key).status_code)

    with meanwhile(send):
        yield statuses


def generation(place: Place) -> str:
    live = place.record().live
    assert live is not None
    return live.name


def put_record(place: Place, *members: counters.Member) -> None:
    place.redis.set(redis_keys.RECORD_KEY, msgspec.json.encode(counters.Record(members)))


def kill_in_the_middle(place: Place, *options: str) -> None:
    """Start a rebuild, and kill it when a call of its is applied and not answered: some lanes are counted."""
    doomed: list[subprocess.Popen[str]] = []
    with Proxy(place.redis.connection_pool.connection_kwargs["port"]) as proxy:
        done = proxy.at_call(
            events.TENANTS[0].encode(), after=lambda: os.killpg(doomed[0].pid, signal.SIGKILL)
        )
        doomed.append(place.programs.command("rebuild", *options, REDIS_URL=proxy.url))
        assert done.wait(LIMIT_S), "it counts"
        doomed[0].communicate()


def test_a_rebuild_under_traffic_killed_once_is_exact(place: Place) -> None:
    """Killed in the middle and run again: it goes on, switches, the API answers all along, all is exact."""
    sent = events.records(11, now_ms(), RECORDS, TENANTS)
    worker, api = place.programs.worker(), place.programs.api()
    place.send(sent)
    place.wait_until_counted(worker)
    place.make_keys(events.TENANTS[:TENANTS])
    before = generation(place)
    with traffic(place, api, sent) as statuses:
        kill_in_the_middle(place)
        assert generation(place) == before
        code, out = place.programs.run("rebuild", "--json")
        report = json.loads(out)
        assert (code, report["resumed"], report["workers_seen"], report["not_compared"]) == (
            0,
            True,
            True,
            None,
        )
        assert report["cells_differing"] == 0
        assert report["tenants_compared"] == TENANTS
        assert generation(place) == report["generation"] != before
        seen = len(statuses)
        wait_until(lambda: len(statuses) > seen + 5, "requests after the switch")
    assert set(statuses) == {200}
    place.wait_until_counted(worker)
    place.check(api, naive_count(sent), ("day",))
    code, out = place.programs.run("verify", "--json")
    assert (code, json.loads(out)["differences"]) == (0, [])


def test_verify_names_the_cell_that_was_altered_and_rebuild_mends_it(place: Place) -> None:
    """One count too many in one cell: verify names exactly that one, beside live traffic too."""
    tenant = events.TENANTS[1]
    sent = events.records(12, now_ms(), 5_000, TENANTS)
    worker, api = place.programs.worker(), place.programs.api()
    place.send(sent)
    place.wait_until_counted(worker)
    place.make_keys(events.TENANTS[:TENANTS])
    assert place.programs.run("verify")[0] == 0
    lane = place.lanes()[redis_keys.lane_of(tenant, len(place.lanes()))]
    where = stored.last_counter(place.redis, place.lanes(), tenant)
    at = f"{stored.count_once_more(place.redis, where, QUARTER, 'clicked'):%Y-%m-%d}T05:45:00Z"
    with traffic(place, api, sent):
        code, out = place.programs.run("verify", "--json")
        (difference,) = json.loads(out)["differences"]
        assert code == 1
        assert (difference["tenant"], difference["scope"], difference["id"]) == (tenant, "tenant", "")
        assert (difference["at"], difference["field"]) == (at, "clicked")
        assert difference["redis"] - difference["log"] == 1
        assert at in place.programs.run("verify", "--tenant", tenant)[1], "a table that is piped is whole"
        assert place.programs.run("verify", "--tenant", events.TENANTS[0])[0] == 0
        assert place.programs.run("verify", "--tenant", tenant, "--since", at)[0] == 1
        code, out = place.programs.run("rebuild", "--drop", "--json")
        report = json.loads(out)
        assert (code, report["cells_differing"], report["examples"][0]["field"]) == (0, 1, "clicked")
        assert (report["kept"], report["dropped_keys"]) == (report["previous"], 0), "the wrong one is kept"
        assert place.programs.run("verify", "--sample", "100")[0] == 0
    assert place.redis.exists(where.key)
    code, out = place.programs.run("generations", "drop", report["previous"], "--json")
    assert (code, json.loads(out)["dropped"]) == (0, [report["previous"]])
    assert not list(place.redis.scan_iter(match=f"{lane}*", count=10_000))
    place.wait_until_counted(worker)
    place.check(api, naive_count(sent), ("month",))


def test_a_wiped_redis_comes_back_by_rebuild_alone(place: Place) -> None:
    """FLUSHALL under load: 503, never zeros; one rebuild, workers take over, and no dead letter is lost."""
    sent = events.records(13, now_ms(), 10_000, TENANTS)
    worker, api = place.programs.worker(), place.programs.api()
    place.send(sent)
    place.wait_until_counted(worker)
    place.make_keys(events.TENANTS[:TENANTS])
    with traffic(place, api, sent) as statuses:
        place.redis.flushall()
        worker.wait_until_unready_because("rebuild")
        code, out = place.programs.run("rebuild", "--json")
        report = json.loads(out)
        assert (code, report["previous"], report["workers_seen"]) == (0, None, True)
        wait_until(lambda: statuses[-1] == 200, "the API answers again")
    assert set(statuses) <= {200, 503}
    place.wait_until_counted(worker)
    place.check(api, naive_count(sent), ("day",))
    place.check_dead_letters(place.naive_dead_letters())


def test_rebuilds_that_must_not_be(place: Place) -> None:
    """One rebuild at a time; a log that lost its beginning only when allowed; a dry run does nothing."""
    worker = place.programs.worker()
    place.send(events.records(14, now_ms(), 2_000, TENANTS))
    place.wait_until_counted(worker)
    before = place.redis.dbsize()
    record = place.record()
    assert record.live is not None
    code, out = place.programs.run("rebuild", "--dry-run", "--json")
    assert (code, json.loads(out)["records"], place.redis.dbsize()) == (0, 2_000, before)
    place.redis.set(redis_keys.LEASE_KEY, "another", px=60_000)
    assert place.programs.run("rebuild")[0] == 1
    place.redis.delete(redis_keys.LEASE_KEY)
    begun = msgspec.structs.replace(record.live, name="partial")
    making = counters.Member(generation=begun, state=counters.State.BUILDING, start={0: 1_000})
    put_record(place, *record.members, making)
    code, out = place.programs.run("rebuild", "--json")
    report = json.loads(out)
    assert (code, report["resumed"], report["partial"]) == (0, False, None), "begun partial, finished whole"
    assert (report["records"], report["cells_differing"]) == (2_000, 0)
    place.forget_records_before(10)
    assert place.programs.run("rebuild")[0] == 1
    assert place.programs.run("rebuild", "--allow-truncated")[0] == 1
    code, out = place.programs.run("rebuild", "--allow-truncated", "--lose", "--json")
    assert (code, "begins at" in json.loads(out)["partial"]) == (0, True)


def test_a_changed_rule_is_a_rebuild_with_the_new_settings(place: Place) -> None:
    """Workers of other rules wait outside; at the switch they take over, and what was refused counts."""
    untagged = {
        "eventType": "Open",
        "mail": {"messageId": "m", "timestamp": "2026-01-05T10:00:00Z", "destination": ["a@example.com"]},
        "open": {"timestamp": "2026-01-05T11:00:00Z"},
    }
    at = 1_767_610_800_000  # an hour after the send, so that the redrive is of old records
    place.send([Outgoing(b"m", json.dumps(untagged).encode(), at), Outgoing(b"n", b"{", at)])
    old, api = place.programs.worker(), place.programs.api()
    place.wait_until_counted(old)
    code, out = place.programs.run("dead-letters", "list", "--json")
    dead_letters = {each["reason"]: each for each in json.loads(out)["reasons"]}
    assert (code, {reason: each["letters"] for reason, each in dead_letters.items()}) == (
        0,
        {"no_tenant": 1, "unreadable": 1},
    )
    (key,) = dead_letters["no_tenant"]["samples"]
    assert json.loads(place.programs.run("dead-letters", "show", key)[1]) == untagged

    new = place.programs.worker(DEFAULT_TENANT="house")
    new.wait_until_unready_because("rules")
    assert place.programs.run("rebuild", DEFAULT_TENANT="house")[0] == 0
    new.wait_until_ready()
    old.wait_until_unready_because("rules")
    place.make_keys(["house"])
    query = {"period": "day", "from": "2026-01-05", "to": "2026-01-05"}
    status, body = place.ask(api, ("house", "tenant", ""), **query)
    assert (status, body["totals"]["opened"]) == (200, 1)

    redrive = ("dead-letters", "redrive", "--reason", "no_tenant")
    assert place.programs.run(*redrive)[0] == 1, "older than 14 days: only when it is allowed"
    for _ in range(2):
        assert place.programs.run(*redrive, "--old")[0] == 0
    place.wait_until_counted(new)
    assert sum(place.ends()) == 4
    assert place.ask(api, ("house", "tenant", ""), **query)[1]["totals"]["opened"] == 1
    assert place.programs.run("dead-letters", "purge")[0] == 2
    assert place.programs.run("dead-letters", "purge", "--yes")[0] == 0
    assert json.loads(place.programs.run("dead-letters", "list", "--json")[1]) == {"reasons": []}
