"""Other stream processors on the same work, by turns with the ceiling and with our worker.

The peers live in `tests.benchmarks.peers`, each a program in an environment of their own that reads a topic
from its start, does the work with an empty Valkey and says how long it took from the first record to the last
write. All are given two workloads: the reference, and the long tail of small tenants. Slow ones are given a
short topic, as a bench must end: who does not reach `FAST` events a second in a first try on the short topic
stays on it, unless it gets faster as it runs.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from deploy.processes import StackError
from tests.benchmarks import runs
from tests.benchmarks.check import WrongNumbersError
from tests.benchmarks.counting import LIVE_NOTE, Table
from tests.benchmarks.figures import Figure, Missing
from tests.benchmarks.peer import Peer, Reported, read_last_line
from tests.benchmarks.peers.table import PEERS
from tests.benchmarks.peers.work import FIELDS
from tests.benchmarks.runs import Bench
from tests.benchmarks.scene import Scene, Topic
from tests.benchmarks.workload import LONG_TAIL, REFERENCE, tail
from tests.pipeline.programs import CHECKOUT

SHORT_SHARE: Final = 20
"""The short topic has a twentieth of the events."""
FAST: Final = 40_000
LIMIT_S: Final = 300.0


class PeerFailedError(Exception):
    """A peer could not be started, failed, or said what cannot be read."""


@dataclass(frozen=True)
class Workload:
    """What all peers are given.

    key: which the keys of its figures begin with. suffix: of what they are called.
    """

    key: str
    suffix: str
    short: Topic
    whole: Topic


@dataclass(frozen=True)
class Tried:
    """A peer that works, and the topic that fits its speed."""

    peer: Peer
    topic: Topic


def against_peers(bench: Bench) -> list[Figure | Missing]:
    """Each peer that can be run, on each workload, and a word on each that cannot."""
    of_tail = bench.events * 6 // 10
    table = Table()
    missing: list[Missing] = []
    for workload in (
        Workload(
            "peers",
            "",
            bench.scene.topic(REFERENCE, bench.events // SHORT_SHARE),
            bench.scene.topic(REFERENCE, bench.events),
        ),
        Workload(
            f"peers.{LONG_TAIL.name}",
            f", {LONG_TAIL.name}",
            bench.scene.topic(*tail(LONG_TAIL, of_tail // SHORT_SHARE)),
            bench.scene.topic(*tail(LONG_TAIL, of_tail)),
        ),
    ):
        tried = _try(bench, workload, missing)
        for number in range(bench.rounds):
            bench.say(f"peers{workload.suffix}, round {number + 1} of {bench.rounds}")
            _round(bench, workload, tried, table)
    return [*table.figures(), *missing]


def slug(name: str) -> str:
    """A peer's name as it stands in the key of a figure."""
    return "-".join(name.lower().split())


def _try(bench: Bench, workload: Workload, missing: list[Missing]) -> list[Tried]:
    tried: list[Tried] = []
    for peer in PEERS:
        bench.say(f"trying {peer.name}{workload.suffix}")
        try:
            reported = _run(bench.scene, peer, workload.short)
        except (PeerFailedError, WrongNumbersError) as error:
            missing.append(Missing(f"peers: {peer.name}{workload.suffix}", str(error)))
        else:
            is_long = peer.warms_up or reported.events / reported.seconds > FAST
            tried.append(Tried(peer, workload.whole if is_long else workload.short))
    return tried


def _round(bench: Bench, workload: Workload, tried: Sequence[Tried], table: Table) -> None:
    ceiling = runs.ceiling(bench.scene, workload.whole)
    ours = runs.live(bench.scene, workload.whole, 1)
    key, suffix = workload.key, workload.suffix
    table.add(f"{key}.ceiling1", f"ceiling, one process{suffix}", "events/s", ceiling)
    table.add_count(f"{key}.live1", f"live, one worker{suffix}", ours, ceiling, LIVE_NOTE)
    rates: dict[str, float] = {}
    for each in tried:
        reported = _run(bench.scene, each.peer, each.topic)
        rate, name = reported.events / reported.seconds, each.peer.name
        note = f"{each.topic.events:,} events; {each.peer.guarantees}"
        table.add(f"{key}.{slug(name)}.rate", f"{name}{suffix}", "events/s", rate, note)
        table.add(f"{key}.{slug(name)}.ratio", f"{name}{suffix}", "of the ceiling", rate / ceiling, note)
        over = f"one worker to {name}{suffix}"
        table.add(f"{key}.live1.over.{slug(name)}", over, "ratio", ours.rate / rate)
        if each.peer.counts:
            rates[name] = rate
    if len(rates) == sum(peer.counts for peer in PEERS):  # else the fastest may be missing
        fastest = max(rates, key=rates.__getitem__)
        over = f"one worker to the fastest that counts{suffix}"
        table.add(f"{key}.live1.over.fastest", over, "ratio", ours.rate / rates[fastest], fastest)


def _run(scene: Scene, peer: Peer, topic: Topic) -> Reported:
    """Run a peer on a topic and an empty Valkey. Raises: PeerFailedError, WrongNumbersError."""
    with scene.stage(topic) as stage:
        try:
            ended = subprocess.run(
                peer.command(scene.bootstrap, topic.name, stage.valkey.url),
                cwd=CHECKOUT,
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
                check=False,
            )
        except (OSError, subprocess.SubprocessError, StackError) as error:
            raise PeerFailedError(str(error)) from error
    if ended.returncode:
        raise PeerFailedError(f"ended with status {ended.returncode}: {ended.stderr.strip()[-300:]}")
    try:
        reported = read_last_line(ended.stdout)
    except ValueError as error:
        raise PeerFailedError(str(error)) from error
    if reported.events != topic.events:
        raise WrongNumbersError(f"it read {reported.events:,} of {topic.events:,} events")
    totals = {tenant: counts[: len(FIELDS)] for tenant, counts in topic.expected.totals().items()}
    if reported.totals is not None and not peer.inexact and reported.totals != totals:
        raise WrongNumbersError("its totals are not those that must be counted")
    return reported
