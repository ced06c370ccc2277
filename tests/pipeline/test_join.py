"""One rebuild by any number of commands: shared out by Kafka, whoever dies, sleeps or comes on the way."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import pytest
from confluent_kafka.admin import AdminClient

from aggregator.bulk.count import count_until
from aggregator.bulk.group import Membership
from aggregator.config import AggregatorSettings
from aggregator.counters.generation import make
from aggregator.counters.keyspace import Keyspace
from aggregator.counters.store import Answer, LaneCall, Store
from aggregator.counters.throttle import ALONE, THROTTLED, Pace
from aggregator.log.admin import Cluster, Log
from schemas.counters import Generation, Member, Record, State
from schemas.redis_keys import LEASE_KEY, RECORD_KEY
from tests.pipeline import events
from tests.pipeline.place import Place, naive_count
from tests.pipeline.programs import LIMIT_S, wait_until

RECORDS = 6_000
TENANTS = 3

Command = subprocess.Popen[str]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def started(place: Place, *options: str) -> Command:
    group = place.programs.group
    return place.programs.command("rebuild", "--processes", "1", "--json", *options, CONSUMER_GROUP=group)


def kill(command: Command) -> None:
    """SIGKILL, its counting process too."""
    os.killpg(command.pid, signal.SIGKILL)
    command.communicate()


def ended(command: Command) -> dict[str, Any]:
    """Wait for the end of a command that ends well. Returns: what it reports."""
    out, err = command.communicate(timeout=LIMIT_S)
    assert command.returncode == 0, err
    assert "Traceback" not in err, err
    report: dict[str, Any] = json.loads(out)
    return report


@contextmanager
def killed_at_the_end(*commands: Command) -> Iterator[list[Command]]:
    """Of all that are in the list then."""
    running = list(commands)
    try:
        yield running
    finally:
        for each in running:
            if each.poll() is None:
                kill(each)


def counting_process(command: Command) -> int:
    """The pid of its one counting process, once it has one."""
    found: list[int] = []

    def is_there() -> bool:
        assert command.poll() is None, command.communicate()
        children = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
        found[:] = [pid for pid in map(int, children) if b"spawn_main" in _words(pid)]
        return bool(found)

    wait_until(is_there, "it counts")
    return found[0]


def _words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def group_of(place: Place) -> str | None:
    """The group of the rebuild that runs, once it has begun."""
    lease: Any = place.redis.get(LEASE_KEY)
    member = place.record().next
    if member is None or lease is None:
        return None
    return f"{place.programs.group}-rebuild-{member.generation.name}-{lease.decode()}"


def shares(place: Place, group: str) -> list[int]:
    """How many partitions each member of a group has, the fewest first."""
    admin = AdminClient({"bootstrap.servers": place.bootstrap})
    described = admin.describe_consumer_groups([group])[group].result(LIMIT_S)
    return sorted(len(each.assignment.topic_partitions) for each in described.members)


def settings_of(place: Place) -> AggregatorSettings:
    return AggregatorSettings.model_validate(place.programs.settings())


@contextmanager
def begun(place: Place, running: list[Command]) -> Iterator[tuple[Membership, str, int]]:
    """A rebuild that has begun, and a member of its group that has all partitions and counts nothing.

    So the rebuild cannot end before this does. Yields that member, the group, and the rebuild's counting
    process, which stands still.
    """
    running.append(started(place))
    asleep = counting_process(running[0])
    os.kill(asleep, signal.SIGSTOP)
    wait_until(lambda: group_of(place) is not None, "it has begun")
    group = group_of(place)
    assert group is not None
    with Membership(settings_of(place), group) as idle:
        wait_until(lambda: shares(place, group) == [4], "all partitions are with who counts nothing")
        yield idle, group, asleep


def switched(place: Place) -> str:
    """Wait for the switch, and have a worker count there. Returns: the name of the live generation."""
    wait_until(lambda: place.record().live is not None, "it has switched")
    place.wait_until_counted(place.programs.worker())
    live = place.record().live
    assert live is not None
    return live.name


def test_one_dies_one_sleeps_and_one_comes(place: Place) -> None:
    """Their shares are taken over from the checkpoints; who wakes counts nothing twice; one switches."""
    sent = events.records(71, now_ms(), RECORDS, TENANTS)
    place.send(sent)
    with killed_at_the_end() as running:
        with begun(place, running) as (idle, group, counting):
            os.kill(counting, signal.SIGCONT)
            running += [started(place, "--join"), started(place, "--join")]
            wait_until(lambda: shares(place, group) == [1, 1, 1, 1], "each has its share")
            running.append(started(place, "--join"))
            wait_until(lambda: shares(place, group) == [0, 1, 1, 1, 1], "one more has come")
            with idle.held() as kept:  # nobody else has ever had it, so the rebuild is not done
                assert len(kept) == 1
                kill(running[1])
                wait_until(lambda: shares(place, group) == [1, 1, 1, 1], "who came has the share of the dead")
                os.kill(counting, signal.SIGSTOP)
                wait_until(lambda: shares(place, group) == [1, 1, 2], "another one that of the sleeper")
            os.kill(counting, signal.SIGCONT)
        live = switched(place)
        reports = [ended(running[number]) for number in (0, 2, 3)]
    assert [each["generation"] for each in reports] == [live] * 3
    assert [each.get("led") for each in reports] == [None, False, False], "the first one led, and switched"
    place.check_cells(naive_count(sent))


def test_whoever_is_left_leads_on(place: Place) -> None:
    """The command that led is killed: of two that have joined one takes the lease, counts on and switches."""
    sent = events.records(72, now_ms(), RECORDS, TENANTS)
    place.send(sent)
    with killed_at_the_end() as running:
        with begun(place, running) as (_, group, _):
            running += [started(place, "--join"), started(place, "--join")]
            wait_until(lambda: shares(place, group) == [1, 1, 2], "both have joined")
            kill(running[0])
            live = switched(place)
        reports = [ended(each) for each in running[1:]]
    assert [each["generation"] for each in reports] == [live, live]
    assert sorted("workers_seen" in each for each in reports) == [False, True], "one of them has led"
    place.check_cells(naive_count(sent))


class Asleep(AbstractContextManager[None]):
    """A lock that falls asleep when it is taken for the tenth time, in the middle of a batch."""

    def __init__(self) -> None:
        self.sleeps, self.wakes = Event(), Event()
        self._taken = 0

    def __enter__(self) -> None:
        self._taken += 1
        if self._taken == 10:
            self.sleeps.set()
            assert self.wakes.wait(LIMIT_S)

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""


def test_two_who_count_the_same_partitions_count_them_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sleeps between two calls, as when Kafka takes it for dead; another counts all; then it wakes."""
    sent = events.records(73, now_ms(), RECORDS, TENANTS)
    place.send(sent)
    settings, lock = settings_of(place), Asleep()
    generation = make(settings.rules, 16, Cluster(settings).log(), now_ms())
    with closing(Keyspace(settings)) as keys:
        keys.registry.lanes.make(generation, {})
    stop = dict(enumerate(place.ends()))
    answers: set[str] = set()
    apply = Store.apply

    def noting(store: Store, generation: Generation, calls: Sequence[LaneCall]) -> list[Answer]:
        found = apply(store, generation, calls)
        answers.update(answer.status for answer in found)
        return found

    def count(pace: Pace, lock: AbstractContextManager[None]) -> None:
        count_until(settings, generation, stop, dead_lettered=stop, pace=pace, lock=lock, leave=lambda: False)

    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(count, THROTTLED, lock)
        assert lock.sleeps.wait(LIMIT_S)
        count(ALONE, nullcontext())
        monkeypatch.setattr(Store, "apply", noting)
        lock.wakes.set()
        first.result(LIMIT_S)
    assert answers == {"OK", "REBASE"}, "what was counted meanwhile is left out of each call that woke"
    place.redis.set(RECORD_KEY, _json(Member(generation=generation, state=State.LIVE)))
    assert place.checkpoints() == [list(stop.values())] * generation.lanes
    place.check_cells(naive_count(sent))


def test_what_cannot_be_joined(place: Place, made: Generation) -> None:
    """No rebuild, one that nobody leads, one by other rules, key or topic: told, and nothing is counted."""
    refused = partial(place.programs.fails, "rebuild", "--join")
    assert "no rebuild is running" in refused()
    place.redis.set(RECORD_KEY, begun_json := _json(Member(generation=made, state=State.BUILDING)))
    assert "no rebuild is running" in refused(), "it was begun, and nobody leads it"
    place.redis.set(LEASE_KEY, "token")
    assert "join with the settings that it has" in refused(TENANT_TAG="other")
    assert "RECIPIENT_KEY" in refused(RECIPIENT_KEY="ab" * 32)
    assert "counts another topic" in refused()
    assert "--join takes the rebuild as it was begun" in refused("--lanes", "3", status=2)
    assert place.redis.get(RECORD_KEY) == begun_json


@pytest.fixture
def made(place: Place) -> Generation:
    """A generation by the rules of the place's programs, of a topic that is another one."""
    return make(settings_of(place).rules, 16, Log("cluster", "topic", 4), now_ms())


def _json(*members: Member) -> bytes:
    return msgspec.json.encode(Record(members))
