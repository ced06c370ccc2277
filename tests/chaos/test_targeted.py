"""One fault at one moment, each in a few seconds: what must hold then, on the true programs.

`test_mutations` runs some of these against trees that are broken on purpose, and sees them fail.

Long because it is the list of these faults, by which `test_mutations` names them.
"""

import time
from pathlib import Path
from typing import Any

import pytest
import redis
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from deploy.traffic import DAY, HOUR
from schemas import counters, topics
from tests import services, wire
from tests.chaos import aof, view
from tests.chaos.arena import LIMIT_S, Arena, now_ms, opened, poison, sends
from tests.pipeline import log
from tests.pipeline.programs import Program, wait_until
from tests.wire import ZSTD, Raw

TENANTS = ("alder", "birch", "cedar", "damson", "elder")
EXACT_WITHIN_S = 15.0
START_LIMIT_S = 60.0
"""For a program to start and begin its work: no fault delays that, but a busy machine does."""


def sends_of_all(arena: Arena, first: int, number: int = 60) -> None:
    """Some mail of each tenant, on all partitions."""
    numbers = range(first, first + number)
    arena.place.send(each for tenant in TENANTS for each in sends(tenant, numbers, partition=None))


def one_for_each_lane() -> list[str]:
    """Names of tenants, the first in each lane."""
    found: dict[int, str] = {}
    for number in range(1_000):
        found.setdefault(view.lane_of(f"tenant {number}", counters.LANES), f"tenant {number}")
    assert len(found) == counters.LANES
    return [*found.values()]


def counting(arena: Arena, group: str | None = None) -> Program:
    """A worker that has begun."""
    worker = arena.place.programs.worker(group)
    wait_until(lambda: bool(worker.said("counting")), "the worker counts", LIMIT_S)
    return worker


# Redis goes back in time


def test_a_rollback_that_no_connection_notices(arena: Arena) -> None:
    """Redis is what it was a while ago, under a live connection: checkpoints show it, all is read again.

    The group has committed the topic's end to Kafka by then, which must not decide where to begin.
    """
    worker = counting(arena)
    sends_of_all(arena, 0)
    arena.wait_until_counted()
    before = view.copy(arena.redis)
    sends_of_all(arena, 60)
    arena.check()
    arena.wait_until_committed()
    view.go_back(arena.redis, before)
    arena.check()
    assert worker.metric("aggregator_redis_rollbacks_total") >= 1


def test_a_rollback_of_silent_lanes(arena: Arena) -> None:
    """Nobody's events come, and Redis goes back in time: the tick finds it."""
    worker = counting(arena)
    sends_of_all(arena, 0)
    arena.wait_until_exact("counted")
    before = view.copy(arena.redis)
    sends_of_all(arena, 60)
    arena.wait_until_exact("counted further")
    view.go_back(arena.redis, before)
    arena.wait_until_exact("rolled back in silence")
    assert worker.metric("aggregator_redis_rollbacks_total") >= 1


def test_a_rollback_while_an_answer_is_on_its_way(arena: Arena) -> None:
    """A batch is counted, Redis goes back in time, and the next batch was read before the answer came.

    What the next call believes in must be what was read: on what was answered it would build a hole.
    """
    counting(arena)
    before = view.copy(arena.redis)

    def while_the_answer_waits() -> None:
        view.go_back(arena.redis, before)
        arena.place.send(sends("alder", range(100, 200)))
        time.sleep(1.5)  # the worker reads them; were it slower, the case would only be easier

    moment = arena.proxy.at_call(b"alder", after=while_the_answer_waits)
    place, one_batch = arena.place, sends("alder", range(100))
    log.send(place.bootstrap, place.programs.events_topic, one_batch, linger_ms=60_000)
    assert moment.wait(LIMIT_S)
    arena.check()


