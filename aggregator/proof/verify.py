"""`verify`: count the log again and compare with what Redis holds.

Each tenant's counters are read together with the checkpoints of its lane, in one step; the recount takes in
exactly the events below those checkpoints. So it may run beside live traffic: what is not counted yet is no
difference. A tenant that was erased has no past there either (`aggregator.counting.rules`).

Where the log has lost its beginning, only cells that it can speak for are compared (`log.coverage`);
of the others it is only said where Redis has lost some (`shortfall`).
"""

from collections import Counter
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from random import Random

from aggregator.config import AggregatorSettings
from aggregator.counters.keyspace import Keyspace
from aggregator.counting.cells import Cell, Difference, differences, stored_cells
from aggregator.counting.decode import Decoder
from aggregator.counting.facts import Facts
from aggregator.counting.reading import outcome_of
from aggregator.log.bulk_reader import BulkReader
from aggregator.log.coverage import Coverage
from aggregator.proof.recount import Recount, earliest_record_ms
from aggregator.proof.shortfall import shortfalls
from aggregator.proof.subject import Checkpoints, subject_of, tenants_of
from schemas.redis_keys import lane_of, safe_id


@dataclass(frozen=True, slots=True)
class Verification:
    """What was compared, and what differs.

    cells: how many were compared, those that are 0 on both sides aside; a known id counts as one.
    records: how many were read. coverage: what the log can speak for; uncovered: how many cells were not
    compared as it cannot; lost: where of these Redis holds less than is left in the log (`shortfall`).
    """

    generation: str
    tenants: int
    cells: int
    records: int
    differences: list[Difference]
    coverage: Coverage
    uncovered: int
    lost: list[Difference]


class Verifier:
    """Compares the live counters with the log."""

    def __init__(self, settings: AggregatorSettings) -> None:
        """Connect.

        settings: with the rules that the counters were counted by.
        Raises: PostponedError of any kind where there is nothing that these rules could verify.
        """
        self._settings = settings
        self._subject = subject_of(settings)
        self._live = self._subject.live
        self._keys = Keyspace(settings)

    def verify(
        self,
        now_ms: int,
        *,
        tenant: str | None = None,
        since_ms: int | None = None,
        sample: int | None = None,
        random: Random | None = None,
    ) -> Verification:
        """Count again and compare.

        now_ms: the time, in ms since 1970. tenant: only this one. since_ms: only quarters of an hour that
        begin then or later. sample: only tenants that `random` chooses, until they have so many cells.
        Raises: PostponedError of any kind; ValueError where a counter is damaged.
        """
        lanes = self._live.lanes
        everybody = tenant is None and sample is None
        # The lanes' checkpoints first: an event below them is below those of any later read too.
        checkpoints = {lane: self._keys.checkpoints(self._live, lane) for lane in range(lanes)}
        held: dict[str, tuple[Checkpoints, Counter[Cell]]] = {}
        read = 0
        for name in [tenant] if tenant is not None else self._tenants(random):
            if sample is not None and read >= sample:
                break
            lane = lane_of(name, lanes)
            snapshot = self._keys.snapshot(self._live, lane, [safe_id(name)])
            self._subject.erasures.check(snapshot.erased, lane, lanes)
            held[name] = snapshot.checkpoints, stored_cells(name, self._live.scopes, *snapshot.held[0])
            read += len(held[name][1])

        def upto(of: str) -> Checkpoints | None:
            """The checkpoints that a tenant's counters stand at, none for one that is not compared."""
            if of in held:
                return held[of][0]
            return checkpoints[lane_of(of, lanes)] if everybody else None

        every = [*checkpoints.values(), *(each for each, _ in held.values())]
        counted, records, coverage = self._recount(upto, every, since_ms, now_ms)
        log = _since(counted, since_ms)
        stored = {cell: count for _, cells in held.values() for cell, count in cells.items()}
        redis = _since(stored, since_ms, log)
        asked = log.keys() | redis.keys()
        covered = {cell for cell in asked if coverage.speaks_for(cell, told=cell in log)}
        found = [each for each in differences(log, redis) if each.cell in covered]
        return Verification(
            generation=self._live.name,
            tenants=len(held),
            cells=len(covered),
            records=records,
            differences=found,
            coverage=coverage,
            uncovered=len(asked) - len(covered),
            lost=list(shortfalls(counted, stored, coverage, since_ms)),
        )

    def _tenants(self, random: Random | None) -> list[str]:
        names = tenants_of(self._keys, self._live)
        if random is not None:
            random.shuffle(names)
        return names

    def _recount(
        self,
        upto: Callable[[str], Checkpoints | None],
        every: list[Checkpoints],
        since_ms: int | None,
        now_ms: int,
    ) -> tuple[Counter[Cell], int, Coverage]:
        """Count the log up to each tenant's checkpoints.

        Returns: the cells, how many records it read, and what the log can speak for.
        """
        recount, records = Recount(self._live.scopes), 0
        decoder = Decoder(self._settings.rules, self._subject.erasures)
        with BulkReader(self._settings) as bulk:
            start, coverage = self._subject.first_offsets(bulk, now_ms)
            if since_ms is not None:
                start = self._subject.offsets_since(bulk, start, earliest_record_ms(since_ms))
            stop = {number: max(checkpoints.get(number, 0) for checkpoints in every) for number in start}
            for number, rows in bulk.until(start, stop):
                records += len(rows)
                for row in rows:
                    facts = outcome_of(decoder, row)
                    if type(facts) is Facts:
                        checkpoints = upto(facts.scopes.tenant)
                        if checkpoints is not None and row.offset < checkpoints.get(number, 0):
                            recount.add(facts)
        return recount.cells(), records, coverage


def _since(
    cells: Mapping[Cell, int], since_ms: int | None, known: Container[Cell] | None = None
) -> Mapping[Cell, int]:
    """The cells to compare where only quarters of an hour from `since_ms` on are.

    known: an id that only Redis knows may be of a time before; then only the ids in here are taken.
    """
    if since_ms is None:
        return cells
    return {
        cell: count
        for cell, count in cells.items()
        if (cell.at >= since_ms if cell.at is not None else known is None or cell in known)
    }
