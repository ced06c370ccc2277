"""`verify`: count the log again and compare with what Redis holds.

Each tenant's counters are read together with the checkpoints of its lane, in one step; the recount takes in
exactly the events below those checkpoints. So it may run beside live traffic: what is not counted yet is no
difference.
"""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from random import Random

from aggregator.config import AggregatorSettings
from aggregator.counters.generation import validate
from aggregator.counters.keyspace import Keyspace
from aggregator.counters.store import Store
from aggregator.counting.cells import Cell, Difference, differences, stored_cells
from aggregator.counting.decode import Decoder
from aggregator.counting.facts import Facts
from aggregator.counting.reading import outcome_of
from aggregator.errors import OtherLogError
from aggregator.log.admin import Cluster, Log
from aggregator.log.bulk_reader import BulkReader
from aggregator.proof.recount import Recount, earliest_record_ms
from schemas.counters import Generation
from schemas.redis_keys import lane_of, safe_id, unsafe_id

Checkpoints = Mapping[int, int]


def live_of(settings: AggregatorSettings) -> tuple[Log, Generation]:
    """The log, and the live generation that was counted from it by these rules.

    Raises: PostponedError of any kind where there is nothing that these rules could verify.
    """
    log = Cluster(settings).log()
    with closing(Store(settings)) as store:
        store.open()
        return log, validate(store.live(), settings.rules, log)


def tenants_of(keys: Keyspace, generation: Generation) -> list[str]:
    """The tenants that have counters, in order. Raises: GoneError, StoreUnavailableError."""
    lanes = range(generation.lanes)
    return sorted(unsafe_id(safe) for lane in lanes for safe in keys.tenants(generation, lane))


@dataclass(frozen=True, slots=True)
class Verification:
    """What was compared, and what differs.

    cells: how many were compared, those that are 0 on both sides aside; a known id counts as one.
    records: how many were read.
    """

    generation: str
    tenants: int
    cells: int
    records: int
    differences: list[Difference]


class Verifier:
    """Compares the live counters with the log."""

    def __init__(self, settings: AggregatorSettings) -> None:
        """Connect.

        settings: with the rules that the counters were counted by.
        Raises: PostponedError of any kind where there is nothing that these rules could verify.
        """
        self._settings = settings
        self._log, self._live = live_of(settings)
        self._keys = Keyspace(settings)

    def verify(
        self,
        *,
        tenant: str | None = None,
        since_ms: int | None = None,
        sample: int | None = None,
        random: Random | None = None,
    ) -> Verification:
        """Count again and compare.

        tenant: only this one. since_ms: only quarters of an hour that begin then or later. sample: only
        tenants that `random` chooses, until they have so many cells.
        Raises: PostponedError of any kind; ValueError where a counter is damaged.
        """
        lanes = self._live.lanes
        everybody = tenant is None and sample is None
        # The lanes' checkpoints first: an event below them is below those of any later read too.
        checkpoints = {lane: self._keys.checkpoints(self._live, lane) for lane in range(lanes)}
        held: dict[str, tuple[Checkpoints, Counter[Cell]]] = {}
        cells = 0
        for name in [tenant] if tenant is not None else self._tenants(random):
            if sample is not None and cells >= sample:
                break
            snapshot = self._keys.snapshot(self._live, lane_of(name, lanes), [safe_id(name)])
            held[name] = snapshot.checkpoints, stored_cells(name, self._live.scopes, *snapshot.held[0])
            cells += len(held[name][1])

        def upto(of: str) -> Checkpoints | None:
            """The checkpoints that a tenant's counters stand at, none for one that is not compared."""
            if of in held:
                return held[of][0]
            return checkpoints[lane_of(of, lanes)] if everybody else None

        every = [*checkpoints.values(), *(each for each, _ in held.values())]
        counted, records = self._recount(upto, every, since_ms)
        log = _since(counted.items(), since_ms)
        redis = _since((pair for _, stored in held.values() for pair in stored.items()), since_ms, log)
        found = list(differences(log, redis))
        return Verification(self._live.name, len(held), len(log.keys() | redis.keys()), records, found)

    def _tenants(self, random: Random | None) -> list[str]:
        names = tenants_of(self._keys, self._live)
        if random is not None:
            random.shuffle(names)
        return names

    def _recount(
        self, upto: Callable[[str], Checkpoints | None], every: list[Checkpoints], since_ms: int | None
    ) -> tuple[Counter[Cell], int]:
        """Count the log up to each tenant's checkpoints. Returns: the cells, and how many records it read."""
        recount, decoder, records = Recount(self._live.scopes), Decoder(self._settings.rules), 0
        with BulkReader(self._settings) as bulk:
            start = {number: first for number, (first, _) in bulk.ranges(self._log.partitions).items()}
            if since_ms is not None:
                start = bulk.offsets_since(self._log.partitions, earliest_record_ms(since_ms))
            elif any(start.values()):
                raise OtherLogError("the log no longer begins at offset 0: compare with --since")
            stop = {number: max(checkpoints.get(number, 0) for checkpoints in every) for number in start}
            for number, rows in bulk.until(start, stop):
                records += len(rows)
                for row in rows:
                    facts = outcome_of(decoder, row)
                    if type(facts) is Facts:
                        checkpoints = upto(facts.scopes.tenant)
                        if checkpoints is not None and row.offset < checkpoints.get(number, 0):
                            recount.add(facts)
        return recount.cells(), records


def _since(
    cells: Iterable[tuple[Cell, int]], since_ms: int | None, known: Container[Cell] | None = None
) -> dict[Cell, int]:
    """The cells to compare where only quarters of an hour from `since_ms` on are.

    known: an id that only Redis knows may be of a time before; then only the ids in here are taken.
    """
    if since_ms is None:
        return dict(cells)
    return {
        cell: count
        for cell, count in cells
        if (cell.at >= since_ms if cell.at is not None else known is None or cell in known)
    }
