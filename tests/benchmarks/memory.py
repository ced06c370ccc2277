"""What the counters take in Redis: bytes a message, bytes a scope-day, and for how many days.

Counted by a true worker into an empty Valkey, then every key is asked for its size (`MEMORY USAGE`, all
elements, with the key itself). A message's bytes are those of the message state (`LANE:m:...`), a scope-day's
those of the counters (`LANE:c:...`): one scope on one day with any count. Byte-days are the state's bytes by
the days for which they are kept after the send day. `used_memory` before and after says whether the keys
together are all there is.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

import redis

from tests.benchmarks.check import check
from tests.benchmarks.figures import Figure, type_of_unit
from tests.benchmarks.runs import Bench
from tests.benchmarks.scene import Topic
from tests.benchmarks.workload import EVENTS_A_MAIL, LONG_TAIL, REFERENCE, TWO_THOUSAND, Shape, tail

MILLION = Shape("million-a-day", tenants=1, zipf=0.0, days=1, whole=True)
THOUSAND = Shape("thousand-a-day", tenants=1, zipf=0.0, days=15, whole=True)
QUICK_SHARE = 1_000_000
PIECE = 5_000
KEPT_DAYS: Final = 92
"""After the send day: 78 of the horizon, 14 of grace."""


@dataclass(frozen=True)
class Held:
    """What a Valkey holds.

    by_kind: bytes of keys, by the letter of the layout. byte_days: of the message state. total: how much
    `used_memory` grew.
    """

    by_kind: Counter[str]
    byte_days: int
    scope_days: int
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
        all_keys = sum(held.by_kind.values())
        parts = ", ".join(f"{kind or 'lanes'} {size / messages:.1f}" for kind, size in held.by_kind.items())
        used = f"the keys together are {all_keys / held.total:.0%} of it"
        rows: list[tuple[str, str, type_of_unit, float, str]] = [
            ("message", "state of a message", "bytes", held.by_kind["m"] / messages, reported),
            ("byte-days", "the same by days kept", "byte-days", held.byte_days / messages, reported),
            ("scope-day", "a scope-day", "bytes", held.by_kind["c"] / held.scope_days, reported),
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
        held = _held(stage.redis)
        return replace(held, total=_used(stage.redis) - before)


def _used(client: redis.Redis) -> int:
    """`used_memory` less what clients and the append-only file have in buffers."""
    reported = client.info("memory")
    return int(reported["used_memory"] - reported["mem_clients_normal"] - reported["mem_aof_buffer"])


def _held(client: redis.Redis) -> Held:
    """The sizes of all keys; `total` is theirs."""
    by_kind: Counter[str] = Counter()
    byte_days = scope_days = 0
    for keys in _pieces(client):
        kinds = [_kind(key) for key in keys]
        with client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.memory_usage(key, samples=0)
            sizes = pipe.execute()
            counters = [key for key, kind in zip(keys, kinds, strict=True) if kind == "c"]
            for key in counters:
                pipe.hlen(key)
            scope_days += sum(pipe.execute())
        for kind, size in zip(kinds, sizes, strict=True):
            by_kind[kind] += size
            if kind == "m":
                byte_days += size * KEPT_DAYS
    return Held(by_kind, byte_days, scope_days, by_kind.total())


def _pieces(client: redis.Redis) -> Iterator[list[bytes]]:
    """All keys, some at a time."""
    keys = client.scan_iter(count=PIECE)
    while piece := list(islice(keys, PIECE)):
        yield piece


def _kind(key: bytes) -> str:
    """The letter after the lane in a key of the layout, empty for a lane's own and the generation's."""
    parts = key.decode().partition("}:")[2].split(":")
    return parts[0]
