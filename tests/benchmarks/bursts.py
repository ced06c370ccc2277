"""Does one customer hold up all others? Bursts of what costs Redis most, and how long a call takes at worst.

Redis does nothing else while a script runs, so the longest call is what everybody's query may have to wait
for. What a call costs follows less from its facts than from the keys that they touch: a burst of new tenants,
of new ids as long as they may be, or of days, touches new ones with each event. For each a stack of its own:
a tenant that has nothing to do with it is counted and the worker stopped; the burst is written to one
partition, so that all of it stands in one worker's calls; then the worker counts it while the API is asked
for the innocent tenant.

A call's time is what Valkey's SLOWLOG says, time by the clock: on a busy machine also that in which Valkey
waited for a processor. So beside the longest stands the mean, by the clock and in CPU time, and the share of
its time that Valkey waited for a processor, as Linux says. Valkey does not rewrite its append-only file
meanwhile: that is work of its own, in a process beside it that takes one of the processors (one call of 1,700
took 40 to 73 ms then, 6 of them CPU time), and it comes once in so many bytes, whatever a call holds.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from statistics import mean
from typing import Final

import redis

from tests.benchmarks.catching_up import IDLE_SECONDS, RATE, while_a_worker_catches_up
from tests.benchmarks.check import check
from tests.benchmarks.counting import Table
from tests.benchmarks.figures import Figure
from tests.benchmarks.load import write
from tests.benchmarks.reading import QUERIES, targets
from tests.benchmarks.runs import Bench, TooShortError
from tests.benchmarks.vegeta import attack, find
from tests.benchmarks.workload import DAY, SENT, START_MS, Happening, Mail, Shape, tenant_name

INNOCENT: Final = Shape("bursts", tenants=1, zipf=0.0)
INNOCENT_EVENTS: Final = 10_000
WHOLE: Final = 1_000_000
"""Bursts are whole in a bench of so many events, and smaller in the same measure in a smaller one."""

LONG: Final = 10**250
"""The name of a sequence or template with so great a number has 255 bytes: the longest that may be."""

PARTITION: Final = 0
MS_BOUND: Final = 20
SLOW_US: Final = 1_000
SLOW_KEPT: Final = 1_000_000
"""More calls than a burst has."""


@dataclass(frozen=True)
class Burst:
    """A burst: one Send after another, each with something new.

    key: of its figures. what: is new with each event. size: how many events, when whole.
    mail: the time (ms since 1970), tenant, sequence and template of the n-th; tenant 0 is the innocent one.
    """

    key: str
    what: str
    size: int
    mail: Callable[[int], tuple[int, int, int, int]]


BURSTS: Final = (
    Burst("tenants", "new tenants", 100_000, lambda n: (START_MS + n, n + 1, n % 20, n % 50)),
    Burst(
        "ids",
        "sequences and templates of 255 bytes",
        100_000,
        lambda n: (START_MS + n, 1, LONG + n, LONG + n),
    ),
    Burst("days", "days", 20_000, lambda n: (START_MS - n * DAY, 1, n % 20, n % 50)),
)


def reported(burst: Burst, events: int, seed: int) -> Iterator[Happening]:
    """The first events of a burst."""
    rng = Random(f"{burst.key} {seed}")
    for number in range(events):
        at_ms, tenant, sequence, template = burst.mail(number)
        mail = Mail(at_ms, tenant, sequence, template, rng.getrandbits(128), (rng.getrandbits(24),))
        yield Happening(at_ms, number, SENT, 0, mail)


@dataclass(frozen=True)
class Calls:
    """How long each call took, in ms, that took longer than `SLOW_US`: all that counted. At least one."""

    slow_ms: list[float]

    @property
    def note(self) -> str:
        above = sum(each > MS_BOUND for each in self.slow_ms)
        return f"by SLOWLOG, {above} of {len(self.slow_ms):,} calls above {MS_BOUND} ms"


def begin(client: redis.Redis) -> None:
    """Let the server take down from now on what its calls take, and do nothing else beside them."""
    client.config_set("auto-aof-rewrite-percentage", 0)
    client.config_set("slowlog-log-slower-than", SLOW_US)
    client.config_set("slowlog-max-len", SLOW_KEPT)
    client.slowlog_reset()


def calls(client: redis.Redis) -> Calls:
    """What the server has taken down. Raises: TooShortError where that is nothing."""
    slow_ms = [each["duration"] / 1000 for each in client.slowlog_get(SLOW_KEPT)]
    if not slow_ms:
        raise TooShortError(f"no call took {SLOW_US} us")
    return Calls(slow_ms)


@dataclass(frozen=True)
class Processor:
    """What a process's main thread had of a processor: for how long it ran, and waited for one, in s."""

    ran_s: float
    waited_s: float

    @classmethod
    def of(cls, pid: int) -> "Processor":
        """So far."""
        ran, waited, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
        return cls(int(ran) / 1e9, int(waited) / 1e9)

    def since(self, before: "Processor") -> "Processor":
        return Processor(self.ran_s - before.ran_s, self.waited_s - before.waited_s)


