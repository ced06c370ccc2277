"""A chaos run: true servers, true workers, a steady source, faults from a seed, and at the end every cell.

Law: the run knows what must be in Redis at any instant. Beside the faults, a lane is looked at now and then,
its fences and cells in one step, and compared with what the ledger says was written below these fences. At
the end every fence must stand at the end of its partition and every cell of every tenant must be right.

Children die with the thread that starts them, so all that starts one happens in the thread that calls `run`:
a fault is a generator that says for how long it lasts and is then resumed.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import redis

from deploy.kafka import Kafka
from deploy.processes import free_port, say
from deploy.valkey import Valkey
from schemas import counters, topics
from tests import services
from tests.chaos import aof, view
from tests.chaos.ledger import Ledger
from tests.chaos.proxy import Proxy
from tests.chaos.source import Source
from tests.pipeline import log
from tests.pipeline.place import Place, naive_count
from tests.pipeline.programs import Program, Programs, wait_until

PARTITIONS = topics.EVENTS.partitions
SETTLE_S = 240.0
ANSWER_S = 5.0
LOOK_EVERY_S = 2.0
COPY_EVERY_S = 4.0
COPIES = 5
BEAT_S = 0.05


@dataclass(frozen=True)
class Fault:
    """A way to break something. inject: breaks it, yields how long to wait (s), goes on, mends it.

    takes: what it needs for itself meanwhile (`redis`, `kafka`); a worker is taken by the fault itself.
    """

    name: str
    inject: "Callable[[Field], Iterator[float]]"
    takes: str = ""
    freezes_redis: bool = False


@dataclass
class Tally:
    """What became of a fault of one name: how often, and what was acknowledged while it lasted."""

    times: int = 0
    events: int = 0


@dataclass
class Active:
    """A fault that lasts."""

    fault: Fault
    steps: Iterator[float]
    resume_at: float
    events_before: int


@dataclass
class Field:
    """The servers and workers of a run, as faults find them."""

    kafka: Kafka
    valkey: Valkey
    proxy: Proxy
    programs: Programs
    rng: Random
    directory: Path
    active: list[Active] = field(default_factory=list)
    workers: list[Program | None] = field(default_factory=list)
    busy: set[int] = field(default_factory=set)
    aof_copies: list[Path] = field(default_factory=list)
    copies: list[view.Copy] = field(default_factory=list)
    exact_again_s: list[float] = field(default_factory=list)
    """After each lost tail: from Redis's return to exact numbers."""
    wrong: list[str] = field(default_factory=list)
    """What a fault saw that must not be."""
    _made: int = 0
    _clients: dict[int, Any] = field(default_factory=dict)

    @property
    def redis(self) -> Any:
        """A client of the Valkey that is in use, past the proxy."""
        port = self.valkey.port
        if port not in self._clients:
            self._clients[port] = redis.Redis(host="127.0.0.1", port=port, socket_timeout=ANSWER_S)
        return self._clients[port]

    def close(self) -> None:
        """End the server and the connections."""
        self.valkey.kill()
        for client in self._clients.values():
            client.close()

    @property
    def alone(self) -> bool:
        """Whether no other fault lasts."""
        return len(self.active) <= 1

    def start_worker(self, slot: int) -> None:
        """Start a worker in a slot that is empty."""
        self.workers[slot] = self.programs.worker()

    def take_worker(self) -> tuple[int, Program] | None:
        """A worker that runs and that no other fault has; none where there is none."""
        free = [(n, w) for n, w in enumerate(self.workers) if w is not None and n not in self.busy]
        if not free:
            return None
        slot, worker = self.rng.choice(free)
        self.busy.add(slot)
        return slot, worker

    def start_redis(self) -> None:
        """Start the Valkey on what lies in its directory, and wait until it answers."""
        self.valkey.start(aof.waiting())
        aof.never_rewrite(self.redis)

    def ends(self) -> list[int]:
        """The topic's ends as Kafka tells them."""
        return log.ends(self.kafka.bootstrap, self.programs.events_topic)

    def new_valkey(self) -> Valkey:
        """Another server with no data; not started."""
        self._made += 1
        return Valkey(self.directory / f"valkey-{self._made}", port=free_port())

    def take_copies(self) -> None:
        """Keep a copy of Redis's file and one of its keys; of older ones some are left."""
        self._made += 1
        to = self.directory / f"copy-{self._made}"
        aof.copy(self.valkey, to)
        self.aof_copies.append(to)
        self.copies.append(view.copy(self.redis))
        if len(self.aof_copies) > COPIES:
            shutil.rmtree(self.aof_copies.pop(self.rng.randrange(1, COPIES)))
            del self.copies[self.rng.randrange(1, COPIES)]


