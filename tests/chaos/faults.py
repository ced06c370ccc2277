"""The table of faults: what breaks, how, and for how long.

Each is a generator over the field of a run: it breaks something, yields how long (s), and then fixes it.
Chance comes from the field's own seeded source. Long because it is one table.
"""

import os
import shutil
import signal
import time
from collections.abc import Generator

import redis

from tests.chaos import aof, view
from tests.chaos.arena import poison
from tests.chaos.field import Fault, Field, Steps
from tests.chaos.proxy import Proxy
from tests.pipeline.programs import Program

SESSION_S = 10.0
"""The consumer session of a worker: one that stands still for longer is taken for dead."""
EXACT_WITHIN_S = 60.0
ARCHIVED_WITHIN_S = 60.0
REBUILDS = 5
"""So often an operator runs `rebuild` again where other faults end it."""
CALL_WITHIN_S = 5.0
LEAVES_WITHIN_S = 60.0
UNREADY_WITHIN_S = 60.0
LOOK_S = 0.2
POISON = (20, 60)
"""So many at once, fewer than make a flood."""


# Workers


def worker_killed(field: Field) -> Steps:
    """SIGKILL; another comes."""
    taken = field.take_worker()
    if taken is None:
        return
    slot, worker = taken
    worker.kill()
    yield field.rng.uniform(0, 3)
    field.start_worker(slot)
    field.busy.discard(slot)


def worker_killed_in_a_call(field: Field) -> Steps:
    """SIGKILL while a call is on its way to Redis, or its answer back; it may be the call of another one."""
    taken = field.take_worker()
    if taken is None:
        return
    slot, worker = taken
    if field.rng.random() < 0.5:
        done = field.proxy.at_call(b"EVALSHA", before=worker.kill)
    else:
        done = field.proxy.at_call(b"EVALSHA", after=worker.kill)
    until = time.monotonic() + CALL_WITHIN_S
    while not done.is_set() and time.monotonic() < until:
        yield LOOK_S
    worker.kill()
    field.start_worker(slot)
    field.busy.discard(slot)


def worker_frozen(field: Field) -> Steps:
    """SIGSTOP past its session, SIGCONT: it wakes as a zombie."""
    taken = field.take_worker()
    if taken is None:
        return
    slot, worker = taken
    worker.freeze()
    yield field.rng.uniform(SESSION_S + 1, SESSION_S + 4)
    worker.thaw()
    yield 2.0
    field.busy.discard(slot)


def rebalance_storm(field: Field) -> Steps:
    """Two more workers join one after the other; one leaves in peace, one by SIGKILL."""
    first = field.programs.worker()
    yield field.rng.uniform(1.5, 3)
    second = field.programs.worker()
    yield field.rng.uniform(2, 4)
    first.terminate()
    yield field.rng.uniform(0.5, 2)
    second.kill()
    until = time.monotonic() + LEAVES_WITHIN_S
    while first.running and time.monotonic() < until:
        yield LOOK_S
    if first.running:
        field.wrong.append(f"a worker has not left {LEAVES_WITHIN_S:.0f} s after SIGTERM")
    first.kill()


# Redis


def redis_killed(field: Field) -> Steps:
    """SIGKILL, and a start on what it has written."""
    field.valkey.kill()
    yield field.rng.uniform(0.5, 2)
    field.start_redis()


def redis_lost_tail(field: Field) -> Steps:
    """SIGKILL, and a start on an older copy of its file."""
    field.valkey.kill()
    aof.put_back(field.valkey, field.rng.choice(field.aof_copies))
    yield field.rng.uniform(0.2, 1)
    field.start_redis()
    yield from _until_exact(field)


def redis_rolled_back(field: Field) -> Steps:
    """An older state under live connections."""
    view.go_back(field.redis, field.rng.choice(field.copies))
    yield 0.5


def redis_wiped(field: Field) -> Steps:
    """FLUSHALL: workers stay up and apply nothing, until an older copy is put back."""
    yield from _wiped(field)
    field.valkey.kill()
    aof.put_back(field.valkey, field.rng.choice(field.aof_copies))
    field.start_redis()
    yield from _until_exact(field)


