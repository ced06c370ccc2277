"""What Redis has lost for certain, of cells that the log cannot speak for. Pure.

Where records are gone, the log may count a fact later than it was, and may lack facts; it never has one too
many, nor one too early. So up to the end of any quarter of an hour, the counters hold at least as many facts
of a kind as the log still tells. Where they hold fewer, they have lost some.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from aggregator.counting.cells import Cell, Difference
from aggregator.log.coverage import Coverage


def shortfalls(
    log: Mapping[Cell, int], redis: Mapping[Cell, int], coverage: Coverage, since_ms: int | None = None
) -> Iterator[Difference]:
    """Where counters hold less than what is left of the log tells.

    log, redis: all cells, from the first on. since_ms: name none of an earlier time.
    Returns: for each tenant, scope, id and field at most one, in order: the first cell, among those that the
    log cannot speak for, up to and with which Redis holds fewer; both numbers are of all cells up to it.
    """
    if not coverage.cuts:
        return
    times: defaultdict[Cell, set[int]] = defaultdict(set)
    for cell in log.keys() | redis.keys():
        if cell.at is not None and not coverage.speaks_for(cell, told=cell in log):
            times[cell._replace(at=None)].add(cell.at)
    for of in sorted(times, key=lambda cell: (cell.tenant, cell.scope, cell.id, cell.field)):
        told = held = 0
        for at in sorted(times[of]):
            cell = of._replace(at=at)
            told += log.get(cell, 0)
            held += redis.get(cell, 0)
            if told > held and (since_ms is None or at >= since_ms):
                yield Difference(cell, told, held)
                break
