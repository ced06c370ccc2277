"""`rebuild`: a new generation of counters from the topic, beside the live one; compare; switch.

1. Check what can be checked beforehand, take the lease, begin a generation or go on with one.
2. Count in bulk up to today's end of the log, partitions shared out to processes. Killed, it goes on.
3. Count the tail lane by lane up to the live checkpoints, and compare each tenant at exactly those.
4. Close the live lanes (no call counts into them any more), count up to where they stopped, switch in the
   record. Workers meet `GONE`, read the new checkpoints and go on from there, without a gap or a repeat; the
   API reads the old lanes until the switch and the new ones after it. What fails in between is taken back
   (`registry`): the live generation counts on.
5. Read on until workers are seen in the new generation.

Each of these changes of the record carries the token of the lease. A generation that is gone or closed in
the middle is told apart by its name: a live one that was wiped is replaced all the same, without comparing;
a new one that was ends the rebuild, and the live one stays.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import structlog

from aggregator.config import AggregatorSettings
from aggregator.counters import lifecycle
from aggregator.counters.generation import make
from aggregator.counters.housekeeping import drop
from aggregator.counters.keyspace import Keyspace
from aggregator.counters.lease import Lease
from aggregator.counters.throttle import ALONE, THROTTLED, Pace, lower_priority
from aggregator.counting.cells import Difference, differences, stored_cells
from aggregator.errors import GoneError, PostponedError, RefusedError
from aggregator.rebuild.plan import Plan, Planner, RebuildRefusedError, beyond_zero
from aggregator.rebuild.recounting import Tail
from aggregator.rebuild.shares import count_shares
from schemas.counters import Generation, Record, closed_for
from schemas.redis_keys import unsafe_id

log = structlog.get_logger(__name__)

EXAMPLES_MAX: Final = 20
TENANTS_A_PAGE: Final = 200
COUNTERS_A_PAGE: Final = 2_000
"""Read by one call for the comparison: a millisecond of Redis, less than a call that counts takes."""

LIVE_CATCHES_UP_S: Final = 60.0
WORKERS_SEEN_S: Final = 60.0


@dataclass(slots=True)
class Report:
    """What a rebuild did.

    differing: cells that differ between the old and the new generation. wrong: whether they should not, as
    both were counted by the same rules: then the old one is kept, for whoever looks for the cause.
    """

    generation: str
    previous: str | None
    records: int
    seconds: float = 0.0
    partial: str | None = None
    resumed: bool = False
    compared: int = 0
    differing: int = 0
    wrong: bool = False
    examples: list[Difference] = field(default_factory=list)
    not_compared: str | None = None
    workers_seen: bool = False
    dropped_keys: int = 0


class Progress(Protocol):
    """Who watches: called often, must be quick."""

    def __call__(self, phase: str, done: int, total: int) -> None:
        """phase: what is being done; done, total: in records, or in tenants while comparing."""

    def say(self, what: str) -> None:
        """what: to be told at once, as what comes next may take long."""


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
        self._registry = self._keys.registry
        self._planner = Planner(settings, self._keys)

    def plan(self, *, since_ms: int | None, offsets: Mapping[int, int], allow_truncated: bool) -> Plan:
        """Look before anything is written. Arguments and errors: as `Planner.plan`."""
        return self._planner.plan(since_ms=since_ms, offsets=offsets, allow_truncated=allow_truncated)

    def run(self, plan: Plan) -> Report:
        """Do it.

        Raises: RebuildRefusedError where another one runs, PostponedError of any kind; run it again then.
        """
        lease = self._keys.lease()
        self._progress.say("taking the lease: that of a rebuild that was killed runs out within 10 s")
        if not lease.take():
            raise RebuildRefusedError("another rebuild is running: wait for it")
        with lease:
            self._registry.take_back_of_dead(lease.token)
            # Another rebuild may have ended between the plan and the lease.
            resumed = self._planner.resumable(self._planner.log(), plan.start)
            return self._run(replace(plan, live=self._planner.live(), resumed=resumed), lease)

    def drop(self, name: str, after_s: int) -> int:
        """Remove a retired generation, at once or after a time. Returns: how many keys. Errors: as `drop`."""
        return drop(self._keys, [name], after_s=after_s)

    def _run(self, plan: Plan, lease: Lease) -> Report:
        began = time.monotonic()
        found = self._planner.log()
        new = plan.resumed or make(self._settings.rules, found, self._registry.now_ms())
        report = Report(
            new.name,
            plan.live.name if plan.live else None,
            plan.records,
            partial=plan.partial,
            resumed=plan.resumed is not None,
        )
        self._begin(new, plan.start, lease)
        followed = plan.live
        if plan.live is not None:
            report.not_compared = self._planner.incomparable(plan.live, found)
            followed = None if report.not_compared else plan.live
        pace = ALONE
        if plan.live is not None:
            pace = THROTTLED
            lower_priority()  # before the counting processes start: they inherit it
        self._bulk(new, plan, pace, self._planner.dead_lettered(followed), lease)
        self._change(lambda record: lifecycle.comparing(record, new.name), lease)
        with Tail(self._settings, new, self._planner.dead_lettered(followed)) as tail:
            if followed is not None:
                self._compare(followed, new, tail, report, lease)
                report.wrong = report.differing > 0 and followed.rules == new.rules
            lease.check()
            carried = self._switch(plan.live, followed, new, tail, lease=lease)
            report.workers_seen = self._read_on(new, tail, carried)
        report.seconds = time.monotonic() - began
        return report

    def _begin(self, new: Generation, start: Mapping[int, int], lease: Lease) -> None:
        """The new generation is in the record, with all its lanes; another one that was begun is dropped."""
        begun = self._registry.read().record.next
        if begun is not None and begun.generation != new:
            log.info(
                "an earlier rebuild had another start, other rules or another log, or was too long ago",
                generation=begun.generation.name,
            )
            drop(self._keys, [begun.generation.name], token=lease.token)
        self._change(lambda record: lifecycle.begun(record, new, beyond_zero(start)), lease)
        self._registry.make_lanes(new, beyond_zero(start))

    def _change(self, step: Callable[[Record], Record], lease: Lease) -> None:
        self._registry.change(step, token=lease.token)

    def _bulk(
        self, new: Generation, plan: Plan, pace: Pace, dead_lettered: Mapping[int, int], lease: Lease
    ) -> None:
        """Count up to the end of the log as it was at the beginning."""

        def watch(done: int) -> None:
            lease.check()
            self._progress("counting", done, plan.records)

        count_shares(
            self._settings,
            new,
            start=plan.start,
            stop=plan.stop,
            dead_lettered=dead_lettered,
            processes=self._processes,
            pace=pace,
            watch=watch,
        )
        self._progress("counting", plan.records, plan.records)

    def _compare(self, live: Generation, new: Generation, tail: Tail, report: Report, lease: Lease) -> None:
        """Each tenant of the live generation and of the new one, at the same checkpoints."""
        try:
            with _unless_gone(live):
                for lane in range(new.lanes):
                    self._catch_up(live, lane, tail)
                    self._compare_lane(live, new, lane, tail, report=report, lease=lease)
                return
            report.not_compared = "the live generation is not there as a whole: Redis was wiped"
        except _LiveBehindError:
            report.not_compared = "live counting stands behind the rebuild: no worker moves its checkpoints"
        except ValueError as error:
            report.not_compared = f"the live counters cannot be read: {error}"

    def _compare_lane(
        self, live: Generation, new: Generation, lane: int, tail: Tail, *, report: Report, lease: Lease
    ) -> None:
        """A page at a time, of many tenants or of some days of one: Redis is never held up for long."""
        tenants = sorted({*self._keys.tenants(live, lane), *self._keys.tenants(new, lane)})
        pages = self._keys.pages(
            live,
            lane,
            tenants,
            tenants_a_page=TENANTS_A_PAGE,
            packed_counters_a_page=COUNTERS_A_PAGE,
            lock=THROTTLED.resting,
        )
        done = 0
        for page in pages:
            lease.check()
            before = page.snapshot
            tail.read_to(before.checkpoints)
            tail.count_to(lane, before.checkpoints)
            with THROTTLED.resting():
                after = self._keys.snapshot(new, lane, page.tenants, first=page.first, last=page.last)
            for tenant, old, counted in zip(page.tenants, before.held, after.held, strict=True):
                name = unsafe_id(tenant)
                found = differences(log=stored_cells(name, *counted), redis=stored_cells(name, *old))
                for difference in found:
                    report.differing += 1
                    if len(report.examples) < EXAMPLES_MAX:
                        report.examples.append(difference)
            done += page.whole
            report.compared += page.whole
            self._progress(f"comparing lane {lane + 1} of {new.lanes}", done, len(tenants))

    def _catch_up(self, live: Generation, lane: int, tail: Tail) -> None:
        """Wait until the live lane is at or above the new one, which then can be moved to it."""
        deadline: float | None = None
        while True:
            checkpoints = self._keys.checkpoints(live, lane)
            if all(checkpoints.get(number, 0) >= at for number, at in tail.checkpoints[lane].items()):
                return
            if deadline is None:
                deadline = time.monotonic() + LIVE_CATCHES_UP_S
                self._progress.say(
                    f"lane {lane} of the live generation is behind: waiting up to {LIVE_CATCHES_UP_S:.0f} s"
                    " for a worker to count on; without one nothing is compared"
                )
            if time.monotonic() > deadline:
                raise _LiveBehindError
            time.sleep(0.2)

    def _switch(
        self,
        live: Generation | None,
        followed: Generation | None,
        new: Generation,
        tail: Tail,
        *,
        lease: Lease,
    ) -> list[dict[int, int]]:
        """Close the old lanes, count up to where they stopped, and change the record.

        live: the generation to close; followed: the same where its checkpoints can be followed.
        Returns: for each lane, up to when its partitions were complete then, in ms.
        """
        if followed is not None:
            self._follow(followed, new, tail)  # so that little is left to count while live counting is closed
        attempt = closed_for(new.name, lease.token)
        self._change(lambda record: lifecycle.closing(record, new.name, lease.token), lease)
        try:
            if live is not None:
                self._registry.close(live, attempt)
            if followed is not None:
                self._follow(followed, new, tail)
            carried = [self._keys.completes(new, lane) for lane in range(new.lanes)]
            self._change(lambda record: lifecycle.switched(record, new.name, lease.token), lease)
        except BaseException:
            self._open_again(live, attempt, lease)
            raise
        if live is not None:
            self._registry.succeed(live, attempt, new)
        self._registry.forget_former()
        return carried

    def _open_again(self, live: Generation | None, attempt: str, lease: Lease) -> None:
        """Take the closing back after whatever went wrong; where Redis is away, workers do it."""
        try:
            self._registry.take_back(lease.token, token=lease.token)
            if live is not None:
                self._registry.open(live, attempt)
        except (PostponedError, RefusedError) as error:
            log.warning("the closing was not taken back here: workers do it", error=str(error))

    def _follow(self, live: Generation, new: Generation, tail: Tail) -> None:
        """Count each lane up to its live checkpoints, and take over how complete it is there."""
        with _unless_gone(live):
            for lane in range(new.lanes):
                complete, checkpoints = self._keys.completes(live, lane), self._keys.checkpoints(live, lane)
                tail.read_to(checkpoints)
                tail.count_to(lane, checkpoints)
                tail.carry(lane, complete)

    def _read_on(self, new: Generation, tail: Tail, carried: list[dict[int, int]]) -> bool:
        """Keep the new generation fresh until workers are seen in it. Returns: whether they were.

        carried: how complete the lanes were at the switch; a worker takes them further.
        """
        deadline = time.monotonic() + WORKERS_SEEN_S
        while time.monotonic() < deadline:
            if any(self._keys.completes(new, lane) != carried[lane] for lane in range(new.lanes)):
                return True
            self._progress("waiting for workers", 0, 0)
            tail.read()
            tail.count_all()
        return False


@contextmanager
def _unless_gone(live: Generation) -> Iterator[None]:
    """Leave the block where the live generation is gone; that another one is, is an error."""
    try:
        yield
    except GoneError as error:
        if error.generation != live.name:
            raise
        log.warning("the live generation is not there as a whole", generation=live.name)


class _LiveBehindError(Exception):
    pass
