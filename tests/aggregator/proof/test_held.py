"""Redis's cells as rows: the cells that all others make of the same counters, however they come together."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.counters.snapshots.answer import Held
from aggregator.counting.cells import Cell, stored_cells
from aggregator.proof.held import HELD, HeldCells
from schemas.instants import QUARTERS
from schemas.kinds import FAMILIES
from schemas.packed_counter import cell_bytes, pack_counts
from schemas.redis_keys import BLOCK_DAYS, counter_field, member_of_id

SCOPES = ("sequence", "template")


@st.composite
def counters(draw: st.DrawFn) -> tuple[int, bytes, bytes]:
    """Its block, field and packed counter."""
    family, fields = draw(st.sampled_from(list(enumerate(FAMILIES.values()))))
    scope = draw(st.integers(0, len(SCOPES)))
    day = draw(st.integers(-10, 10))
    cell = st.builds(cell_bytes, st.integers(0, QUARTERS - 1), st.integers(0, len(fields) - 1))
    cells = draw(st.lists(cell, min_size=1, max_size=30))
    id_ = draw(st.sampled_from(["x", "ü", ""])) if scope else ""
    return day // BLOCK_DAYS, counter_field(day, family, scope, id_), pack_counts(b"".join(cells))


@st.composite
def tenants(draw: st.DrawFn) -> Held:
    """What is held of one."""
    blocks: dict[int, dict[bytes, bytes]] = {}
    for block, field, packed_counter in draw(st.lists(counters(), max_size=8)):
        blocks.setdefault(block, {})[field] = packed_counter
    ids = draw(st.sets(st.tuples(st.integers(1, len(SCOPES)), st.sampled_from(["x", "y", "ü"]))))
    return Held(list(blocks.items()), [member_of_id(*each) for each in ids])


@given(st.dictionaries(st.sampled_from("abc"), tenants()), st.data())
def test_rows_are_the_cells_that_others_make(held: dict[str, Held], data: st.DataObject) -> None:
    """Wherever what waits is taken between two tenants."""
    waiting = HeldCells(SCOPES)
    rows: Counter[Cell] = Counter()
    for tenant, of_tenant in held.items():
        expected = stored_cells(tenant, SCOPES, *of_tenant)
        assert waiting.add(tenant, of_tenant) == len(expected)
        if data.draw(st.booleans()):
            rows += taken(waiting)
    rows += taken(waiting)
    assert rows == sum((stored_cells(tenant, SCOPES, *each) for tenant, each in held.items()), Counter())


def taken(waiting: HeldCells) -> Counter[Cell]:
    number = waiting.rows
    table = waiting.take()
    assert (table.schema, table.num_rows, waiting.rows) == (HELD, number, 0)
    cells = Counter({Cell(*where): n for *where, n in zip(*table.to_pydict().values(), strict=True)})
    assert len(cells) == number, "no cell comes twice"
    return cells


@pytest.mark.parametrize(
    "held",
    [
        Held([(0, {counter_field(0, 0, 0): b""})], []),
        Held([(0, {counter_field(0, 0, 3, "x"): pack_counts(cell_bytes(0, 0))})], []),
        Held([(0, {counter_field(0, 0, 0): pack_counts(cell_bytes(0, len(FAMILIES["core"])))})], []),
        Held([], [member_of_id(3, "x")]),
    ],
)
def test_what_is_damaged_is_no_row(held: Held) -> None:
    with pytest.raises(ValueError, match="damaged"):
        HeldCells(SCOPES).add("one", held)
