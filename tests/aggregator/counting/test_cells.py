"""What counters come to, and what of it differs; what is damaged, or of another table, is no number."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.counting.cells import Cell, Difference, counted_cells, differences, stored_cells
from aggregator.counting.facts import Scopes
from schemas.instants import DAY_MS, QUARTER_MS
from schemas.kinds import FAMILIES, FIELDS
from schemas.packed_counter import KINDS_MAX, cell_bytes, pack_counts
from schemas.redis_keys import BLOCK_DAYS, counter_field, member_of_id
from tests.aggregator.lanes import kinds

DAY = 20_062
BLOCK = DAY // BLOCK_DAYS
SCOPES = ("sequence", "template", "campaign")
NAMES = list(FAMILIES)


def counter(quarter: int, *places: int) -> bytes:
    return pack_counts(b"".join(cell_bytes(quarter, place) for place in places))


def test_stored_cells_are_those_that_are_not_0_and_the_known_ids() -> None:
    """Each family, scope, day of a block and quarter at its own place."""
    core, details = NAMES.index("core"), NAMES.index("details")
    blocks = [
        (
            BLOCK,
            {
                counter_field(DAY, core, 0): counter(5, 1, 1, 1),
                counter_field(DAY, details, 0): counter(5, 1),
                counter_field(DAY + 1, core, 3, "x:ü"): counter(95, 0),
                counter_field(DAY, core, 1, "x"): counter(0, 1) + counter(0, 1)[:1] + b"\x61",
            },
        ),
        (BLOCK - 1, {counter_field(BLOCK * BLOCK_DAYS - 1, core, 2, "t"): counter(0, 2)}),
    ]
    known = [member_of_id(1, "x"), member_of_id(1, "y"), member_of_id(3, "x:ü")]
    day, quarter = DAY_MS, QUARTER_MS
    assert stored_cells("one", SCOPES, blocks, known) == {
        Cell("one", "tenant", "", DAY * day + 5 * quarter, "delivered"): 3,
        Cell("one", "tenant", "", DAY * day + 5 * quarter, FAMILIES["details"][1]): 1,
        Cell("one", "campaign", "x:ü", (DAY + 1) * day + 95 * quarter, "sent"): 1,
        Cell("one", "template", "t", BLOCK * BLOCK_DAYS * day - day, "opened"): 1,
        Cell("one", "sequence", "x", None, "known"): 1,
        Cell("one", "sequence", "y", None, "known"): 1,
        Cell("one", "campaign", "x:ü", None, "known"): 1,
    }


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        (counter_field(DAY, 0, len(SCOPES) + 1, "x"), counter(0, 0), "no scope"),
        (counter_field(DAY, len(FAMILIES), 0), counter(0, 0), "no family"),
        (counter_field(DAY, 0, 0), counter(0, len(FAMILIES["core"])), "no kind"),
        (counter_field(DAY, 0, 0), counter(0, KINDS_MAX - 1), "no kind"),
        (counter_field(DAY, 0, 0), b"", "nothing in it"),
        (b"\0", counter(0, 0), "no field"),
        (counter_field(DAY, 0, 1) + b"\xff", counter(0, 0), "utf-8"),
    ],
)
def test_what_the_tables_do_not_have_is_damage(field: bytes, value: bytes, said: str) -> None:
    """Of a family or a kind that another version counts no number is made, nor of what is damaged."""
    with pytest.raises(ValueError, match=said):
        stored_cells("one", SCOPES, [(BLOCK, {field: value})])


@pytest.mark.parametrize("member", [member_of_id(4, "x"), b"\1\xff"])
def test_an_id_that_cannot_be_known_is_damage(member: bytes) -> None:
    with pytest.raises(ValueError, match=r"no scope|utf-8"):
        stored_cells("one", SCOPES, [], [member])


def test_a_fact_counts_for_the_tenant_and_each_id_of_the_mail() -> None:
    of = Scopes("one", ("s", None, ""))
    found = counted_cells(SCOPES, of, DAY, 97, kinds("opened", "opened_human"))
    at = (DAY + 1) * DAY_MS + QUARTER_MS
    assert list(found) == [
        Cell("one", scope, id_, at, field)
        for field in ("opened", "opened_human")
        for scope, id_ in (("tenant", ""), ("sequence", "s"), ("campaign", ""))
    ]


@given(st.integers(-719_162, 2_932_896), st.integers(0, 6047), st.sampled_from(range(len(FIELDS))))
def test_a_cell_stands_at_the_start_of_its_quarter(day: int, quarter: int, kind: int) -> None:
    (cell,) = counted_cells((), Scopes("one", ()), day, quarter, (kind,))
    assert cell.at == day * 86_400_000 + quarter * 900_000
    assert cell.field == FIELDS[kind]


def test_a_cell_is_spelled_for_people() -> None:
    at = 1_733_400_900_000
    assert Cell("one", "tenant", "", at, "sent").spelled() == {
        "tenant": "one",
        "scope": "tenant",
        "id": "",
        "at": "2024-12-05T12:15:00Z",
        "field": "sent",
    }
    assert Cell("one", "sequence", "s", None, "known").spelled()["at"] is None


def some_cells() -> Iterator[Cell]:
    for quarter in range(4):
        yield Cell("one", "tenant", "", quarter * QUARTER_MS, "sent")


def test_differences_are_of_cells_on_either_side_in_order() -> None:
    """What only one side has is 0 on the other; equal cells and zeros are none."""
    first, second, third, same = some_cells()
    known = Cell("one", "sequence", "s", None, "known")
    log = {third: 1, first: 2, same: 5, Cell("none", "tenant", "", 0, "sent"): 0}
    redis = {second: 3, first: 1, same: 5, known: 1}
    assert list(differences(log, redis)) == [
        Difference(known, 0, 1),
        Difference(first, 2, 1),
        Difference(second, 0, 3),
        Difference(third, 1, 0),
    ]
