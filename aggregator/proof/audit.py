"""One audit: some tenants' days, chosen at random, counted again from the log and compared with Redis.

The small form of `verify` that may go on for ever beside the service. A tenant's counters of a day are read
together with the checkpoints of its lane, in one step; the recount takes in exactly the events below those
checkpoints, so what comes in meanwhile is no difference. Nothing is written.

How much of the log is read: from `earliest_record_ms` of the oldest day that was chosen to the checkpoints.
Not less: the records of a topic need not be in the order of their times (a redrive keeps the old ones), so
Kafka can say where the first record of a time is, but not where the last one is. What is read and can say
nothing about those days, by its record's time, is not decoded.

Any day of a block that Redis has is chosen, also one without counters there: that may be what was lost. What
has no block is found by `verify`, as is a tenant that is missing as a whole.

Where the log has lost its beginning, only days are chosen of which it can speak for some kinds, and these are
compared (`log.coverage`).
"""

from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from random import Random
from typing import Final

from aggregator.config import AuditSettings
from aggregator.counters.keyspace import Keyspace
from aggregator.counting.cells import Cell, Difference, differences, stored_cells
from aggregator.counting.decode import Decoder
from aggregator.counting.facts import Facts
from aggregator.counting.reading import KafkaRecord, outcome_of
from aggregator.errors import OtherLogError
from aggregator.log.admin import Cluster
from aggregator.log.bulk_reader import BulkReader
from aggregator.log.coverage import Coverage
from aggregator.proof.day_recount import DayRecount
from aggregator.proof.recount import earliest_record_ms
from aggregator.proof.subject import Checkpoints, Subject, subject_of, tenants_of
from schemas.instants import DAY_MS
from schemas.kinds import STALE_MS
from schemas.redis_keys import BLOCK_DAYS, days_of, lane_of, safe_id

FACTS_MAX: Final = 2_000_000
"""Facts of all chosen days in memory, each of some 150 bytes; the largest day is given up above it."""


@dataclass(slots=True)
class Audit:
    """What an audit found.

    compared: tenants' days. records: how many were read. damaged: tenant and day of counters that cannot be
    read. given_up: tenant and day of what does not fit in memory. coverage: what the log can speak for.
    """

    coverage: Coverage
    compared: int = 0
    records: int = 0
    differences: list[Difference] = field(default_factory=list)
    damaged: list[tuple[str, int]] = field(default_factory=list)
    given_up: list[tuple[str, int]] = field(default_factory=list)


@dataclass(slots=True)
class _Chosen:
    """A tenant's day: its count so far, up to where to count, and what Redis has counted up to there."""

    count: DayRecount
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

    def audit(self, now_ms: int) -> Audit:
        """Choose, count and compare.

        now_ms: the time that the age of days is counted from, in ms since 1970.
        Raises: PostponedError of any kind where nothing could be compared.
        """
        subject = subject_of(self._settings)
        with BulkReader(self._settings) as bulk, ExitStack() as stack:
            first, coverage = subject.first_offsets(bulk, now_ms)
            found = Audit(coverage)
            chosen = self._choose(subject, now_ms, found, stack)
            self._count(bulk, subject, first, chosen, found)
            if Cluster(self._settings).log() != subject.log:
                raise OtherLogError("the topic was changed while it was read")
            for each in chosen:
                found.differences += [
                    difference
                    for difference in differences(each.count.cells(), each.stored)
                    if coverage.speaks_for(difference.cell, told=difference.log > 0)
                ]
        found.compared = len(chosen) + len(found.damaged)
        return found

    def _choose(self, subject: Subject, now_ms: int, found: Audit, stack: ExitStack) -> list[_Chosen]:
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
                snapshot = keys.snapshot(live, lane, [safe], first=block, last=block)
                subject.erasures.check(snapshot.erased, lane, live.lanes)
                try:
                    held = stored_cells(tenant, live.scopes, *snapshot.held[0])
                except ValueError:
                    found.damaged.append((tenant, day))
                    continue
                stored = {
                    cell: n for cell, n in held.items() if cell.at is not None and cell.at // DAY_MS == day
                }
                count = stack.enter_context(closing(DayRecount(tenant, day, live.scopes)))
                chosen.append(_Chosen(count, snapshot.checkpoints, stored))
        return chosen

    def _count(
        self,
        bulk: BulkReader,
        subject: Subject,
        first: Mapping[int, int],
        chosen: list[_Chosen],
        found: Audit,
    ) -> None:
        """Count the log up to the checkpoints of each; `chosen` is without those that were given up then."""
        if not chosen:
            return
        decoder = Decoder(self._settings.rules, subject.erasures)
        days = [each.count.day for each in chosen]
        earliest = earliest_record_ms(min(days) * DAY_MS)
        latest = (max(days) + 1) * DAY_MS + STALE_MS
        start = subject.offsets_since(bulk, first, earliest)
        stop = {number: max(each.checkpoints.get(number, 0) for each in chosen) for number in start}
        by_tenant = _by_tenant(chosen)
        for number, rows in bulk.until(start, stop):
            found.records += len(rows)
            _take(decoder, number, [row for row in rows if earliest <= row.timestamp <= latest], by_tenant)
            while sum(len(each.count) for each in chosen) > FACTS_MAX:
                largest = max(chosen, key=lambda each: len(each.count))
                largest.count.close()
                found.given_up.append((largest.count.tenant, largest.count.day))
                chosen.remove(largest)
                by_tenant = _by_tenant(chosen)


def _by_tenant(chosen: list[_Chosen]) -> dict[str, list[_Chosen]]:
    found: dict[str, list[_Chosen]] = {}
    for each in chosen:
        found.setdefault(each.count.tenant, []).append(each)
    return found


def _take(
    decoder: Decoder, number: int, rows: list[KafkaRecord], by_tenant: dict[str, list[_Chosen]]
) -> None:
    """Count the records of one partition that are of chosen tenants and below their checkpoints."""
    for row in rows:
        facts = outcome_of(decoder, row)
        if type(facts) is Facts:
            for each in by_tenant.get(facts.scopes.tenant, ()):
                if row.offset < each.checkpoints.get(number, 0):
                    each.count.add(facts)
