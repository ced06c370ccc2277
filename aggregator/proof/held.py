"""What Redis holds, as rows that the law's cells are compared with. Pure.

Law: the same cells as `counting.cells.stored_cells` says, which a test holds. They are many, so no object is
made of any: of each packed counter the cells are put behind the others', and what they have in common is
taken to each of them by Arrow.
"""

from array import array
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from aggregator.counters.snapshots.answer import Held
from aggregator.counting.cells import KNOWN, stored_counters, stored_ids
from schemas.instants import DAY_MS, QUARTER_MS
from schemas.packed_counter import KINDS_MAX

HELD: Final = pa.schema(
    {
        "tenant": pa.string(),
        "scope": pa.string(),
        "id": pa.string(),
        "at_ms": pa.int64(),
        "field": pa.string(),
        "n": pa.int64(),
    }
)
"""As `Cell`, and its number."""


class HeldCells:
    """Cells of some tenants that wait to be taken. rows: how many."""

    def __init__(self, scopes: Sequence[str]) -> None:
        """scopes: the names of the generation's, beside the tenant."""
        self._scopes = scopes
        self._forget()

    def _forget(self) -> None:
        self.rows = 0
        self._tenants: list[str] = []
        self._names: list[str] = []
        self._ids: list[str] = []
        self._starts = array("q")
        """Of the day of each counter, in ms."""
        self._fields: list[Sequence[str]] = []
        self._ends = array("i", [0])
        self._cells = array("H")
        self._counts = array("q")
        self._known: list[tuple[str, str, str]] = []

    def add(self, tenant: str, held: Held) -> int:
        """Take in what Redis holds of a tenant. Returns: how many cells. Raises: ValueError for damage."""
        before = self.rows
        self._known += [(tenant, *each) for each in stored_ids(self._scopes, held.known)]
        for name, id_, day, fields, counts in stored_counters(self._scopes, held.blocks):
            self._tenants.append(tenant)
            self._names.append(name)
            self._ids.append(id_)
            self._starts.append(day * DAY_MS)
            self._fields.append(fields)
            self._cells.extend(counts.keys())
            self._counts.extend(counts.values())
            self._ends.append(len(self._cells))
        self.rows = len(self._cells) + len(self._known)
        return self.rows - before

    def take(self) -> Any:
        """The rows that wait, as a table of `HELD`; they are forgotten."""
        cells = pa.array(self._cells, pa.uint16())
        of_counter = pc.list_parent_indices(pa.ListArray.from_arrays(pa.array(self._ends, pa.int32()), cells))
        quarters = pc.divide(cells, pa.scalar(KINDS_MAX, pa.uint16())).cast(pa.int64())
        places = pc.bit_wise_and(cells, pa.scalar(KINDS_MAX - 1, pa.uint16())).cast(pa.int64())
        families = list(dict.fromkeys(self._fields))
        firsts = {fields: KINDS_MAX * at for at, fields in enumerate(families)}
        fields = [(*fields, *[None] * (KINDS_MAX - len(fields))) for fields in families]
        counted = [
            *(
                pa.array(each, pa.string()).take(of_counter)
                for each in (self._tenants, self._names, self._ids)
            ),
            pc.add(pa.array(self._starts).take(of_counter), pc.multiply(quarters, QUARTER_MS)),
            pa.array(list(chain.from_iterable(fields)), pa.string()).take(
                pc.add(pa.array([firsts[each] for each in self._fields], pa.int64()).take(of_counter), places)
            ),
            pa.array(self._counts),
        ]
        tenants, names, ids = zip(*self._known, strict=True) if self._known else ((), (), ())
        number = len(self._known)
        known = [tenants, names, ids, [None] * number, [KNOWN] * number, [1] * number]
        self._forget()
        return pa.Table.from_batches(
            [
                pa.record_batch(counted, schema=HELD),
                pa.record_batch(
                    [pa.array(of, each.type) for of, each in zip(known, HELD, strict=True)], schema=HELD
                ),
            ]
        )
