"""`rebuild`: a new generation of counters from the topic, beside the live one; compare; switch.

1. Check what can be checked beforehand, take the lease, begin a generation or go on with one.
2. Count in bulk up to today's end of the log, partitions shared out to processes. Killed, it goes on.
3. Count the tail lane by lane up to the live fences, and compare each tenant at exactly those.
4. Retire the live lanes (no call counts into them any more), count up to where they stopped, switch the one
   key. Workers meet `GONE`, read the new fences and go on from there, without a gap or a repeat; the API
   reads the old lanes until the switch and the new ones after it.
5. Read on until workers are seen in the new generation.
"""

import multiprocessing
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import structlog

from aggregator.bulk import BulkReader
from aggregator.cells import Difference, differences, stored_cells
from aggregator.cluster import Cluster, Log
from aggregator.config import AggregatorSettings
from aggregator.errors import GoneError, PostponedError
from aggregator.keyspace import LEASE_MS, Keyspace
from aggregator.recounting import Tail, count_until
from aggregator.store import Store
from schemas.counters import LANES, LAYOUT, Generation, unsafe_id

log = structlog.get_logger(__name__)

EXAMPLES_MAX: Final = 20
LIVE_CATCHES_UP_S: Final = 60.0
WORKERS_SEEN_S: Final = 60.0


class RebuildRefusedError(Exception):
    """The rebuild cannot begin as asked, or ended before the switch: the live counters are untouched."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rebuild would do.

    start, stop: offsets by partition. partial: why the counters will not hold the whole history, if so.
    used, limit: bytes of Redis's fullest node, and its limit (0 for none).
    """

    start: dict[int, int]
    stop: dict[int, int]
    partial: str | None
    used: int
    limit: int
    live: Generation | None
    resumed: Generation | None

    @property
    def records(self) -> int:
        """How many records will be read."""
        return sum(self.stop[number] - self.start[number] for number in self.stop)


@dataclass(slots=True)
class Report:
    """What a rebuild did."""

    generation: str
    previous: str | None
    records: int
    seconds: float = 0.0
    partial: str | None = None
    resumed: bool = False
    compared: int = 0
    differing: int = 0
    examples: list[Difference] = field(default_factory=list)
    not_compared: str | None = None
    workers_seen: bool = False
    dropped_keys: int = 0


class Progress(Protocol):
    """Who watches: called often, must be quick."""

    def __call__(self, phase: str, done: int, total: int) -> None:
        """phase: what is being done; done, total: in records, or in tenants while comparing."""


