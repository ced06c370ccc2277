"""`rebuild`: a new generation of counters from the history, beside the live one; compare; switch.

1. Check what can be checked beforehand (`plan`), take the lease, begin a generation or go on with one.
2. Count in bulk up to today's end of the log, from the archive and the topic, partitions shared out to
   processes (`aggregator.bulk`), others that have joined (`join`) among them. Killed, it goes on.
3. Count the tail up to the live checkpoints, and compare each tenant at exactly those (`compare`).
4. Close the live lanes, count up to where they stopped, and switch in the record (`switch`).
5. Read on until workers are seen in the new generation.

Whoever holds the lease leads, and does all but 2 alone. Where he is gone, one who has joined leads on.
Each of these changes of the record carries the token of the lease. A generation that is gone or closed in
the middle is known by its name: a live one that was wiped is replaced all the same, without comparing; a new
one that was ends the rebuild, and the live one stays.
"""

import time
from collections.abc import Mapping
from dataclasses import replace

import structlog

from aggregator.bulk.member import Work
from aggregator.bulk.together import count_together, group_of
from aggregator.config import AggregatorSettings
from aggregator.counters import lifecycle
from aggregator.counters.generation import make
from aggregator.counters.housekeeping import drop
from aggregator.counters.keyspace import Keyspace
from aggregator.counters.lease import Lease
from aggregator.counters.throttle import ALONE, THROTTLED, Pace, lower_priority
from aggregator.rebuild.catch_up import Tail
from aggregator.rebuild.compare import Comparison
from aggregator.rebuild.plan import Plan, Planner, RebuildRefusedError, beyond_zero
from aggregator.rebuild.report import Progress, Report
from aggregator.rebuild.switch import Switch
from schemas.counters import Generation, Member

log = structlog.get_logger(__name__)


