"""What the counters take in Redis: bytes a message, bytes a scope-day, and for how many days.

Counted by a true worker into an empty Valkey, then every key is asked for its size (`MEMORY USAGE`, all
elements, with the key itself). A message's bytes are those of the message state (`LANE:m:...`), a scope-day's
those of the counters (`LANE:c:...`, `LANE:w:...`): one scope on one day with any count. For the core alone
each of these keys is made once more without the details. Byte-days are the state's bytes by the days for
which they are kept after the send day. `used_memory` before and after says whether the keys together are all
there is.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

import redis

from schemas.instants import DAY_MS
from schemas.kinds import HORIZONS, REMEMBERED_MS
from schemas.redis_keys import BLOCK_DAYS
from tests.benchmarks.check import check
from tests.benchmarks.figures import Figure, type_of_unit
from tests.benchmarks.runs import Bench
from tests.benchmarks.scene import Topic
from tests.benchmarks.workload import EVENTS_A_MAIL, LONG_TAIL, REFERENCE, TWO_THOUSAND, Shape, tail

MILLION = Shape("million-a-day", tenants=1, zipf=0.0, days=1, whole=True)
THOUSAND = Shape("thousand-a-day", tenants=1, zipf=0.0, days=15, whole=True)
QUICK_SHARE = 1_000_000
PIECE = 5_000
KEPT_DAYS: Final = {horizon.name: (horizon.stale_ms + REMEMBERED_MS) // DAY_MS for horizon in HORIZONS}
"""For how many days after the send day message state is kept, by the name of its horizon."""
COUNTERS: Final = ("c", "w")
CORE_CODE: Final = 0
"""The place of the core among the families."""


@dataclass(frozen=True)
class Held:
    """What a Valkey holds.

    by_kind: bytes of keys, by the letter of the layout. byte_days: of the message state. scope_days: with any
    count of the core. core: bytes of the counters without details. total: how much `used_memory` grew.
    """

    by_kind: Counter[str]
    byte_days: int
    scope_days: int
    core: int
    total: int


def memory(bench: Bench) -> list[Figure]:
    """The workloads, each counted once: nothing about them is left to chance."""
    scale = min(1.0, bench.events / QUICK_SHARE)
    a_day = int(1_000_000 * scale)
    cases = {
        "million": (
            f"{a_day:,} messages a day",
            replace(MILLION, name=f"{a_day}-a-day"),
            int(a_day * EVENTS_A_MAIL),
        ),
        "thousand": ("1,000 messages a day", THOUSAND, int(1_000 * THOUSAND.days * EVENTS_A_MAIL)),
        "reference": ("reference workload", REFERENCE, bench.events),
    }
    for shape, events in (tail(each, bench.events * 6 // 10) for each in (LONG_TAIL, TWO_THOUSAND)):
        mails = events / EVENTS_A_MAIL / shape.days / shape.tenants
        cases[shape.name] = f"{shape.tenants:,} tenants with {mails:.0f} mails a day", shape, events
    figures = []
    for key, (what, shape, events) in cases.items():
        topic = bench.scene.topic(shape, events)
        bench.say(f"memory: {what}")
        held = _count(bench, topic)
        messages = topic.expected.messages
        reported = f"{messages:,} messages, {held.scope_days:,} scope-days"
        counters = sum(held.by_kind[letter] for letter in COUNTERS)
        all_keys = sum(held.by_kind.values())
        parts = ", ".join(f"{kind or 'lanes'} {size / messages:.1f}" for kind, size in held.by_kind.items())
        used = f"the keys together are {all_keys / held.total:.0%} of it"
        rows: list[tuple[str, str, type_of_unit, float, str]] = [
            ("message", "state of a message", "bytes", held.by_kind["m"] / messages, reported),
            ("byte-days", "the same by days kept", "byte-days", held.byte_days / messages, reported),
            ("scope-day", "a scope-day, core", "bytes", held.core / held.scope_days, reported),
            ("scope-day-all", "a scope-day, all families", "bytes", counters / held.scope_days, reported),
            ("all", "all keys, a message", "bytes", all_keys / messages, f"by the layout's letters: {parts}"),
            ("used", "all of used_memory, a message", "bytes", held.total / messages, used),
        ]
        figures += [
            Figure(f"memory.{key}.{name}", f"{what}: {of_what}", unit, (value,), note)
            for name, of_what, unit, value, note in rows
        ]
    return figures


def _count(bench: Bench, topic: Topic) -> Held:
    with bench.scene.stage(topic) as stage:
        before = _used(stage.redis)
        worker = stage.worker()
        stage.catch_up([worker])
        worker.stop()
        check(stage.redis, topic.expected)
        total = _used(stage.redis) - before
        return replace(held_by(stage.redis), total=total)


def _used(client: redis.Redis) -> int:
    """`used_memory` less what clients and the append-only file have in buffers."""
    reported = client.info("memory")
    return int(reported["used_memory"] - reported["mem_clients_normal"] - reported["mem_aof_buffer"])


def held_by(client: redis.Redis) -> Held:
    """The sizes of all keys; `total` is theirs."""
    by_kind: Counter[str] = Counter()
    byte_days = scope_days = core = 0
    for keys in list(_pieces(client)):
        with client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.memory_usage(key, samples=0)
            sizes = pipe.execute()
        for key, size in zip(keys, sizes, strict=True):
            letter, _, rest = key.decode().partition("}:")[2].partition(":")
            by_kind[letter] += size
            if letter == "m":
                byte_days += size * KEPT_DAYS[rest.partition(":")[0]]
            elif letter in COUNTERS:
                fields, of_core = _core(client, key)
                core += of_core
                scope_days += fields if letter == "c" else 0
    return Held(by_kind, byte_days, scope_days, core, by_kind.total())


def _core(client: redis.Redis, key: bytes) -> tuple[int, int]:
    """How many fields of a hash of counters are the core's, and how large it would be with them alone."""
    counters: Any = client.hgetall(key)
    core = {name: value for name, value in counters.items() if name[0] // BLOCK_DAYS == CORE_CODE}
    if not core:
        return 0, 0
    copy = key[:-1] + b"!"  # in the same slot, and as long
    with client.pipeline(transaction=False) as pipe:
        pipe.hset(copy, mapping=core)
        pipe.memory_usage(copy, samples=0)
        pipe.delete(copy)
        _, size, _ = pipe.execute()
    return len(core), size


def _pieces(client: redis.Redis) -> Iterator[list[bytes]]:
    """All keys, some at a time."""
    keys = client.scan_iter(count=PIECE)
    while piece := list(islice(keys, PIECE)):
        yield piece