@dataclass
class Result:
    """What a run came to."""

    seed: int
    seconds: float
    events: int
    tallies: dict[str, Tally]
    looks: int
    difference: view.Difference
    wrong: list[str]
    exact_again_s: list[float]

    @property
    def exact(self) -> bool:
        """Whether nothing was lost, nothing was double and nothing else was wrong."""
        return not self.difference and not self.wrong

    def table(self) -> str:
        """The run as a table. A difference cannot be laid to one fault: it stands in the last line."""
        rows = [("fault", "injected", "events", "lost", "double")]
        for name, tally in sorted(self.tallies.items()):
            rows.append((name, f"{tally.times}", f"{tally.events:,}", "", ""))
        total = sum(tally.times for tally in self.tallies.values())
        lost, double = self.difference.lost, self.difference.double
        rows.append(("all", f"{total}", f"{self.events:,}", f"{lost}", f"{double}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
            )
            for row in rows
        ]
        lines.append(f"seed {self.seed}, {self.seconds:.0f} s; lanes compared in between: {self.looks}")
        if self.exact_again_s:
            worst = max(self.exact_again_s)
            lines.append(f"after a lost tail exact again within {worst:.1f} s at most")
        return "\n".join([*lines, *self.wrong, *([str(self.difference)] if self.difference else [])])


