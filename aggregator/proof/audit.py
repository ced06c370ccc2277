"""One audit: some tenants' days, chosen at random, counted again from the log and compared with Redis.

The small form of `verify` that may go on for ever beside the service. A tenant's counters of a day are read
as of one moment, together with the checkpoints of its lane; the recount takes in exactly the events below
those checkpoints, so what comes in meanwhile is no difference. Nothing is written.

How much of the log is read: from `earliest_record_ms` of the oldest day that was chosen to the checkpoints.
Not less: the records of a topic need not be in the order of their times (a redrive keeps the old ones), so
Kafka can say where the first record of a time is, but not where the last one is.

Any day of a block that Redis has is chosen, also one without counters there: that may be what was lost. What
has no block is found by `verify`, as is a tenant that is missing as a whole.

Where the log has lost its beginning, only days are chosen of which it can speak for some kinds, and these are
compared (`log.coverage`).
"""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from random import Random

from aggregator.config import AuditSettings
from aggregator.counters.keyspace import Keyspace
from aggregator.counting.cells import Cell, Difference, differences, stored_cells
from aggregator.errors import OtherLogError
from aggregator.history.reader import History
from aggregator.log.admin import Cluster
from aggregator.log.coverage import Coverage
from aggregator.proof.recount import Recount
from aggregator.proof.subject import Checkpoints, Subject, earliest_record_ms, subject_of, tenants_of
from schemas.instants import DAY_MS
from schemas.redis_keys import BLOCK_DAYS, days_of, lane_of, safe_id


@dataclass(slots=True)
class Audit:
    """What an audit found.

    compared: tenants' days. records: how many were read. damaged: tenant and day of counters that cannot be
    read. coverage: what the log can speak for.
    """

    coverage: Coverage
    compared: int = 0
    records: int = 0
    differences: list[Difference] = field(default_factory=list)
    damaged: list[tuple[str, int]] = field(default_factory=list)


@dataclass(slots=True)
class _Chosen:
    """A tenant's day: up to where to count, and what Redis has counted up to there."""

    tenant: str
    day: int
    checkpoints: Checkpoints
    stored: dict[Cell, int]


class Auditor:
    """Makes one audit."""

    def __init__(self, settings: AuditSettings, random: Random) -> None:
        """Prepare.

        settings: with the rules that the counters were counted by. random: what chooses.
        """
        self._settings = settings
        self._random = random
        self._recount: Recount | None = None

    def discard(self) -> None:
        """Remove the files of an audit that another thread is making: the process is about to end."""
        if self._recount is not None:
            self._recount.discard()

    def audit(self, now_ms: int, begun: Callable[[], None] = lambda: None) -> Audit:
        """Choose, count and compare.

        now_ms: the time that the age of days is counted from, in ms since 1970.
        begun: called once it is known that there is a generation and a log that can speak for it.
        Raises: PostponedError of any kind where nothing could be compared.
        """
        subject = subject_of(self._settings)
        settings = self._settings
        with (
            History(settings, subject.log.topic_id) as history,
            Recount(settings.rules, settings.recount_memory_mb, subject.erasures) as recount,
        ):
            self._recount = recount
            first, coverage = subject.first_offsets(history, now_ms)
            begun()
            found = Audit(coverage)
            chosen = self._choose(subject, now_ms, found)
            recount.only({each.tenant for each in chosen})
            found.records = self._take_in(history, subject, first, chosen, recount)
            if Cluster(settings).log() != subject.log:
                raise OtherLogError("the topic was changed while it was read")
            for each in chosen:
                recount.count_below([(each.tenant, each.checkpoints)])
                found.differences += [
                    difference
                    for difference in differences(recount.day(each.tenant, each.day), each.stored)
                    if coverage.speaks_for(difference.cell, told=difference.log > 0)
                ]
        found.compared = len(chosen) + len(found.damaged)
        return found

    def _choose(self, subject: Subject, now_ms: int, found: Audit) -> list[_Chosen]:
        live = subject.live
        bounds = [] if found.coverage.first_ms is None else [found.coverage.first_ms // DAY_MS]
        if self._settings.audit_oldest_days:
            bounds.append(now_ms // DAY_MS - self._settings.audit_oldest_days)
        oldest = max(bounds, default=None)
        with closing(Keyspace(self._settings)) as keys:
            tenants = tenants_of(keys, live)
            pairs = set()
            for _ in range(self._settings.audit_tenant_days if tenants else 0):
                tenant = self._random.choice(tenants)
                blocks = keys.blocks(live, lane_of(tenant, live.lanes), safe_id(tenant))
                days = [day for block in blocks for day in days_of(block) if oldest is None or day >= oldest]
                if days:
                    pairs.add((tenant, self._random.choice(days)))
            chosen = []
            for tenant, day in sorted(pairs):
                lane, safe, block = lane_of(tenant, live.lanes), safe_id(tenant), day // BLOCK_DAYS
                snapshot = keys.snapshot_of(live, lane, safe, first=block, last=block)
                subject.erasures.check(snapshot.erased, lane, live.lanes)
                try:
                    held = stored_cells(tenant, live.scopes, *snapshot.held[0])
                except ValueError:
                    found.damaged.append((tenant, day))
                    continue
                stored = {
                    cell: n for cell, n in held.items() if cell.at is not None and cell.at // DAY_MS == day
                }
                chosen.append(_Chosen(tenant, day, snapshot.checkpoints, stored))
        return chosen

    def _take_in(
        self,
        history: History,
        subject: Subject,
        first: Mapping[int, int],
        chosen: list[_Chosen],
        recount: Recount,
    ) -> int:
        """Read the log up to the last checkpoint of any that was chosen. Returns: how many records."""
        records = 0
        if not chosen:
            return records
        earliest = earliest_record_ms(min(each.day for each in chosen) * DAY_MS)
        start = subject.offsets_since(history, first, earliest)
        stop = {number: max(each.checkpoints.get(number, 0) for each in chosen) for number in start}
        for _, batch in history.slim(start, stop):
            records += batch.num_rows
            recount.add(batch)
        return records
