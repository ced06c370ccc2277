"""Records as slim events that the law in SQL counts, and what it makes of them."""

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

MEMORY_MB: Final = 128
ALL: Final = 2**62
"""A checkpoint that no record reaches."""


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


def recounted(
    rules: Rules, parts: Sequence[Sequence[KafkaRecord]], erasures: Erasures = NO_ERASURES
) -> Counter[Cell]:
    """The cells of records, given by partition."""
    with Recount(rules, MEMORY_MB, erasures) as recount:
        for partition, records in enumerate(parts):
            if records:
                recount.add(batch(rules, records, partition))
        return counted(recount)