def bursts(bench: Bench) -> list[Figure]:
    """Every round all bursts, each on a stage of its own. Raises: NoProgramError."""
    find()
    table = Table()
    for number in range(bench.rounds):
        for burst in BURSTS:
            events = int(burst.size * min(1.0, bench.events / WHOLE))
            bench.say(f"a burst of {events:,} {burst.what}, round {number + 1} of {bench.rounds}")
            _measure(bench, table, burst, events, number + 1)
    return table.figures()


def _measure(bench: Bench, table: Table, burst: Burst, events: int, seed: int) -> None:
    shape = replace(INNOCENT, name=f"bursts-{burst.key}", seed=seed)
    topic = bench.scene.topic(shape, INNOCENT_EVENTS)
    with bench.scene.stage(topic) as stage:
        worker = stage.worker()
        stage.catch_up([worker])
        api = stage.api()
        key = stage.programs.new_key(tenant_name(0))
        month = targets(api.url, {0: key}, QUERIES[0], START_MS + 15 * DAY - 1)
        attack(month, rate=RATE, seconds=2)  # it has run before
        worker.stop()
        expected = deepcopy(topic.expected)
        write(stage.bootstrap, topic.name, map(expected.pass_on, reported(burst, events, seed)), PARTITION)
        idle = attack(month, rate=RATE, seconds=IDLE_SECONDS)
        begin(stage.redis)
        before = Processor.of(stage.valkey.child.pid)
        busy = while_a_worker_catches_up(stage, month).answers
        found, processor = calls(stage.redis), Processor.of(stage.valkey.child.pid).since(before)
        check(stage.redis, expected)
    key, what = f"bursts.{burst.key}", f"{events:,} {burst.what}"
    table.add(f"{key}.longest", f"{what}: longest call", "ms", max(found.slow_ms), found.note)
    table.add(f"{key}.mean", f"{what}: mean call", "ms", mean(found.slow_ms), "of those above 1 ms")
    cpu_ms = processor.ran_s * 1000 / len(found.slow_ms)
    table.add(f"{key}.cpu", f"{what}: Valkey's CPU a call", "ms", cpu_ms, "all that it did, by these calls")
    waited = processor.waited_s / (processor.ran_s + processor.waited_s)
    table.add(f"{key}.waited", f"{what}: Valkey waiting for a processor", "share", waited)
    for name, answers in (("idle", idle), ("busy", busy)):
        value, note = answers.percentile(0.99), f"{len(answers.hits):,} requests in a run"
        table.add(f"{key}.{name}.p99", f"{what}: API {name}, p99 at {RATE}/s", "ms", value, note)
    ratio = busy.percentile(0.99) / idle.percentile(0.99)
    table.add(f"{key}.p99.ratio", f"{what}: API's p99, burst to idle", "ratio", ratio)
    table.add(f"{key}.refused", f"{what}: API busy, not answered with 200", "share", busy.refused)