def test_a_lost_tail_is_made_good_within_15_s(arena: Arena, tmp_path: Path) -> None:
    """Redis is killed under load and comes back with an older append-only file: exact again by itself."""
    valkey, older = arena.valkey, tmp_path / "older"
    workers = [counting(arena), counting(arena)]
    aof.never_rewrite(arena.redis)
    sends_of_all(arena, 0)
    arena.wait_until_counted()
    aof.copy(valkey, older)
    sends_of_all(arena, 60, 2_000)
    arena.wait_until_counted()
    sends_of_all(arena, 2_060, 1_000)
    valkey.kill()
    aof.put_back(valkey, older)
    valkey.start(aof.waiting())
    back = time.monotonic()
    arena.wait_until_counted()
    took = time.monotonic() - back
    differs = arena.difference()
    assert not differs, differs
    assert all(worker.running for worker in workers)
    assert took < EXACT_WITHIN_S


def test_a_stale_replica_is_promoted(arena: Arena) -> None:
    """The link to a replica is cut, and a while later the replica takes over: read further back, no hand."""
    worker = counting(arena)
    with services.valkey_server() as replica, redis.Redis.from_url(replica.url) as connection:
        client: Any = connection
        client.replicaof("127.0.0.1", arena.valkey.port)
        sends_of_all(arena, 0)
        arena.wait_until_counted()
        wait_until(lambda: view.is_counted(client, arena.place.ends()), "the replica has it all", LIMIT_S)
        client.replicaof("127.0.0.1", 1)  # the link is cut: nothing listens there
        sends_of_all(arena, 60)
        arena.check()
        client.replicaof("NO", "ONE")
        arena.proxy.target = replica.port
        arena.proxy.cut()
        wait_until(lambda: view.is_counted(client, arena.place.ends()), "counted on the replica", LIMIT_S)
        differs = view.difference(view.all_cells(client), arena.want())
        assert not differs, differs
        assert worker.running


# Redis is wiped


def test_wiped_in_the_moment_before_a_call(arena: Arena) -> None:
    """A call that reaches a Redis without its lane writes nothing at all: no lane is made on demand."""
    worker = counting(arena)
    before = view.copy(arena.redis)
    moment = arena.proxy.at_call(b"alder", before=arena.redis.flushall)
    arena.place.send(sends("alder", range(50)))
    assert moment.wait(LIMIT_S)
    arena.wait_until_waiting(worker, "rebuild")
    keys = arena.redis.keys()
    assert keys == [], f"a wiped Redis holds {keys}"
    view.go_back(arena.redis, before)
    arena.check()


def test_wiped_while_workers_count(arena: Arena) -> None:
    """All stay up, apply nothing and say so, a new one too; nobody makes a generation; then they go on."""
    workers = [counting(arena), counting(arena)]
    sends_of_all(arena, 0)
    arena.wait_until_counted()
    arena.wait_until_committed()
    before = view.copy(arena.redis)
    arena.redis.flushall()
    sends_of_all(arena, 60)
    workers.append(arena.place.programs.worker())
    for worker in workers:
        arena.wait_until_waiting(worker, "no generation", "rebuild")
    time.sleep(3)  # some ticks and resyncs long
    assert arena.redis.keys() == []
    for worker in workers:
        words = [*worker.said("counting waits"), *worker.said("waiting outside the consumer group")]
        assert len([word for word in words if "no generation" in word["why"]]) <= 2
    view.go_back(arena.redis, before)
    arena.check()
    assert all(worker.running for worker in workers)


