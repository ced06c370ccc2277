"""A Redis Cluster of three primaries and three replicas, failing over and moving its slots: exact as one is.

A replica that takes over by force lacks what was not sent to it yet: Redis goes back in time for a third of
the lanes, and the checkpoints of those show it. While a slot moves key by key its keys are on two nodes, and
calls are stopped (`tests/aggregator/counters/test_moving_slot.py`). Where the server hands it over whole
nothing stops.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.metrics_text import samples
from tests.pipeline import events, oracle
from tests.pipeline.place import Place, naive_count, open_place_on
from tests.pipeline.programs import LIMIT_S, Program
from tests.valkey_cluster import ValkeyCluster, valkey_cluster

TENANTS = 6
PIECE = 6_000

KEYS_A_STEP, RECORDS_A_STEP, STEP_S = 20, 100, 0.25
"""A move takes so many keys at a time, while so many events come, and rests."""

SETTINGS = {"REDIS_CLUSTER": "true", **events.SETTINGS}
RESYNCS = "aggregator_resyncs_total"


@pytest.fixture
def cluster() -> Iterator[ValkeyCluster]:
    """Six nodes with no data."""
    with valkey_cluster() as started:
        yield started


@pytest.fixture
def place(
    cluster: ValkeyCluster,
    kafka_bootstrap: str,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> Iterator[Place]:
    """A place on the cluster. At the end: how many failovers there were, and how many events came."""
    with (
        cluster.client() as client,
        open_place_on(
            kafka_bootstrap, cluster.url, client, tmp_path, REDIS_CLUSTER="true", **events.SETTINGS
        ) as opened,
    ):
        opened.tags = events.ALL_TAGS
        yield opened
        record_property("times", 2)
        record_property("events", sum(opened.ends()))


def send(place: Place, seed: int) -> None:
    place.send(events.records(seed, time.time_ns() // 1_000_000, PIECE, TENANTS))


def check(place: Place, worker: Program, api: Program) -> oracle.Count:
    """Wait until all is counted; every cell in Redis and every day that the API answers must be right.

    Returns: the right numbers.
    """
    place.wait_until_counted(worker)
    want = naive_count(place.events(), place.tags)
    place.check_cells(want)
    api.wait_until_ready()
    place.check(api, want, ("day",))
    return want


def test_failovers_in_mid_stream(place: Place, cluster: ValkeyCluster) -> None:
    """A primary changes places with its replica, then one is killed: exact; so are rebuild and verify."""
    worker, api = place.programs.worker(), place.programs.api()
    send(place, 31)
    place.wait_until_counted(worker)
    place.make_keys(events.TENANTS[:TENANTS])
    held_by = {cluster.primary_of(lane).valkey.port for lane in place.lanes()}
    assert len(held_by) == 3, "the lanes are spread over all shards"
    shown = samples(worker.get("/metrics").text, "aggregator_redis_memory_bytes")
    assert {int(node.rpartition(":")[2]) for (node,) in shown} == held_by
    assert all(used > 0 for used in shown.values())
    lane = place.lanes()[0]

    send(place, 32)
    cluster.swap(cluster.primary_of(lane))
    check(place, worker, api)

    send(place, 33)
    killed = cluster.primary_of(lane)
    cluster.lose(killed)
    late = place.programs.worker()
    send(place, 34)
    check(place, worker, api)
    assert api.running
    late.wait_until_ready()

    killed.start()
    cluster.wait_until_whole()
    send(place, 35)
    code, out = place.programs.run("rebuild", "--json")
    report = json.loads(out)
    assert (code, report["cells_differing"], report["not_compared"], report["workers_seen"]) == (
        0,
        0,
        None,
        True,
    )
    place.check_zones(api, check(place, worker, api), ("Asia/Kathmandu",))
    code, out = place.programs.run("verify", "--json")
    assert (code, json.loads(out)["differences"]) == (0, [])
    place.check_dead_letters(place.naive_dead_letters())


def ask_all(place: Place, api: Program, least: dict[str, int]) -> int:
    """Ask for all that each tenant has sent, which never goes down. Returns: how many had no answer."""
    refused = 0
    for tenant, number in least.items():
        status, body = place.ask(api, (tenant, "tenant", ""), period="month")
        if status == 503:
            refused += 1
        else:
            assert body["totals"]["sent"] >= number, (tenant, body)
            least[tenant] = body["totals"]["sent"]
    return refused


def test_slots_that_are_handed_over_whole_in_mid_stream(
    place: Place, cluster: ValkeyCluster, record_property: Callable[[str, object], None]
) -> None:
    """By `CLUSTER MIGRATESLOTS` to and fro, under load: every lane goes on at once, and all is exact.

    Of the queries meanwhile some may be refused, none is wrong; the property says for how long at most.
    """
    worker, api = place.programs.worker(), place.programs.api()
    first, then = (events.records(seed, time.time_ns() // 1_000_000, PIECE, TENANTS) for seed in (51, 52))
    place.send(first)
    place.wait_until_counted(worker)
    place.make_keys(events.TENANTS[:TENANTS])
    least, longest = dict.fromkeys(events.TENANTS[:TENANTS], 1), 0.0
    moves = [move for lane in place.lanes() if len((move := cluster.move_of(lane)).keys(move.source)) > 1]
    assert len({move.source for move in moves}) > 1, "slots go from several shards"
    for move in [*moves, *(each.back() for each in moves)]:
        owned = move.keys(move.source)
        place.send(then[:RECORDS_A_STEP])
        del then[:RECORDS_A_STEP]
        move.migrate()
        refused_since = None
        while not move.has_migrated or refused_since is not None:
            asked = time.monotonic()
            if ask_all(place, api, least):
                refused_since = refused_since or asked
                longest = max(longest, time.monotonic() - refused_since)
                assert longest < LIMIT_S, "no query is answered any more"
            else:
                refused_since = None
        assert move.keys(move.source) == []
        assert {*owned} <= {*move.keys(move.target)}, "its keys are where it is"
    record_property("refused_s", round(longest, 2))
    place.send(then)
    check(place, worker, api)
    place.send(first)
    check(place, worker, api)
    code, out = place.programs.run("verify", "--json")
    assert (code, json.loads(out)["differences"]) == (0, [])


def test_slots_that_move_key_by_key_in_mid_stream(place: Place, cluster: ValkeyCluster) -> None:
    """The worker resyncs, and goes on when the slot has moved: exact, and it still knows what it counted."""
    worker, api = place.programs.worker(), place.programs.api()
    first, then = (events.records(seed, time.time_ns() // 1_000_000, PIECE, TENANTS) for seed in (41, 42))
    place.send(first)
    place.wait_until_counted(worker)
    place.make_keys(events.TENANTS[:TENANTS])
    moves = [move for lane in place.lanes() if len((move := cluster.move_of(lane)).keys(move.source)) > 1]
    stopped, refused, least = 0.0, 0, dict.fromkeys(events.TENANTS[:TENANTS], 1)
    for move in moves[:3]:
        before = worker.metric(RESYNCS, why="error")
        move.begin()
        # The lane's own key is the first: from then on calls go to the target, which lacks all others.
        while keys := sorted(move.keys(move.source))[:KEYS_A_STEP]:
            place.send(then[:RECORDS_A_STEP])
            del then[:RECORDS_A_STEP]
            move.move(keys)
            refused += ask_all(place, api, least)
            time.sleep(STEP_S)
        move.end()
        stopped += worker.metric(RESYNCS, why="error") - before
    assert stopped, "no call came while a slot was on its way"
    assert refused, "no query came while a slot was on its way"
    place.send(then)
    check(place, worker, api)
    place.send(first)
    check(place, worker, api)