class Rebuild:
    """One rebuild."""

    def __init__(
        self, settings: AggregatorSettings, *, lanes: int | None, processes: int, progress: Progress
    ) -> None:
        """Prepare.

        lanes: as in `Planner`. processes: how many read and fold. progress: who watches.
        """
        self._settings = settings
        self._processes = processes
        self._progress = progress
        self._keys = Keyspace(settings)
        self._registry = self._keys.registry
        self._planner = Planner(settings, self._keys, lanes)

    def plan(self, *, since_ms: int | None, offsets: Mapping[int, int], allow_truncated: bool) -> Plan:
        """Look before anything is written. Arguments and errors: as `Planner.plan`."""
        return self._planner.plan(since_ms=since_ms, offsets=offsets, allow_truncated=allow_truncated)

    def run(self, plan: Plan, *, lose: bool) -> Report:
        """Do it.

        lose: whether to go on where live cells would be lost.
        Raises: RebuildRefusedError where they must not, or where another one runs; PostponedError of any
        kind; run it again then.
        """
        if plan.losses and not lose:
            raise RebuildRefusedError(f"{plan.losses}; --lose makes the new ones all the same")
        lease = self._keys.lease()
        self._progress.say("taking the lease: that of a rebuild that was killed runs out within 10 s")
        if not lease.take():
            raise RebuildRefusedError("another rebuild is running: wait for it")
        with lease:
            return self._lead(plan, lease)

    def lead_on(self, begun: Member, lease: Lease) -> Report:
        """Lead a rebuild that another one has begun and does not lead any more.

        What it may lose was agreed to when it was begun. begun: what is being made. lease: held.
        Raises: as `run`; RebuildRefusedError also where that cannot be gone on with.
        """
        plan = self.plan(since_ms=None, offsets=begun.start, allow_truncated=bool(begun.start))
        return self._lead(plan, lease, only=begun.generation)

    def _lead(self, plan: Plan, lease: Lease, only: Generation | None = None) -> Report:
        """only: the generation to go on with; none for any, or for a new one."""
        self._registry.take_back_of_dead(lease.token)
        # Another rebuild may have ended between the plan and the lease.
        live = self._planner.live()
        if plan.partial and live != plan.live:
            raise RebuildRefusedError(
                "another generation has gone live meanwhile: look again at what would be lost"
            )
        lanes = self._planner.lanes(live)
        resumed = self._planner.resumable(self._planner.log(), plan.start, lanes)
        if only is not None and resumed != only:
            raise RebuildRefusedError(
                f"generation {only.name} cannot be gone on with: look at `rebuild --dry-run`"
            )
        return self._run(replace(plan, live=live, resumed=resumed, lanes=lanes), lease)

    def drop(self, name: str, after_s: int) -> int:
        """Remove a retired generation, at once or after a time. Returns: how many keys. Errors: as `drop`."""
        return drop(self._keys, [name], after_s=after_s)

    def _run(self, plan: Plan, lease: Lease) -> Report:
        began = time.monotonic()
        found = self._planner.log()
        new = plan.resumed or make(self._settings.rules, plan.lanes, found, self._registry.now_ms())
        report = Report(
            new.name,
            plan.live.name if plan.live else None,
            plan.records,
            partial=plan.partial,
            resumed=plan.resumed is not None,
        )
        self._begin(new, plan, lease)
        followed = plan.live
        if plan.live is not None:
            report.not_compared = self._planner.unfollowable(plan.live, found)
            followed = None if report.not_compared else plan.live
            report.not_compared = report.not_compared or self._planner.incomparable(plan.live)
        pace = ALONE
        if plan.live is not None:
            pace = THROTTLED
            lower_priority()  # before the counting processes start: they inherit it
        dead_lettered = self._planner.dead_lettered(followed)
        report.without_dead_letter = self._bulk(new, plan, pace, dead_lettered, lease)
        self._registry.change(lambda record: lifecycle.comparing(record, new.name), token=lease.token)
        live_lanes = (followed or new).lanes
        with Tail(self._settings, new, live_lanes, self._planner.dead_lettered(followed)) as tail:
            if followed is not None and report.not_compared is None:
                Comparison(
                    self._keys,
                    live=followed,
                    new=new,
                    coverage=plan.coverage,
                    progress=self._progress,
                    lease_held=lease.check,
                ).run(tail, report)
                report.wrong = report.differing > 0 and followed.rules == new.rules
            lease.check()
            switch = Switch(self._keys, lease, live=plan.live, new=new)
            switch.run(tail, followed)
            report.workers_seen = switch.read_on(tail, self._progress)
        report.seconds = time.monotonic() - began
        return report

    def _begin(self, new: Generation, plan: Plan, lease: Lease) -> None:
        """The new generation is in the record, with all its lanes; another one that was begun is dropped."""
        begun = self._registry.read().record.next
        if begun is not None and begun.generation != new:
            log.info(
                "an earlier rebuild had another start, number of lanes, rules or log, or was too long ago",
                generation=begun.generation.name,
            )
            drop(self._keys, [begun.generation.name], token=lease.token)
        start = beyond_zero(plan.start)
        self._registry.change(
            lambda record: lifecycle.begun(record, new, start, plan.stop), token=lease.token
        )
        self._registry.lanes.make(new, start)

    def _bulk(
        self, new: Generation, plan: Plan, pace: Pace, dead_lettered: Mapping[int, int], lease: Lease
    ) -> int:
        """Count up to the end of the log as it was at the beginning. Returns: as `count_together`."""

        def watch(done: int) -> bool:
            lease.check()
            self._progress("counting", done, plan.records)
            return True

        group = group_of(self._settings, new, lease.token)
        without_dead_letter = count_together(
            self._settings,
            Work(new, plan.stop, dead_lettered, pace, group),
            start=plan.start,
            processes=self._processes,
            watch=watch,
        )
        self._progress("counting", plan.records, plan.records)
        return without_dead_letter