class Rebuild:
    """One rebuild."""

    def __init__(self, settings: AggregatorSettings, *, processes: int, progress: Progress) -> None:
        """Prepare.

        processes: how many read and fold. progress: who watches.
        """
        self._settings = settings
        self._processes = processes
        self._progress = progress
        self._keys = Keyspace(settings)
        self._cluster = Cluster(settings)

    def plan(self, *, since_ms: int | None, allow_truncated: bool) -> Plan:
        """Look before anything is written.

        since_ms: count only records of that time or later, which makes partial counters.
        allow_truncated: also count a log whose beginning is gone.
        Raises: RebuildRefusedError, PostponedError of any kind.
        """
        found, live = self._cluster.log(), self._live()
        with BulkReader(self._settings) as bulk:
            ranges = bulk.ranges(found.partitions)
            since = bulk.offsets_since(found.partitions, since_ms) if since_ms is not None else {}
        starts = {number: max(start, since.get(number, 0)) for number, (start, _) in ranges.items()}
        stops = {number: end for number, (_, end) in ranges.items()}
        resumed = self._resumable(found, _beyond_zero(starts))
        partial = None
        if any(start for start, _ in ranges.values()):
            partial = f"the log begins at {', '.join(str(start) for start, _ in ranges.values())}, not at 0"
            if not allow_truncated:
                raise RebuildRefusedError(
                    f"{partial}: counters made from it would miss what is gone;"
                    " --allow-truncated makes them all the same"
                )
        if since_ms is not None:
            partial = "--since leaves out what was recorded before"
        used, limit = max(self._keys.memory(), key=lambda node: (node[1] > 0, node[0]))
        if live is not None and limit and used * 2 > limit:
            raise RebuildRefusedError(
                f"Redis uses {used:,} of {limit:,} bytes, and a second generation takes as much again:"
                " give it more memory"
            )
        return Plan(starts, stops, partial, used, limit, live, resumed)

    def run(self, plan: Plan) -> Report:
        """Do it.

        Raises: RebuildRefusedError where another one runs, PostponedError of any kind; run it again then.
        """
        owner = secrets.token_hex(8)
        lease = _Lease(self._keys, owner)
        if not lease.take():
            raise RebuildRefusedError("another rebuild is running: wait for it")
        with lease:
            # Another rebuild may have ended between the plan and the lease.
            resumed = self._resumable(self._cluster.log(), _beyond_zero(plan.start))
            return self._run(replace(plan, live=self._live(), resumed=resumed), lease)

    def drop(self, generation: Generation, after_s: int) -> int:
        """Remove a generation, at once or after a time. Returns: how many keys."""
        return self._keys.drop(generation, after_s=after_s)

    def _live(self) -> Generation | None:
        store = Store(self._settings)
        store.open()
        live = store.live()
        store.close()
        return live

    def _resumable(self, found: Log, start: Mapping[int, int]) -> Generation | None:
        """The generation that an earlier run began, if it is of these rules, this log and this start."""
        begun = self._keys.building()
        if begun is None:
            return None
        wanted = (self._settings.rules.fingerprint, LAYOUT, found.cluster_id, found.topic_id, start)
        if (begun.rules, begun.layout, begun.cluster_id, begun.topic_id, begun.start) != wanted:
            return None
        return Generation(**{name: getattr(begun, name) for name in Generation.__struct_fields__})

    def _run(self, plan: Plan, lease: "_Lease") -> Report:
        began = time.monotonic()
        found = self._cluster.log()
        new = plan.resumed or Generation(
            name=secrets.token_hex(4),
            lanes=LANES,
            rules=self._settings.rules.fingerprint,
            layout=LAYOUT,
            cluster_id=found.cluster_id,
            topic_id=found.topic_id,
            created_ms=time.time_ns() // 1_000_000,
        )
        report = Report(
            new.name,
            plan.live.name if plan.live else None,
            plan.records,
            partial=plan.partial,
            resumed=plan.resumed is not None,
        )
        begun = self._keys.building()
        if begun is not None and begun.name != new.name:
            log.info(
                "an earlier rebuild had another start, other rules or another log", generation=begun.name
            )
            self._keys.drop(begun)
        self._keys.begin(new, _beyond_zero(plan.start))
        self._bulk(new, plan, lease)
        with Tail(self._settings, new, found.partitions) as tail:
            if plan.live is not None:
                self._compare(plan.live, new, tail, report, lease)
            lease.check()
            self._switch(plan.live, new, tail)
            report.workers_seen = self._read_on(new, tail)
        report.seconds = time.monotonic() - began
        return report

    def _bulk(self, new: Generation, plan: Plan, lease: "_Lease") -> None:
        """Count up to the end of the log as it was at the beginning, in several processes."""
        numbers = sorted(plan.stop)
        context = multiprocessing.get_context("spawn")
        reached = context.Array("q", [plan.start[number] for number in numbers], lock=False)
        shares = [share for n in range(self._processes) if (share := numbers[n :: self._processes])]
        children = [
            context.Process(
                target=_count_share,
                args=(self._settings, new, {number: plan.stop[number] for number in share}, reached, numbers),
                daemon=True,
            )
            for share in shares
        ]
        for child in children:
            child.start()
        try:
            while any(child.is_alive() for child in children):
                lease.check()
                done = sum(reached) - sum(plan.start.values())
                self._progress("counting", done, plan.records)
                for child in children:
                    child.join(0.2 / len(children))
        finally:
            for child in children:
                child.terminate()
                child.join()
        if any(child.exitcode for child in children):
            raise RebuildRefusedError("a counting process failed: run again, it goes on from there")
        self._progress("counting", plan.records, plan.records)

    def _compare(
        self, live: Generation, new: Generation, tail: Tail, report: Report, lease: "_Lease"
    ) -> None:
        """Each tenant of the live generation and of the new one, at the same fences."""
        try:
            for lane in range(new.lanes):
                self._catch_up(live, lane, tail)
                tenants = set(self._keys.tenants(live, lane)) | set(self._keys.tenants(new, lane))
                for number, tenant in enumerate(sorted(tenants)):
                    lease.check()
                    before = self._keys.snapshot(live, lane, tenant)
                    tail.read_to(before.fences)
                    tail.count_to(lane, before.fences)
                    after = self._keys.snapshot(new, lane, tenant)
                    found = differences(
                        log=stored_cells(unsafe_id(tenant), after.days),
                        redis=stored_cells(unsafe_id(tenant), before.days),
                    )
                    for difference in found:
                        report.differing += 1
                        if len(report.examples) < EXAMPLES_MAX:
                            report.examples.append(difference)
                    report.compared += 1
                    self._progress(f"comparing lane {lane + 1} of {new.lanes}", number + 1, len(tenants))
        except GoneError:
            report.not_compared = "the live generation is not there as a whole: Redis was wiped"
        except _LiveBehindError:
            report.not_compared = "live counting stands behind the rebuild: no worker moves its fences"
        except ValueError as error:
            report.not_compared = f"the live counters cannot be read: {error}"
        if live.lanes != new.lanes:
            report.not_compared = "the live generation has another number of lanes"

    def _catch_up(self, live: Generation, lane: int, tail: Tail) -> None:
        """Wait until the live lane is at or above the new one, which then can be moved to it."""
        deadline = time.monotonic() + LIVE_CATCHES_UP_S
        while True:
            fences = self._keys.fences(live, lane)
            if all(fences.get(number, 0) >= at for number, at in tail.fences[lane].items()):
                return
            if time.monotonic() > deadline:
                raise _LiveBehindError
            time.sleep(0.2)

    def _switch(self, live: Generation | None, new: Generation, tail: Tail) -> None:
        """Close the old lanes, count up to where they stopped, and change the one key."""
        tail.read()
        tail.count_all()
        if live is not None:
            try:
                self._keys.retire(live)
                for lane in range(new.lanes):
                    fences = self._keys.fences(live, lane)
                    tail.read_to(fences)
                    tail.count_to(lane, fences)
            except GoneError:
                log.warning("the live generation is not there as a whole", generation=live.name)
        self._keys.switch(new)

    def _read_on(self, new: Generation, tail: Tail) -> bool:
        """Keep the new generation fresh until workers are seen in it. Returns: whether they were."""
        deadline = time.monotonic() + WORKERS_SEEN_S
        while time.monotonic() < deadline:
            if any(self._keys.completes(new)):
                return True
            self._progress("waiting for workers", 0, 0)
            tail.read()
            tail.count_all()
        return False


