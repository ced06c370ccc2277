"""What the counters take in Redis: bytes a message, bytes a scope-day.

Counted by a true worker into an empty Valkey, then every key is asked for its size (`MEMORY USAGE`, all
elements, with the key itself). A message's bytes are those of the message state (`LANE:m:...`), a scope-day's
those of the counters (`LANE:c:...`): one scope on one day with any count. `used_memory` before and after says
whether the keys together are all there is.
"""

from collections import Counter
from dataclasses import dataclass, replace

import redis

from tests.benchmarks.check import check
from tests.benchmarks.figures import Figure
from tests.benchmarks.runs import Bench
from tests.benchmarks.scene import Topic
from tests.benchmarks.workload import EVENTS_A_MAIL, REFERENCE, Shape

MILLION = Shape("million-a-day", tenants=1, zipf=0.0, days=1, whole=True)
THOUSAND = Shape("thousand-a-day", tenants=1, zipf=0.0, days=15, whole=True)
QUICK_SHARE = 1_000_000
PIECE = 5_000


@dataclass(frozen=True)
class Held:
    """What a Valkey holds.

    by_kind: bytes of keys, by the dead letter of the layout. total: how much `used_memory` grew.
    """

    by_kind: Counter[str]
    scope_days: int
    total: int


def memory(bench: Bench) -> list[Figure]:
    """The three workloads, each counted once: nothing about them is left to chance."""
    scale = min(1.0, bench.events / QUICK_SHARE)
    a_day = int(1_000_000 * scale)
    cases = {
        "million": (f"{a_day:,} messages a day", replace(MILLION, name=f"{a_day}-a-day"), a_day),
        "thousand": ("1,000 messages a day", THOUSAND, 1_000 * THOUSAND.days),
        "reference": ("reference workload", REFERENCE, int(bench.events / EVENTS_A_MAIL)),
    }
    figures = []
    for key, (what, shape, messages) in cases.items():
        events = bench.events if shape is REFERENCE else int(messages * EVENTS_A_MAIL)
        topic = bench.scene.topic(shape, events)
        bench.say(f"memory: {what}")
        held = _count(bench, topic)
        of_message = held.by_kind["m"] / topic.expected.messages
        of_scope_day = held.by_kind["c"] / held.scope_days
        all_a_message = held.total / topic.expected.messages
        reported = f"{topic.expected.messages:,} messages, {held.scope_days:,} scope-days"
        figures += [
            Figure(f"memory.{key}.message", f"{what}: a message", "bytes", (of_message,), reported),
            Figure(f"memory.{key}.scope-day", f"{what}: a scope-day", "bytes", (of_scope_day,), reported),
            Figure(
                f"memory.{key}.used",
                f"{what}: all of used_memory, a message",
                "bytes",
                (all_a_message,),
                f"the keys together are {sum(held.by_kind.values()) / held.total:.0%} of it",
            ),
        ]
    return figures


def _count(bench: Bench, topic: Topic) -> Held:
    with bench.scene.stage(topic) as stage:
        before = _used(stage.redis)
        worker = stage.worker()
        stage.catch_up([worker])
        worker.stop()
        check(stage.redis, topic.expected)
        by_kind, scope_days = _sizes(stage.redis)
        return Held(by_kind, scope_days, _used(stage.redis) - before)


def _used(client: redis.Redis) -> int:
    """`used_memory` less what clients and the append-only file have in buffers."""
    reported = client.info("memory")
    return int(reported["used_memory"] - reported["mem_clients_normal"] - reported["mem_aof_buffer"])


def _sizes(client: redis.Redis) -> tuple[Counter[str], int]:
    """Bytes of all keys by the dead letter that says what they hold, and the number of scope-days."""
    by_kind: Counter[str] = Counter()
    scope_days = 0
    keys: list[bytes] = []
    for key in client.scan_iter(count=PIECE):
        keys.append(key)
        if len(keys) == PIECE:
            scope_days += _add_sizes(client, keys, by_kind)
            keys.clear()
    return by_kind, scope_days + _add_sizes(client, keys, by_kind)


def _add_sizes(client: redis.Redis, keys: list[bytes], by_kind: Counter[str]) -> int:
    kinds = [_kind(key) for key in keys]
    with client.pipeline(transaction=False) as pipe:
        for key, kind in zip(keys, kinds, strict=True):
            pipe.memory_usage(key, samples=0)
            if kind == "c":
                pipe.hlen(key)
        answers = iter(pipe.execute())
    scope_days = 0
    for kind in kinds:
        by_kind[kind] += next(answers)
        if kind == "c":
            scope_days += next(answers)
    return scope_days


def _kind(key: bytes) -> str:
    """The dead letter after the lane in a key of the layout, empty for a lane's own and the generation's."""
    parts = key.decode().partition("}:")[2].split(":")
    return parts[0]
