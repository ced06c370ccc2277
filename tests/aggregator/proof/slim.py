"""Records as slim events that the law in SQL counts, what it makes of them, and a stream of them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from aggregator.archive.columns import columns_of
from aggregator.archive.slim import Reducer
from aggregator.counting.cells import Cell
from aggregator.counting.reading import KafkaRecord
from aggregator.counting.rules import NO_ERASURES, Erasures, Rules
from aggregator.proof.recount import Recount
from schemas.archive import ALWAYS_DROPPED
from schemas.instants import DAY_MS
from tests.pipeline import events
from tests.strategies import SOME_DAY, Record

MEMORY_MB: Final = 128
ALL: Final = 2**62
"""A checkpoint that no record reaches."""
STREAM: Final = Rules(
    scopes=(("sequence", "sequence"), ("template", "template"), *events.SCOPE_TAGS.items()),
    recipient_key=bytes.fromhex(events.SETTINGS["RECIPIENT_KEY"]),
)
NOW: Final = SOME_DAY + 11 * 3_600_000


def stream(seed: int, number: int = 1_500) -> list[list[Record]]:
    """Unruly mail of twenty tenants, on four partitions."""
    parts: list[list[Record]] = [[], [], [], []]
    for at, each in enumerate(events.records(seed, NOW, number)):
        part = parts[at % 4]
        part.append(Record(each.value, each.time_ms, len(part), each.key))
    return parts


def batch(rules: Rules, records: Iterable[KafkaRecord], partition: int = 0) -> Any:
    """Records of a partition, at least one, as a record batch."""
    reduce = Reducer(rules.recipient_key, ALWAYS_DROPPED.difference(rules.tags)).reduce
    return columns_of("t", partition, list(map(reduce, records)))


def counted(recount: Recount, checkpoints: Mapping[str, Mapping[int, int]] | None = None) -> Counter[Cell]:
    """The cells of what was taken in; all of it, or what is below checkpoints."""
    everything = {tenant: dict.fromkeys(range(16), ALL) for tenant in recount.tenants()}
    recount.count_below((everything if checkpoints is None else checkpoints).items())
    cells: Counter[Cell] = Counter()
    recount.compare()
    for counts in recount.both(equal=True):
        assert {cell.tenant for cell in counts.log} == {counts.tenant}
        cells.update(counts.log)
    return cells


def of_day(cells: Counter[Cell], tenant: str, day: int) -> dict[Cell, int]:
    """Those of a tenant's day."""
    return {
        cell: number
        for cell, number in cells.items()
        if cell.tenant == tenant and cell.at is not None and cell.at // DAY_MS == day
    }


def recounted(
    rules: Rules, parts: Sequence[Sequence[KafkaRecord]], erasures: Erasures = NO_ERASURES
) -> Counter[Cell]:
    """The cells of records, given by partition."""
    with Recount(rules, MEMORY_MB, erasures) as recount:
        for partition, records in enumerate(parts):
            if records:
                recount.add(batch(rules, records, partition))
        return counted(recount)