def _beyond_zero(start: Mapping[int, int]) -> dict[int, int]:
    return {number: at for number, at in start.items() if at}


class _LiveBehindError(Exception):
    pass


class _Lease:
    """Makes this rebuild the only one; renewed by a thread while it is held."""

    def __init__(self, keys: Keyspace, owner: str) -> None:
        self._keys = keys
        self._owner = owner
        self._done = threading.Event()
        self._lost: str | None = None
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def take(self) -> bool:
        """Whether this is the one rebuild now; waits out the lease of one that was killed."""
        deadline = time.monotonic() + LEASE_MS / 1000 + 1
        while not self._keys.take_lease(self._owner):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.5)
        return True

    def check(self) -> None:
        """Raise RebuildRefusedError where the lease was lost."""
        if self._lost is not None:
            raise RebuildRefusedError(f"the lease was lost ({self._lost}): run again, it goes on from there")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        if self._lost is None:
            self._keys.give_lease_up()

    def _renew(self) -> None:
        while not self._done.wait(LEASE_MS / 4000):
            try:
                if not self._keys.take_lease(self._owner):
                    self._lost = "another rebuild holds it"
            except PostponedError as error:
                self._lost = str(error)
            if self._lost is not None:
                return


def _count_share(
    settings: AggregatorSettings,
    generation: Generation,
    stop: Mapping[int, int],
    reached: "Sequence[int]",
    numbers: list[int],
) -> None:
    """In a process of its own: count some partitions."""
    place = {number: index for index, number in enumerate(numbers)}

    def progress(number: int, offset: int) -> None:
        reached[place[number]] = offset  # type: ignore[index]  # a shared array

    count_until(settings, generation, stop, progress)