# A worker dies, or its answer is lost


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_between_a_dead_letter_and_its_move(arena: Arena, when: str) -> None:
    """A dead letter is in Kafka before the checkpoints pass its record, whenever the worker dies.

    before: the dead letter is there and no checkpoint is; it may come twice. after: every checkpoint is
    there, and its lane's events with it. There are tenants in all lanes, as reading begins at the least
    checkpoint of all.
    """
    worker = counting(arena)
    assert worker.stop() == 0
    good = [each for tenant in one_for_each_lane() for each in sends(tenant, range(3))]
    arena.place.send([poison(1), *good, poison(2)])
    doomed = arena.place.programs.worker()

    def kill_when_every_checkpoint_is_there() -> None:
        wait_until(
            lambda: all(lane[0] for lane in arena.place.checkpoints()), "every checkpoint is there", LIMIT_S
        )
        doomed.kill()

    if when == "before":
        moment = arena.proxy.at_call(b"tenant%200", before=doomed.kill)
    else:
        moment = arena.proxy.at_call(b"tenant%200", after=kill_when_every_checkpoint_is_there)
    assert moment.wait(START_LIMIT_S)
    assert not doomed.running
    counting(arena, f"{arena.place.programs.group}-other")
    arena.check()
    dead_letters = arena.place.naive_dead_letters()
    assert len(dead_letters) == 2
    missing = dead_letters.keys() - arena.place.dead_letters().keys()
    assert not missing, f"dead letters are missing: {missing}"
    arena.place.check_dead_letters(dead_letters)


def test_the_answer_of_an_applied_call_is_lost(arena: Arena) -> None:
    """The connection ends after a call was applied and before its answer: begun again, nothing twice."""
    worker = counting(arena)
    for number in range(3):
        moment = arena.proxy.at_call(b"alder", cut=True)
        arena.place.send(sends("alder", range(number * 50, number * 50 + 50)))
        assert moment.wait(LIMIT_S)
        arena.check()
    assert worker.metric("aggregator_resyncs_total", why="error") >= 3


# Order and duplicates


def test_the_earliest_hour_wins(arena: Arena) -> None:
    """A fact reported for a later hour first, in a later batch for an earlier one, counts in the earlier."""
    counting(arena)
    sent = now_ms() - DAY
    arena.place.send(
        [opened("alder", "one", sent, sent + 9 * HOUR), opened("alder", "two", sent, sent + HOUR)]
    )
    arena.check()
    arena.place.send(
        [opened("alder", "one", sent, sent + 2 * HOUR), opened("alder", "two", sent, sent + 5 * HOUR)]
    )
    arena.check()


# Redis is not fit


def test_redis_out_of_memory(arena: Arena) -> None:
    """A Redis that is full takes nothing: counting waits without a skip, and goes on when there is room."""
    worker = counting(arena)
    sends_of_all(arena, 0)
    arena.wait_until_counted()
    before = arena.place.checkpoints()
    arena.redis.config_set("maxmemory", 1)
    sends_of_all(arena, 60)
    wait_until(lambda: worker.metric("aggregator_resyncs_total", why="error") >= 2, "it tries again", LIMIT_S)
    assert arena.place.checkpoints() == before
    arena.redis.config_set("maxmemory", 0)
    arena.check()


def test_redis_that_evicts(arena: Arena) -> None:
    """A Redis that is set to evict keys, while it runs: noticed by the tick, no record skipped, taken back.

    Nothing fails meanwhile and nobody's events come: only a worker that asks can notice.
    """
    worker = counting(arena)
    sends_of_all(arena, 0)
    arena.wait_until_counted()
    before = arena.place.checkpoints()
    arena.redis.config_set("maxmemory-policy", "allkeys-lru")
    arena.wait_until_waiting(worker, "allkeys-lru", "noeviction")
    worker.wait_until_said("counting waits", "allkeys-lru")
    sends_of_all(arena, 60)
    time.sleep(3)  # some resyncs long
    assert arena.place.checkpoints() == before
    arena.redis.config_set("maxmemory-policy", "noeviction")
    worker.wait_until_ready()
    arena.check()


# What is asked beside the counting is answered late