def redis_wiped_and_rebuilt(field: Field) -> Steps:
    """FLUSHALL, and an operator who runs `rebuild`, again where another fault ends it."""
    yield from _wiped(field)
    for _ in range(REBUILDS):
        status, said = yield from _run(field, "rebuild", "--json")
        if status == 0:
            return
    field.wrong.append(f"rebuild ended {REBUILDS} times with {status}: {said[-500:]}")


def _wiped(field: Field) -> Steps:
    field.redis.flushall()
    yield field.rng.uniform(3, 5)
    since = time.monotonic()
    while field.alone and (ready := _ready(field)):  # in a rebalance nothing is read, and a tick waits
        if time.monotonic() - since > UNREADY_WITHIN_S:
            field.wrong.append(
                f"ready {UNREADY_WITHIN_S:.0f} s after Redis was wiped: {ready[0].log_text()[-2_000:]}"
            )
            break
        yield LOOK_S
    keys = field.redis.keys()
    if keys:
        field.wrong.append(f"a wiped Redis holds {keys[:5]}")


def _ready(field: Field) -> list[Program]:
    return [w for w in field.workers if w is not None and w.get("/readyz").status_code == 200]


def _run(field: Field, *arguments: str) -> Generator[float, None, tuple[int, str]]:
    """Run an operator's command. Returns: its exit code, and what it said."""
    started = field.programs.command(*arguments)
    try:
        while started.poll() is None:
            yield LOOK_S
    finally:
        started.kill()
        out, err = started.communicate()
    return started.returncode, out + err


def redis_full(field: Field) -> Steps:
    """Out of memory for a while."""
    field.redis.config_set("maxmemory", 1)
    yield field.rng.uniform(2, 4)
    field.redis.config_set("maxmemory", 0)


def redis_evicts(field: Field) -> Steps:
    """An evicting policy, set while it runs: noticed by the tick, refused until it is fixed."""
    field.redis.config_set("maxmemory-policy", "allkeys-lru")
    yield field.rng.uniform(2, 4)
    field.redis.config_set("maxmemory-policy", "noeviction")


def redis_frozen(field: Field) -> Steps:
    """SIGSTOP, for a moment or past the timeout of a call: then what was sent is applied late."""
    pid = field.valkey.child.pid
    os.kill(pid, signal.SIGSTOP)
    yield field.rng.choice((2.0, 11.0))
    os.kill(pid, signal.SIGCONT)
    yield 0.5


def replica_promoted(field: Field) -> Steps:
    """A replica whose link was cut a while ago takes over; the primary is gone for good."""
    old, new = field.valkey, field.new_valkey()
    new.start(aof.waiting())
    with Proxy(old.port) as link, redis.Redis(host="127.0.0.1", port=new.port) as client:
        client.replicaof("127.0.0.1", str(link.port))
        until = time.monotonic() + 30
        while client.info("replication")["master_link_status"] != "up":
            if time.monotonic() > until:
                raise TimeoutError("the replica does not come up")
            yield 0.2
        yield field.rng.uniform(1, 3)
        link.open = False
        link.cut()
        yield field.rng.uniform(1, 4)
        client.replicaof("NO", "ONE")
    field.valkey = new
    aof.never_rewrite(field.redis)
    field.proxy.target = new.port
    field.proxy.cut()
    old.kill()
    shutil.rmtree(old.directory)
    yield 3.0


# The link between workers and Redis


def answer_lost(field: Field) -> Steps:
    """A call is applied and its answer never comes, for a worker or two."""
    for _ in range(field.rng.randint(1, 3)):
        field.proxy.at_call(b"EVALSHA", cut=True)
    yield 1.5


def link_down(field: Field) -> Steps:
    """No connection to Redis for a while; those there are end in whatever they do."""
    field.proxy.open = False
    field.proxy.cut()
    yield field.rng.uniform(0.5, 3)
    field.proxy.open = True


# Kafka


def kafka_killed(field: Field) -> Steps:
    """SIGKILL of the JVM, and a start on the same logs."""
    field.kafka.kill()
    yield field.rng.uniform(0.5, 4)
    field.kafka.launch(aof.waiting())
    while not field.kafka.answers():
        field.kafka.child.check()
        yield LOOK_S
    yield 5.0


