"""The table of faults: what breaks, how, and for how long.

Each is a generator over the field of a run: it breaks something, yields how long (s), and then mends it.
Chance comes from the field's own seeded source.
"""

import os
import shutil
import signal
import time
from collections.abc import Iterator

import redis

from tests.chaos import aof, view
from tests.chaos.harness import Fault, Field
from tests.chaos.proxy import Proxy

SESSION_S = 10.0
"""The consumer session of a worker: one that stands still for longer is taken for dead."""
EXACT_WITHIN_S = 60.0


# Workers


def worker_killed(field: Field) -> Iterator[float]:
    """SIGKILL; another comes."""
    taken = field.take_worker()
    if taken is None:
        return
    slot, worker = taken
    worker.kill()
    yield field.rng.uniform(0, 3)
    field.start_worker(slot)
    field.busy.discard(slot)


def worker_frozen(field: Field) -> Iterator[float]:
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


def rebalance_storm(field: Field) -> Iterator[float]:
    """Two more workers join one after the other; one leaves in peace, one by SIGKILL."""
    first = field.programs.worker()
    yield field.rng.uniform(1.5, 3)
    second = field.programs.worker()
    yield field.rng.uniform(2, 4)
    first.stop()
    yield field.rng.uniform(0.5, 2)
    second.kill()
    yield 1.0


# Redis


def redis_killed(field: Field) -> Iterator[float]:
    """SIGKILL, and a start on what it has written."""
    field.valkey.kill()
    yield field.rng.uniform(0.5, 2)
    field.start_redis()


def redis_lost_tail(field: Field) -> Iterator[float]:
    """SIGKILL, and a start on an older copy of its file."""
    field.valkey.kill()
    aof.put_back(field.valkey, field.rng.choice(field.aof_copies))
    yield field.rng.uniform(0.2, 1)
    field.start_redis()
    yield from _until_exact(field)


def redis_rolled_back(field: Field) -> Iterator[float]:
    """An older state under live connections."""
    view.go_back(field.redis, field.rng.choice(field.copies))
    yield 0.5


def redis_wiped(field: Field) -> Iterator[float]:
    """FLUSHALL: workers stay up and apply nothing, until an older copy is put back."""
    field.redis.flushall()
    yield field.rng.uniform(3, 5)
    keys = field.redis.keys()
    if keys:
        field.wrong.append(f"a wiped Redis holds {keys[:5]}")
    if field.alone:
        ready = [w for w in field.workers if w is not None and w.get("/readyz").status_code == 200]
        if ready:
            field.wrong.append(f"{len(ready)} workers are ready on a wiped Redis")
    field.valkey.kill()
    aof.put_back(field.valkey, field.rng.choice(field.aof_copies))
    field.start_redis()
    yield from _until_exact(field)


def redis_full(field: Field) -> Iterator[float]:
    """Out of memory for a while."""
    field.redis.config_set("maxmemory", 1)
    yield field.rng.uniform(2, 4)
    field.redis.config_set("maxmemory", 0)


def redis_evicts(field: Field) -> Iterator[float]:
    """An evicting policy, met by workers that begin: refused until it is mended."""
    field.redis.config_set("maxmemory-policy", "allkeys-lru")
    for _ in field.workers:
        field.proxy.at_call(b"EVALSHA", cut=True)
    yield field.rng.uniform(2, 4)
    field.redis.config_set("maxmemory-policy", "noeviction")


def redis_frozen(field: Field) -> Iterator[float]:
    """SIGSTOP, for a moment or past the timeout of a call: then what was sent is applied late."""
    pid = field.valkey.child.pid
    os.kill(pid, signal.SIGSTOP)
    yield field.rng.choice((2.0, 11.0))
    os.kill(pid, signal.SIGCONT)
    yield 0.5


def replica_promoted(field: Field) -> Iterator[float]:
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


def answer_lost(field: Field) -> Iterator[float]:
    """A call is applied and its answer never comes, for a worker or two."""
    for _ in range(field.rng.randint(1, 3)):
        field.proxy.at_call(b"EVALSHA", cut=True)
    yield 1.5


def link_down(field: Field) -> Iterator[float]:
    """No connection to Redis for a while; those there are end in whatever they do."""
    field.proxy.open = False
    field.proxy.cut()
    yield field.rng.uniform(0.5, 3)
    field.proxy.open = True


# Kafka


def kafka_killed(field: Field) -> Iterator[float]:
    """SIGKILL of the JVM, and a start on the same logs."""
    field.kafka.kill()
    yield field.rng.uniform(0.5, 4)
    field.kafka.start(aof.waiting())
    yield 5.0


def _until_exact(field: Field) -> Iterator[float]:
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
    Fault("worker frozen past its session", worker_frozen),
    Fault("rebalance storm", rebalance_storm, "storm"),
    Fault("redis killed", redis_killed, "redis"),
    Fault("redis killed, tail lost", redis_lost_tail, "redis"),
    Fault("redis rolled back unnoticed", redis_rolled_back, "redis"),
    Fault("redis wiped", redis_wiped, "redis"),
    Fault("redis out of memory", redis_full, "redis"),
    Fault("redis set to evict", redis_evicts, "redis"),
    Fault("redis frozen", redis_frozen, "redis", freezes_redis=True),
    Fault("stale replica promoted", replica_promoted, "redis"),
    Fault("answer of an applied call lost", answer_lost),
    Fault("link to redis down", link_down, "redis"),
    Fault("kafka killed", kafka_killed, "kafka"),
)
BY_NAME = {fault.name.replace(" ", "-").replace(",", ""): fault for fault in FAULTS}
