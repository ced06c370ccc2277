"""What fields mean: said of each, in the units that it is counted in, and with the formulas of the page."""

from schemas.fields import MEANINGS, RATES, formula_of, unit_of
from schemas.kinds import CORE_FIELDS, FIELDS, KINDS


def test_each_field_has_a_meaning_in_its_own_unit() -> None:
    """In the order of the table; what the words say of the unit is what is counted."""
    assert tuple(MEANINGS) == FIELDS
    for kind in KINDS:
        said = MEANINGS[kind.field].description
        assert f"by {unit_of(kind).removesuffix('s')}" in said
        assert said.endswith((".", "many."))


def test_the_rates_are_those_of_the_page_and_three_more() -> None:
    assert {name: formula_of(name) for name in RATES} == {
        "delivery": "delivered / sent",
        "open": "opened / delivered",
        "click": "clicked / delivered",
        "bounce": "bounced / sent",
        "complaint": "complained / delivered",
        "hard_bounce": "bounced_hard / sent",
        "human_open": "opened_human / delivered",
        "human_click": "clicked_human / delivered",
    }
    assert list(RATES)[:5] == ["delivery", "open", "click", "bounce", "complaint"]
    parts = [part for part, _ in RATES.values()]
    assert len(parts) == len(set(parts)) == 8
    assert {base for _, base in RATES.values()} == {"sent", "delivered"} < set(CORE_FIELDS)
