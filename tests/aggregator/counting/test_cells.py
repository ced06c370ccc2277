import pytest

from aggregator.counting.cells import Cell, Difference, differences, stored_cells
from schemas.instants import DAY_MS, HOUR_MS
from schemas.kinds import FIELDS

DAY = 20_062


def test_stored_cells_are_those_that_are_not_0_and_the_known_ids() -> None:
    packed_counter = b"\x00\x00" + bytes([len(FIELDS) + 1]) * 3
    days = [(DAY, {b"t": packed_counter, b"sx": packed_counter})]
    at = DAY * DAY_MS + HOUR_MS
    assert stored_cells("one", days, {"sequence": [b"x", b"y"], "template": []}) == {
        Cell("one", "tenant", "", at, FIELDS[1]): 3,
        Cell("one", "sequence", "x", at, FIELDS[1]): 3,
        Cell("one", "sequence", "x", None, "known"): 1,
        Cell("one", "sequence", "y", None, "known"): 1,
    }


def test_a_scope_that_is_none_is_damage() -> None:
    with pytest.raises(ValueError, match="no scope"):
        stored_cells("one", [(DAY, {b"x": b"\x00\x00\x05"})])


def test_differences_are_of_cells_on_either_side_in_order() -> None:
    """What only one side has is 0 on the other; equal cells and zeros are none."""
    first, second, third, same = (Cell("one", "tenant", "", hour, "sent") for hour in (0, 1, 2, 3))
    known = Cell("one", "sequence", "s", None, "known")
    log = {third: 1, first: 2, same: 5, Cell("none", "tenant", "", 0, "sent"): 0}
    redis = {second: 3, first: 1, same: 5, known: 1}
    assert list(differences(log, redis)) == [
        Difference(known, 0, 1),
        Difference(first, 2, 1),
        Difference(second, 0, 3),
        Difference(third, 1, 0),
    ]