# The archive


def archive_killed(field: Field) -> Steps:
    """SIGKILL of who archives, whatever it has under way; another comes."""
    assert field.archiver is not None
    field.archiver.kill()
    field.archiver = None
    yield field.rng.uniform(0, 3)
    field.start_archiver()
    yield field.rng.uniform(1, 4)


def archive_store_away(field: Field) -> Steps:
    """The store fails one query in three, then every one, and is back."""
    field.s3.by_chance(field.rng.getrandbits(32), 1 / 3)
    yield field.rng.uniform(1, 3)
    field.s3.away = True
    yield field.rng.uniform(2, 5)
    field.s3.calm()
    yield 1.0


def topic_cut_below(field: Field) -> Steps:
    """The topic is cut below what is archived and counted, and Redis goes back to before that: `catch-up`."""
    before, wanted = field.copies[0], view.least(field.redis)
    until = time.monotonic() + ARCHIVED_WITHIN_S
    while not _is_behind(wanted, field.archived()):
        if time.monotonic() > until:
            if field.alone:
                field.wrong.append(f"{wanted} is not archived after {ARCHIVED_WITHIN_S:.0f} s")
            return
        yield LOOK_S
    while any(each.fault.takes == "kafka" for each in field.active):
        yield LOOK_S
    field.cut_below(wanted)
    view.go_back(field.redis, before)
    yield 0.5
    said = ""
    for _ in range(REBUILDS):
        for command in ("catch-up", "rebuild"):  # the last is for records that are two weeks old by then
            status, said = yield from _run(field, command, "--json")
            if status == 0:
                field.forget_copies()
                return
    field.wrong.append(f"a topic that was cut is not caught up with: {said[-500:]}")


def _is_behind(offsets: list[int], others: list[int]) -> bool:
    return all(one <= other for one, other in zip(offsets, others, strict=True))


# The records


def poison_records(field: Field) -> Steps:
    """Records that nobody can read, some at once: dead letters, and the partition moves on."""
    field.source.add(poison(number, None) for number in range(field.rng.randint(*POISON)))
    yield 2.0


def _until_exact(field: Field) -> Steps:
    """Wait until what was in the topic when Redis came back is counted; note how long it took."""
    back = time.monotonic()
    if not field.alone:
        return
    ends = field.ends()
    while not view.is_counted_up_to(field.redis, ends):
        if time.monotonic() - back > EXACT_WITHIN_S:
            field.wrong.append(f"not exact {EXACT_WITHIN_S:.0f} s after Redis came back")
            return
        yield 0.1
    if field.alone:
        field.exact_again_s.append(time.monotonic() - back)


FAULTS = (
    Fault("worker killed", worker_killed),
    Fault("worker killed in a call", worker_killed_in_a_call),
    Fault("worker frozen past its session", worker_frozen),
    Fault("rebalance storm", rebalance_storm, "storm"),
    Fault("redis killed", redis_killed, "redis"),
    Fault("redis killed, tail lost", redis_lost_tail, "redis"),
    Fault("redis rolled back unnoticed", redis_rolled_back, "redis"),
    Fault("redis wiped, a copy put back", redis_wiped, "redis"),
    Fault("redis wiped, rebuilt", redis_wiped_and_rebuilt, "redis"),
    Fault("redis out of memory", redis_full, "redis"),
    Fault("redis set to evict", redis_evicts, "redis"),
    Fault("redis frozen", redis_frozen, "redis", freezes_redis=True),
    Fault("stale replica promoted", replica_promoted, "redis"),
    Fault("answer of an applied call lost", answer_lost),
    Fault("link to redis down", link_down, "redis"),
    Fault("kafka killed", kafka_killed, "kafka"),
    Fault("archive killed", archive_killed, "archiver"),
    Fault("archive store away", archive_store_away, "store"),
    Fault("topic cut below", topic_cut_below, "redis"),
    Fault("poison records", poison_records),
)
BY_NAME = {fault.name.replace(" ", "-").replace(",", ""): fault for fault in FAULTS}