@pytest.mark.parametrize("late", ["kafka", "redis"])
def test_late_answers_to_checks_do_not_hold_up_counting(arena: Arena, tmp_path: Path, late: str) -> None:
    """Kafka's admin or Redis's INFO hangs: batches are counted and lanes moved, complete-through waits."""
    hold = tmp_path / "hold"
    worker = arena.place.programs.start(
        "tests.chaos.faulty",
        AGGREGATOR_PORT="0",
        CONSUMER_GROUP=arena.place.programs.group,
        FAULT_SEED="1",
        FAULTS="none",
        FAULT_HOLD=str(hold),
    )
    wait_until(lambda: bool(worker.said("counting")), "the worker counts", LIMIT_S)
    sends_of_all(arena, 0)
    arena.wait_until_counted()
    hold.write_text(late)
    held_ms = now_ms()  # what a check vouches for was asked before it began
    wait_until(lambda: bool(worker.said("held")), "a check hangs", LIMIT_S)
    resyncs = len(worker.said("resync is due"))
    sends_of_all(arena, 60)
    arena.check()
    assert hold.exists()
    assert max(complete_throughs(arena)) <= held_ms, "nobody vouches for what was counted meanwhile"
    hold.unlink()
    wait_until(lambda: min(complete_throughs(arena)) > held_ms, "complete-through goes on", LIMIT_S)
    assert len(worker.said("resync is due")) == resyncs
    assert worker.running


def complete_throughs(arena: Arena) -> list[int]:
    """Up to when each lane says that it is complete, in ms; 0 for none."""
    return [through for lane in arena.place.completes() for through in lane]


# A record that is not what it should be


def test_a_record_larger_than_any_may_be(arena: Arena) -> None:
    """Packed to little, it is in the topic, and no dead letter could hold it: all else counts."""
    counting(arena)
    big = wire.batch([Raw(b"{" * 1_300_000, b"key")], count=1, time_ms=now_ms(), codec=ZSTD)
    assert wire.send(arena.place.bootstrap, arena.place.programs.events_topic, 0, [big]) == [0]
    sends_of_all(arena, 0)
    arena.check()
    arena.place.check_dead_letters(arena.place.naive_dead_letters())


# The topic is not what it was


def test_topic_emptied_above_a_checkpoint(arena: Arena) -> None:
    """Redis is from before records that the topic no longer has: said, nothing applied, `rebuild` named."""
    worker = counting(arena)
    arena.place.send(sends("alder", range(50)))
    arena.wait_until_counted()
    before = view.copy(arena.redis)
    arena.place.send(sends("alder", range(50, 100)))
    arena.check()
    upto = TopicPartition(arena.place.programs.events_topic, 0, 80)
    client = admin(arena)  # an answer comes only while its client is there
    for done in client.delete_records([upto]).values():
        done.result()
    view.go_back(arena.redis, before)
    arena.wait_until_waiting(worker, "starts at 80", "rebuild")
    arena.place.send(sends("alder", range(100, 120)))
    time.sleep(3)  # some resyncs long
    assert [lane[0] for lane in arena.place.checkpoints()] == [50] * len(arena.place.lanes())
    worker.wait_until_said("counting waits", "rebuild")
    assert "rebuild" in worker.said("counting waits")[-1]["why"]


def test_topic_made_anew(arena: Arena) -> None:
    """A topic of the same name that is another one: said, nothing applied, `rebuild` named."""
    worker = counting(arena)
    arena.place.send(sends("alder", range(50)))
    arena.check()
    seen = view.all_cells(arena.redis)
    name = arena.place.programs.events_topic
    client = admin(arena)
    for done in client.delete_topics([name], operation_timeout=30).values():
        done.result()
    wait_until(lambda: name not in client.list_topics(timeout=10).topics, "it is gone", LIMIT_S)
    wait_until(lambda: worker.get("/readyz").status_code == 503, "the worker has noticed", LIMIT_S)
    services.create_topics(arena.place.bootstrap, {name: topics.EVENTS})
    arena.place.send(sends("birch", range(80)))
    arena.wait_until_waiting(worker, "another topic", "rebuild")
    late = arena.place.programs.worker()
    arena.wait_until_waiting(late, "another topic", "rebuild")
    assert view.all_cells(arena.redis) == seen


def admin(arena: Arena) -> AdminClient:
    return AdminClient({"bootstrap.servers": arena.place.bootstrap})