class Run:
    """One run on a field."""

    def __init__(self, field_: Field, ledger: Ledger, source: Source, *, seed: int) -> None:
        self._field = field_
        self._ledger = ledger
        self._source = source
        self._seed = seed
        self._rng = Random(seed)
        self._tallies: dict[str, Tally] = {}
        self._taken: set[str] = set()
        self._looks = 0
        self._began = time.monotonic()

    def run(self, seconds: float, faults: tuple[Fault, ...], pause_s: float) -> Result:
        """Break things for a while, mend them, wait until all is counted, and compare.

        seconds: how long faults are injected. pause_s: between two of them, on average.
        """
        self._source.start()
        try:
            self._break(seconds, faults, pause_s)
        finally:
            self._source.stop()
        self._say("no more faults; waiting until all is counted")
        difference = self._compare()
        wrong = [*self._field.wrong, *(f"not acknowledged: {each}" for each in self._source.failed[:3])]
        took = time.monotonic() - self._began
        return Result(
            self._seed,
            took,
            len(self._ledger),
            self._tallies,
            self._looks,
            difference,
            wrong,
            self._field.exact_again_s,
        )

    def _break(self, seconds: float, faults: tuple[Fault, ...], pause_s: float) -> None:
        active = self._field.active
        deck: list[Fault] = []
        until = time.monotonic() + seconds
        inject_at = time.monotonic() + 2
        look_at, copy_at = inject_at, 0.0
        while (now := time.monotonic()) < until or active:
            if inject_at <= now < until:
                if not deck:  # each fault comes once before one comes again
                    deck = self._rng.sample(faults, len(faults))
                if self._inject(deck):
                    inject_at = now + self._rng.expovariate(1 / pause_s)
            for each in [each for each in active if each.resume_at <= now]:
                self._resume(each)
            if now >= copy_at and "redis" not in self._taken:
                self._field.take_copies()
                copy_at = now + COPY_EVERY_S
            if now >= look_at and not self._frozen():
                self._look()
                look_at = now + LOOK_EVERY_S
            self._check_workers()
            time.sleep(BEAT_S)

    def _inject(self, deck: list[Fault]) -> bool:
        """Begin the first fault of the deck that can begin now."""
        for fault in deck:
            if fault.takes not in self._taken:
                deck.remove(fault)
                break
        else:
            return False
        if fault.takes:
            self._taken.add(fault.takes)
        tally = self._tallies.setdefault(fault.name, Tally())
        tally.times += 1
        self._say(fault.name)
        begun = Active(fault, fault.inject(self._field), 0.0, len(self._ledger))
        self._field.active.append(begun)
        return True

    def _resume(self, each: Active) -> None:
        try:
            each.resume_at = time.monotonic() + next(each.steps)
        except StopIteration:
            self._field.active.remove(each)
            self._taken.discard(each.fault.takes)
            self._tallies[each.fault.name].events += len(self._ledger) - each.events_before
            self._say(f"  over: {each.fault.name}")

    def _frozen(self) -> bool:
        return any(each.fault.freezes_redis for each in self._field.active)

    def _look(self) -> None:
        """Compare one lane, as it is now, with what was written below its fences."""
        lane = self._rng.randrange(counters.LANES)
        try:
            keys = view.lanes(self._field.redis)
            if not keys:
                return
            seen = view.see(self._field.redis, keys[lane])
        except redis.RedisError:  # it is down, frozen or full
            return
        if any(fence > end for fence, end in zip(seen.fences, self._ledger.ends, strict=True)):
            return  # Kafka's acknowledgement is still on its way
        self._looks += 1
        differs = view.difference(seen.cells, self._ledger.below(lane, seen.fences))
        if differs:
            self._wrong(f"lane {lane} at {seen.fences}: {differs}")

    def _check_workers(self) -> None:
        for slot, worker in enumerate(self._field.workers):
            if worker is not None and slot not in self._field.busy and not worker.running:
                self._wrong(f"worker {slot} ended by itself with {worker.wait_until_ended()}")
                self._field.start_worker(slot)

    def _compare(self) -> view.Difference:
        field_ = self._field
        ends = field_.ends()
        began = time.monotonic()
        wait_until(lambda: view.is_counted(field_.redis, ends), f"every fence is at {ends}", SETTLE_S)
        self._say(f"all is counted after {time.monotonic() - began:.1f} s: fences at {ends}")
        bootstrap, programs = field_.kafka.bootstrap, field_.programs
        stored = log.read(bootstrap, programs.events_topic)
        missing = self._ledger.missing(stored)
        if missing:
            self._wrong(f"{missing} acknowledged records are not in the topic")
        if self._ledger.ends != ends:
            self._wrong(f"the topic ends at {ends}, Kafka acknowledged records up to {self._ledger.ends}")
        place = Place(bootstrap, field_.valkey, field_.redis, programs)
        try:
            place.check_dead_letters(place.naive_dead_letters())
        except AssertionError as error:
            self._wrong(f"dead letters are missing, altered or too many: {error}")
        return view.difference(view.all_cells(field_.redis), view.flat(naive_count(stored)))

    def _wrong(self, what: str) -> None:
        self._say(f"WRONG: {what}")
        self._field.wrong.append(what)

    def _say(self, what: str) -> None:
        say(f"{time.monotonic() - self._began:7.1f} s  {len(self._ledger):>9,} events  {what}")


@contextmanager
def open_run(directory: Path, *, seed: int, rate: float, workers: int) -> Iterator[Run]:
    """Start the servers and the workers; at the end all of them are gone.

    directory: for logs and data. rate: events a second. workers: how many of them.
    """
    say(f"chaos: seed {seed}, {rate:.0f} events a second, {workers} workers, in {directory}")
    prefix = f"chaos-{seed}-"
    with ExitStack() as stack:
        kafka = stack.enter_context(services.kafka_server())
        valkey = Valkey(directory / "valkey-0", port=free_port())
        proxy = stack.enter_context(Proxy(valkey.port))
        programs = stack.enter_context(Programs(kafka.bootstrap, proxy.url, prefix, directory))
        field_ = Field(kafka, valkey, proxy, programs, Random(seed + 1), directory)
        stack.callback(field_.close)
        field_.start_redis()
        wanted = {programs.events_topic: topics.EVENTS, programs.dead_letter_topic: topics.DEAD_LETTERS}
        services.create_topics(kafka.bootstrap, wanted)
        field_.workers = [programs.worker() for _ in range(workers)]
        for worker in field_.workers:
            assert worker is not None
            worker.wait_until_ready()
        ledger = Ledger(counters.LANES, PARTITIONS)
        source = Source(kafka.bootstrap, programs.events_topic, ledger, seed=seed + 2, rate=rate)
        yield Run(field_, ledger, source, seed=seed)
