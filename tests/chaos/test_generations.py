"""A rebuild that is hit between closing the live lanes and the switch, or a Redis that lost the switch.

Whatever is hit, counting goes on by itself or says what it needs, and no answer is frozen without a word.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]

from schemas import counters, redis_keys, topics
from tests.chaos.arena import LIMIT_S, Arena, sends
from tests.pipeline.meanwhile import meanwhile
from tests.pipeline.programs import Program, wait_until

TENANT = "alder"
SWITCH = b'"state":"retired"'
"""In the call that switches, and in no other before it."""


def counting(arena: Arena) -> Program:
    """A worker that has begun."""
    worker = arena.place.programs.worker()
    wait_until(lambda: bool(worker.said("counting")), "the worker counts", LIMIT_S)
    return worker


def live(arena: Arena) -> counters.Generation:
    found = arena.place.record().live
    assert found is not None
    return found


def send(arena: Arena, first: int) -> None:
    arena.place.send(sends(TENANT, range(first, first + 60), partition=None))


def status(arena: Arena, api: Program) -> int:
    code, body = arena.place.ask(api, (TENANT, "tenant", ""), period="day")
    assert code == 200 or body["code"] == "UNAVAILABLE"
    return code


@contextmanager
def asked(arena: Arena, api: Program) -> Iterator[list[int]]:
    """Ask the API all the time; yields the statuses."""
    statuses: list[int] = []
    with meanwhile(lambda: statuses.append(status(arena, api))):
        yield statuses


def with_api(arena: Arena) -> Program:
    api = arena.place.programs.api()
    arena.place.make_keys([TENANT])
    api.wait_until_ready()
    return api


def ended(rebuild: "subprocess.Popen[str]") -> str:
    """Wait for a rebuild that must fail. Returns: its words."""
    _, words = rebuild.communicate(timeout=120)
    assert rebuild.returncode == 1, words
    assert "Traceback" not in words, words
    return words


def closes(generation: counters.Generation, lane: int) -> bytes:
    """What stands in the call that closes a lane, and in no other."""
    key, name = redis_keys.lane_key(generation.name, lane), generation.name
    return f"{key}\r\n${len(name)}\r\n{name}\r\n$5\r\nclose\r\n".encode()


def is_open(arena: Arena, generation: counters.Generation) -> bool:
    lanes = [redis_keys.lane_key(generation.name, lane) for lane in range(generation.lanes)]
    return not any(arena.redis.hexists(lane, "retired") for lane in lanes)


# Redis lost the switch


@pytest.mark.parametrize("way_back", ["generations restore", "rebuild"])
def test_a_switch_that_redis_lost(arena: Arena, way_back: str) -> None:
    """The record is from before the switch, the lanes are not: said by workers and API, brought back."""
    worker = counting(arena)
    send(arena, 0)
    arena.wait_until_counted()
    api = with_api(arena)
    before = arena.redis.get(redis_keys.RECORD_KEY)
    code, out = arena.place.programs.run("rebuild", "--json")
    report = json.loads(out)
    assert code == 0
    send(arena, 60)
    arena.wait_until_counted()
    assert status(arena, api) == 200

    arena.redis.set(redis_keys.RECORD_KEY, before)
    arena.wait_until_waiting(worker, "lost a switch", "generations restore", "rebuild")
    worker.wait_until_said("counting waits", "lost a switch")
    for _ in range(5):
        assert status(arena, api) == 503, "frozen numbers were answered"
    code, _ = arena.place.programs.run("generations", "drop", report["generation"])
    assert code == 1, "the good one was dropped"
    send(arena, 120)
    assert arena.place.programs.run(*way_back.split())[0] == 0
    arena.check()
    assert status(arena, api) == 200


def test_a_true_switch_answers_from_the_closed_lanes(arena: Arena) -> None:
    """While live lanes are closed and the switch takes long, the API answers all the same."""
    counting(arena)
    send(arena, 0)
    arena.wait_until_counted()
    api = with_api(arena)
    statuses: list[int] = []

    def ask_for_a_while() -> None:
        assert not is_open(arena, before)
        for _ in range(20):
            statuses.append(status(arena, api))
            time.sleep(0.1)

    before = live(arena)
    moment = arena.proxy.at_call(SWITCH, before=ask_for_a_while)
    assert arena.place.programs.run("rebuild")[0] == 0
    assert moment.is_set()
    assert statuses == [200] * 20
    assert live(arena) != before
    send(arena, 60)
    arena.check()


# A rebuild that is hit between closing and switching


def test_an_error_before_the_switch(arena: Arena) -> None:
    """The connections end: the rebuild takes its closing back itself, and the live generation counts on."""
    counting(arena)
    send(arena, 0)
    arena.wait_until_counted()
    before = live(arena)
    passed = arena.proxy.at_call(SWITCH, before=arena.proxy.cut)
    ended(arena.place.programs.command("rebuild"))
    assert passed.is_set()
    assert live(arena) == before
    send(arena, 60)
    arena.check()
    assert is_open(arena, before)


def test_killed_before_the_switch(arena: Arena) -> None:
    """Nobody of the rebuild is left: workers open the lanes within seconds, and no answer is missing."""
    worker = counting(arena)
    send(arena, 0)
    arena.wait_until_counted()
    api = with_api(arena)
    before = live(arena)

    def kill() -> None:
        os.killpg(rebuild.pid, signal.SIGKILL)
        rebuild.wait()

    with asked(arena, api) as statuses:
        arena.proxy.at_call(SWITCH, before=kill)
        rebuild = arena.place.programs.command("rebuild")
        rebuild.communicate(timeout=120)
        send(arena, 60)
        arena.check()
    assert set(statuses) == {200}
    assert live(arena) == before
    assert worker.running
    assert arena.place.programs.run("rebuild")[0] == 0, "the next one goes on"
    arena.check()


def test_a_rebuild_that_slept_closes_nothing(arena: Arena) -> None:
    """It stands still while it closes lanes, loses its lease, and wakes: lanes and record refuse."""
    counting(arena)
    send(arena, 0)
    arena.wait_until_counted()
    before = live(arena)
    late: list[bytes | None] = []

    def sleep_until_it_is_taken_back() -> None:
        rebuild.send_signal(signal.SIGSTOP)
        send(arena, 60)
        arena.wait_until_counted()
        assert not arena.redis.exists(redis_keys.LEASE_KEY)

    moment = arena.proxy.at_call(
        closes(before, 7),
        before=sleep_until_it_is_taken_back,
        after=lambda: late.append(arena.redis.hget(redis_keys.lane_key(before.name, 7), "retired")),
    )
    rebuild = arena.place.programs.command("rebuild")
    assert moment.wait(120)
    rebuild.send_signal(signal.SIGCONT)
    assert "taken back" in ended(rebuild)
    assert late == [None]
    assert live(arena) == before
    send(arena, 120)
    arena.check()
    assert is_open(arena, before)


# The new generation is hit


@pytest.mark.parametrize("moment", ["comparing", "closing"])
def test_a_lost_lane_of_the_new_generation_is_not_the_live_ones(arena: Arena, moment: str) -> None:
    """The rebuild ends with an error; the live generation is whole, live and open."""
    counting(arena)
    send(arena, 0)
    arena.wait_until_counted()
    before = live(arena)

    def lose_a_lane() -> None:
        making = arena.place.record().next
        assert making is not None
        arena.redis.delete(redis_keys.lane_key(making.generation.name, lane))

    lane = redis_keys.lane_of(TENANT, before.lanes)
    reads_the_tenant = f"${len(TENANT)}\r\n{TENANT}\r\n".encode()
    needle = closes(before, 0) if moment == "closing" else reads_the_tenant
    passed = arena.proxy.at_call(needle, before=lose_a_lane)
    ended(arena.place.programs.command("rebuild"))
    assert passed.is_set()
    assert live(arena) == before, "the good generation was retired"
    if moment == "comparing":
        closed_once = arena.redis.hexists(redis_keys.lane_key(before.name, 0), "barred")
        assert not closed_once, "the good generation was closed for it"
    send(arena, 60)
    arena.check()
    assert is_open(arena, before)


# The topic grows


@pytest.mark.parametrize("moment", ["comparing", "closing"])
def test_partitions_that_are_added_during_a_rebuild(arena: Arena, moment: str) -> None:
    """They are counted live and by the rebuild, which takes them in."""
    counting(arena)
    send(arena, 0)
    arena.wait_until_counted()
    before = live(arena)
    added = topics.EVENTS.partitions + 1

    def add_a_partition() -> None:
        name = arena.place.programs.events_topic
        for done in admin.create_partitions([NewPartitions(name, added + 1)]).values():
            done.result()
        lane = redis_keys.lane_key(before.name, redis_keys.lane_of(TENANT, before.lanes))

        def counted() -> bool:
            return int(arena.redis.hget(lane, f"f{added}") or 0) >= 60

        wait_until(lambda: len(arena.place.ends()) == added + 1, "it is there", LIMIT_S)
        arena.place.send(sends(TENANT, range(60, 120), partition=added))
        wait_until(counted, "live counting has taken it in", LIMIT_S)

    admin = AdminClient({"bootstrap.servers": arena.place.bootstrap})
    needle = closes(before, 0) if moment == "closing" else b'"state":"comparing"'
    passed = arena.proxy.at_call(needle, before=add_a_partition)
    code, out = arena.place.programs.run("rebuild", "--json")
    assert (code, passed.is_set()) == (0, True), out
    assert live(arena) != before
    arena.place.send(sends(TENANT, range(120, 180), partition=added))
    arena.wait_until_exact("with the new partitions")
