"""What the script that counts costs Valkey: time a fact, and the commands of a call, each with its purpose.

Time: of each workload, all that `INFO commandstats` says of EVALSHA (by the clock, and nearly all of it the
script that counts) by the facts that were counted, each once; one worker, no rewriting of the append-only
file. A fact of many small tenants costs more, as a call touches more keys for as many facts: how much more,
is the ratio to the reference workload in the same round. Small record batches make the same calls.

Commands: counted once, on a run of its own, from what MONITOR shows between a call of the script and the next
command of a client. Only what comes from the script is counted, not the bench's own queries.
"""

import re
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1
from threading import Thread
from typing import Any, Final

import redis

from aggregator.counters.store import SCRIPT
from deploy.valkey import Valkey
from tests.benchmarks.check import check
from tests.benchmarks.counting import Table
from tests.benchmarks.figures import Figure
from tests.benchmarks.runs import Bench
from tests.benchmarks.scene import Stage, Topic
from tests.benchmarks.workload import BIG, LONG_TAIL, REFERENCE, TINY, TWO_THOUSAND, tail

TIMED: Final = (REFERENCE.name, TWO_THOUSAND.name, LONG_TAIL.name)
SHA: Final = sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest().encode()
LAST: Final = b"the bench has seen enough"
ENDS_S: Final = 60.0

PURPOSES: Final = {
    "HMGET lane": "is it the lane that is meant, and where does it stand",
    "HSET lane": "checkpoints",
    "TIME": "when states may go",
    "GET layers": "where the states of a send day lie, and without any, of days before it",
    "HMGET states": "what is counted already",
    "HSET states": "what is counted now",
    "EXPIREAT states": "a bucket that is new",
    "SET layers": "how many states there are now",
    "HMGET counters": "packed counters as they are",
    "HSET counters": "packed counters as they will be",
    "HMGET wide": "those of them that are too long for a compact hash",
    "HSET wide": "the same, written",
    "ZADD known": "ids and blocks of days that are new",
    "SADD tenants": "tenants with ids or blocks that are new",
    "EXISTS lane": "every key of the call, before anything is written",
    "ZCARD known": "has a tenant with new ids many",
    "ZLEXCOUNT known": "how many it has",
}
"""What each command of the script is for."""

_LINE: Final = re.compile(rb'\+[\d.]+ \[\d+ (\S+)\] "(\w+)"(?: "((?:[^"\\]|\\.)*)")?')
_PARTS: Final = {"": "lane", "n": "tenants", "i": "known", "c": "counters", "w": "wide"}
_STATES_COLONS: Final = 3
"""`m:HORIZON:DAY` are a day's layers; a bucket has more in its key."""


@dataclass
class Sent:
    """What calls of the script sent: commands by name and what they are about."""

    calls: int = 0
    commands: Counter[str] = field(default_factory=Counter)


def calls(bench: Bench) -> list[Figure]:
    """Time by rounds, and commands once."""
    topics = {
        shape.name: bench.scene.topic(shape, events)
        for shape, events in (
            (REFERENCE, bench.events),
            (BIG, bench.events),
            (TINY, bench.events),
            tail(TWO_THOUSAND, bench.events * 6 // 10),
            tail(LONG_TAIL, bench.events * 6 // 10),
        )
    }
    table = Table()
    for number in range(bench.rounds):
        bench.say(f"calls, round {number + 1} of {bench.rounds}")
        cost = {name: _us_a_fact(bench, topics[name]) for name in TIMED}
        for name, of_fact in cost.items():
            table.add(f"calls.{name}.fact", f"{name}: Valkey's time a fact", "us/fact", of_fact)
            if name != REFERENCE.name:
                ratio, what = of_fact / cost[REFERENCE.name], f"{name}: the same, to the reference's"
                table.add(f"calls.{name}.to-reference", what, "ratio", ratio)
    for name, topic in topics.items():
        bench.say(f"the commands of a call, {name}")
        sent = _sent(bench, topic)
        facts = topic.expected.facts
        note = f"{facts / sent.calls:,.0f} facts a call, {sent.calls:,} calls"
        all_commands = sent.commands.total()
        table.add(f"calls.{name}.commands", f"{name}: commands", "a call", all_commands / sent.calls, note)
        for command, many in sent.commands.most_common():
            key, what = f"calls.{name}.{'-'.join(command.split())}", f"{name}: {command}"
            note = f"{PURPOSES.get(command, 'unknown')}; {many / facts:.3f} a fact"
            table.add(key, what, "a call", many / sent.calls, note)
    return table.figures()


def _us_a_fact(bench: Bench, topic: Topic) -> float:
    with bench.scene.stage(topic) as stage:
        stage.redis.config_set("auto-aof-rewrite-percentage", 0)
        _count(stage)
        of_scripts: Any = stage.redis.info("commandstats")["cmdstat_evalsha"]
    return float(of_scripts["usec"] / topic.expected.facts)


def _sent(bench: Bench, topic: Topic) -> Sent:
    with bench.scene.stage(topic) as stage, monitored(stage.valkey, stage.redis) as sent:
        _count(stage)
    return sent


def _count(stage: Stage) -> None:
    worker = stage.worker()
    stage.catch_up([worker])
    worker.stop()
    check(stage.redis, stage.topic.expected)


@contextmanager
def monitored(valkey: Valkey, client: redis.Redis) -> Iterator[Sent]:
    """What the script sends meanwhile; complete afterwards."""
    sent = Sent()
    with (
        socket.create_connection(("127.0.0.1", valkey.port)) as connection,
        connection.makefile("rb") as lines,
    ):
        connection.sendall(b"MONITOR\r\n")
        lines.readline()
        reader = Thread(target=lambda: add_lines(sent, lines))
        reader.start()
        yield sent
        client.echo(LAST)
        reader.join(ENDS_S)
        if reader.is_alive():
            raise TimeoutError(f"MONITOR had not shown all after {ENDS_S:.0f} s")


def add_lines(sent: Sent, lines: Iterator[bytes]) -> None:
    """Count what MONITOR shows, up to the bench's own last word."""
    is_ours = False
    for line in lines:
        match = _LINE.match(line)
        if match is None:
            continue
        client, command, first = match.groups(default=b"")
        if client != b"lua":
            is_ours = command.upper() == b"EVALSHA" and first == SHA
            sent.calls += is_ours
            if first == LAST:
                return
        elif is_ours:
            sent.commands[f"{command.decode().upper()} {_part(first.decode())}".strip()] += 1


def _part(key: str) -> str:
    """What a key of a lane holds."""
    if not key:
        return ""
    rest = key.partition("}")[2].removeprefix(":")
    letter = rest.partition(":")[0]
    if letter == "m":
        return "states" if rest.count(":") >= _STATES_COLONS else "layers"
    return _PARTS.get(letter, letter)
