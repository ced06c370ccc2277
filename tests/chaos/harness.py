"""A chaos run: true servers, true workers, a steady source, faults from a seed, and at the end every cell.

Law: the run knows what must be in Redis at any instant. Beside the faults, a lane is looked at now and then,
its checkpoints and cells in one step, and compared with what the ledger says was written below these
checkpoints. At the end every checkpoint must stand at the end of its partition and every cell of every tenant
must be right.

Children die with the thread that starts them, so all that starts one happens in the thread that calls `run`:
a fault is a generator that says for how long it lasts and is then resumed.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import redis

from aggregator.archive.check import check
from aggregator.archive.store import Store
from deploy.processes import free_port, say
from deploy.valkey import Valkey
from schemas import counters, topics
from tests import services
from tests.chaos import view
from tests.chaos.field import Active, Fault, Field
from tests.chaos.ledger import Ledger
from tests.chaos.proxy import Proxy
from tests.chaos.report import Report, Row
from tests.chaos.source import Source
from tests.pipeline import events, stored
from tests.pipeline.place import Place, naive_count
from tests.pipeline.programs import Programs, wait_until
from tests.s3 import LOGIN, s3_server

PARTITIONS = topics.EVENTS.partitions
SETTLE_S = 240.0
LOOK_EVERY_S = 2.0
COPY_EVERY_S = 5.0
BEAT_S = 0.05


class Run:
    """One run on a field."""

    def __init__(self, field: Field, ledger: Ledger, *, seed: int) -> None:
        self._field = field
        self._ledger = ledger
        self._seed = seed
        self._rng = Random(seed)
        self._rows: dict[str, Row] = {}
        self._taken: set[str] = set()
        self._looks = 0
        self._began = time.monotonic()

    def run(self, seconds: float, faults: tuple[Fault, ...], pause_s: float) -> Report:
        """Break things for a while, fix them, wait until all is counted, and compare.

        seconds: how long faults are injected, and longer until each has come once. pause_s: between two of
        them, on average.
        """
        source = self._field.source
        source.start()
        try:
            self._break(seconds, faults, pause_s)
        finally:
            for each in self._field.active:
                each.steps.close()
            source.stop()
        self._say("no more faults; waiting until all is counted")
        difference = self._compare()
        self._check_archive()
        wrong = [*self._field.wrong, *(f"not acknowledged: {each}" for each in source.failed[:3])]
        return Report(
            name=f"seed {self._seed}",
            seconds=time.monotonic() - self._began,
            events=len(self._ledger),
            again=self._ledger.again(),
            looks=self._looks,
            lost=difference.lost,
            double=difference.double,
            wrong=[*wrong, *difference.examples],
            exact_again_s=self._field.exact_again_s,
            rows=self._rows,
        )

    def _break(self, seconds: float, faults: tuple[Fault, ...], pause_s: float) -> None:
        active = self._field.active
        deck: list[Fault] = []
        until = time.monotonic() + seconds
        inject_at = time.monotonic() + 2
        look_at, copy_at = inject_at, 0.0
        while (now := time.monotonic()) < until or active or len(self._rows) < len(faults):
            if inject_at <= now and (now < until or len(self._rows) < len(faults)):
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
        self._rows.setdefault(fault.name, Row()).times += 1
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
            self._rows[each.fault.name].events += len(self._ledger) - each.events_before
            self._say(f"  over: {each.fault.name}")

    def _frozen(self) -> bool:
        return any(each.fault.freezes_redis for each in self._field.active)

    def _look(self) -> None:
        """Compare one lane, as it is now, with what was written below its checkpoints."""
        lane = self._rng.randrange(counters.LANES)
        try:
            keys = view.lanes(self._field.redis)
            if not keys:
                return
            seen = view.see(self._field.redis, keys[lane])
        except redis.RedisError:  # it is down, frozen or full
            return
        if any(checkpoint > end for checkpoint, end in zip(seen.checkpoints, self._ledger.ends, strict=True)):
            return  # Kafka's acknowledgement is still on its way
        self._looks += 1
        differs = view.difference(seen.cells, self._ledger.below(lane, seen.checkpoints))
        if differs:
            self._wrong(f"lane {lane} at {seen.checkpoints}: {differs}")

    def _check_workers(self) -> None:
        for slot, worker in enumerate(self._field.workers):
            if worker is not None and slot not in self._field.busy and not worker.running:
                self._wrong(f"worker {slot} ended by itself with {worker.wait_until_ended()}")
                self._field.start_worker(slot)
        archiver = self._field.archiver
        if archiver is not None and not archiver.running:
            self._wrong(f"who archives ended by itself with {archiver.wait_until_ended()}")
            self._field.start_archiver()

    def _check_archive(self) -> None:
        """It holds every offset of the topic, each record once, and nothing in it disagrees."""
        field, ends = self._field, self._ledger.ends
        wait_until(lambda: field.archived() == ends, f"the archive ends at {ends}", SETTLE_S)
        assert field.archiver is not None
        if status := field.archiver.stop():
            self._wrong(f"who archives ended with {status} after SIGTERM")
        report = check(field.archive)
        for fault in report.faults:
            self._wrong(f"the archive: {fault}")
        if report.rows < len(self._ledger):
            self._wrong(f"the archive has {report.rows} rows of {len(self._ledger)} records")

    def _compare(self) -> view.Difference:
        field = self._field
        ends = field.ends()
        began = time.monotonic()
        wait_until(lambda: view.is_counted(field.redis, ends), f"every checkpoint is at {ends}", SETTLE_S)
        self._say(f"all is counted after {time.monotonic() - began:.1f} s: checkpoints at {ends}")
        bootstrap, programs = field.kafka.bootstrap, field.programs
        topic = field.records()
        missing = self._ledger.missing(topic)
        if missing:
            self._wrong(f"{missing} acknowledged records are not in the topic")
        if self._ledger.ends != ends:
            self._wrong(f"the topic ends at {ends}, Kafka acknowledged records up to {self._ledger.ends}")
        place = Place(bootstrap, field.redis, programs, tags=events.ALL_TAGS)
        try:
            place.check_dead_letters(place.naive_dead_letters(topic))
        except AssertionError as error:
            self._wrong(f"dead letters are missing, altered or too many: {error}")
        want = naive_count(topic, events.ALL_TAGS)
        for each in stored.differences(stored.held(field.redis), want):
            self._wrong(each)
        return view.difference(view.all_cells(field.redis), view.flat(want))

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
        s3 = stack.enter_context(s3_server())
        proxy = stack.enter_context(Proxy(valkey.port))
        settings = events.SETTINGS | LOGIN | {"ARCHIVE_URL": s3.url("archive")}
        programs = stack.enter_context(Programs(kafka.bootstrap, proxy.url, prefix, directory, **settings))
        ledger = Ledger(counters.LANES, PARTITIONS, events.ALL_TAGS)
        source = Source(kafka.bootstrap, programs.events_topic, ledger, seed=seed + 2, rate=rate)
        archive = Store(s3.past_it("archive"))
        field = Field(kafka, valkey, proxy, programs, source, s3, archive, Random(seed + 1), directory)
        stack.callback(field.close)
        field.start_redis()
        wanted = {
            programs.events_topic: topics.EVENTS,
            programs.dead_letter_topic: topics.DEAD_LETTERS,
            programs.erasures_topic: topics.ERASURES,
        }
        services.create_topics(kafka.bootstrap, wanted)
        field.start_archiver()
        field.workers = [programs.worker() for _ in range(workers)]
        for worker in field.workers:
            assert worker is not None
            worker.wait_until_ready()
        yield Run(field, ledger, seed=seed)
