"""`verify`: count the log again and compare with what Redis holds.

Each tenant's counters are read as of one moment, together with the checkpoints of its lane; the recount takes
in exactly the events below those checkpoints. So it may run beside live traffic: what is not counted yet is
no difference. A tenant that was erased has no past there either (`aggregator.counting.rules`).

Where the log has lost its beginning, only cells that it can speak for are compared (`log.coverage`);
of the others it is only said where Redis has lost some (`shortfall`).

Redis is read while the log is, in a thread of its own: unpacking counters is Python's work, counting events
DuckDB's.

Memory does not grow with the log (`recount`). In memory are some cells that wait (`CELLS_AT_ONCE`, twice),
those of one tenant, the checkpoints of each tenant, and every cell that differs.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from aggregator.config import ProofSettings
from aggregator.counters.keyspace import Keyspace
from aggregator.counting.cells import Cell, Difference, differences
from aggregator.history.reader import History
from aggregator.log.coverage import Coverage
from aggregator.proof.held import HeldCells
from aggregator.proof.recount import Counts, Recount
from aggregator.proof.shortfall import shortfalls
from aggregator.proof.subject import Checkpoints, earliest_record_ms, subject_of, tenants_of
from schemas.redis_keys import lane_of, safe_id

CELLS_AT_ONCE: Final = 65_536
"""So many of Redis's cells wait in memory, and those of one tenant more."""


@dataclass(slots=True)
class Verification:
    """What was compared, and what differs.

    tenants: how many Redis knows, of those asked for. records: how many were read. coverage: what the log can
    speak for. cells: how many were compared, those that are 0 on both sides aside; a known id counts as one.
    uncovered: how many cells were not compared as the log cannot speak for them; lost: where of these Redis
    holds less than is left in the log (`shortfall`).
    """

    generation: str
    tenants: int
    records: int
    coverage: Coverage
    cells: int = 0
    uncovered: int = 0
    differences: list[Difference] = field(default_factory=list)
    lost: list[Difference] = field(default_factory=list)


class Verifier:
    """Compares the live counters with the log."""

    def __init__(self, settings: ProofSettings) -> None:
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
        everybody = tenant is None and sample is None
        # The lanes' checkpoints first: an event below them is below those of any later read too.
        lanes = [self._keys.checkpoints(self._live, lane) for lane in range(self._live.lanes)]
        held: dict[str, Checkpoints] = {}
        settings, subject = self._settings, self._subject
        with (
            Recount(settings.rules, settings.recount_memory_mb, subject.erasures) as recount,
            History(settings, subject.log.topic_id) as history,
            ThreadPoolExecutor(1) as thread,
        ):
            names = [tenant] if tenant is not None else self._tenants(random)
            stored = _Ahead(thread, self._stored(names, sample, held))
            position, coverage = subject.first_offsets(history, now_ms)
            if since_ms is not None:
                position = subject.offsets_since(history, position, earliest_record_ms(since_ms))
            records = 0
            if everybody:  # else Redis says first whose events are wanted
                records = _take_in(recount, history, position, lanes, stored)
            for cells in stored:
                recount.hold(cells)
            if not everybody:
                recount.only(held)
            records += _take_in(recount, history, position, [*lanes, *held.values()], stored)
            unknown = set(recount.tenants()) - held.keys()  # to Redis, or when it was asked
            of_unknown = [(name, lanes[lane_of(name, len(lanes))]) for name in unknown]
            recount.count_below([*held.items(), *of_unknown])
            cells = recount.compare()
            found = Verification(self._live.name, len(held), records, coverage)
            if coverage.cuts or since_ms is not None:
                for counts in recount.both(equal=True):
                    _compare(found, counts, since_ms)
            else:  # every cell is compared, and nearly all are equal
                found.cells = cells
                for counts in recount.both(equal=False):
                    found.differences += differences(counts.log, counts.held)
        return found

    def _tenants(self, random: Random | None) -> list[str]:
        names = tenants_of(self._keys, self._live)
        for lane in range(self._live.lanes):  # a tenant that was erased meanwhile may not be among them
            self._subject.erasures.check(self._keys.erased(self._live, lane), lane, self._live.lanes)
        if random is not None:
            random.shuffle(names)
        return names

    def _stored(self, names: list[str], sample: int | None, held: dict[str, Checkpoints]) -> Iterator[Any]:
        """The cells of some tenants as Redis holds them, in tables of `HELD`.

        held: is given the checkpoints they stand at.
        """
        cells = HeldCells(self._live.scopes)
        read = 0
        for name in names:
            if sample is not None and read >= sample:
                break
            lane = lane_of(name, self._live.lanes)
            snapshot = self._keys.snapshot_of(self._live, lane, safe_id(name))
            self._subject.erasures.check(snapshot.erased, lane, self._live.lanes)
            read += cells.add(name, snapshot.held[0])
            held[name] = snapshot.checkpoints
            if cells.rows >= CELLS_AT_ONCE:
                yield cells.take()
        yield cells.take()


class _Ahead(Iterator[Any]):
    """An iterator that works in a thread while its results are not asked for: one of them, no more."""

    def __init__(self, thread: Executor, source: Iterator[Any]) -> None:
        self._thread = thread
        self._source = source
        self._next = thread.submit(next, source, None)

    def __next__(self) -> Any:
        """Wait for the next one. Raises: what the source raises."""
        found = self._next.result()
        if found is None:
            raise StopIteration
        self._next = self._thread.submit(next, self._source, None)
        return found

    def ready(self) -> Iterator[Any]:
        """Those that need not be waited for. Raises: what the source has raised."""
        while self._next.done() and self._next.result() is not None:
            yield next(self)


def _take_in(
    recount: Recount,
    history: History,
    position: dict[int, int],
    checkpoints: Sequence[Checkpoints],
    stored: _Ahead,
) -> int:
    """Read the log up to the last of some checkpoints, and what comes of Redis meanwhile.

    position: from where on, by partition; is moved. Returns: how many records it read.
    """
    records = 0
    stop = {
        number: max(at, *(each.get(number, 0) for each in checkpoints)) for number, at in position.items()
    }
    for _, batch in history.slim(position, stop):
        records += batch.num_rows
        recount.add(batch)
        for cells in stored.ready():
            recount.hold(cells)
    position.update(stop)
    return records


def _compare(found: Verification, counts: Counts, since_ms: int | None) -> None:
    """Add what a tenant's cells come to, where not all of them are compared."""
    log = _since(counts.log, since_ms)
    redis = _since(counts.held, since_ms, log)
    asked = log.keys() | redis.keys()
    covered = {cell for cell in asked if found.coverage.speaks_for(cell, told=cell in log)}
    found.cells += len(covered)
    found.uncovered += len(asked) - len(covered)
    found.differences += [each for each in differences(log, redis) if each.cell in covered]
    found.lost += shortfalls(counts.log, counts.held, found.coverage, since_ms)


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
