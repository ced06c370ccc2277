"""The rates that follow from the counts. Pure.

The formulas are those of the API's documentation. A rate without a base is none (null), never 0.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from schemas.kinds import CORE_FIELDS

RATES: Final[Mapping[str, tuple[str, str]]] = {
    "delivery": ("delivered", "sent"),
    "open": ("opened", "delivered"),
    "click": ("clicked", "delivered"),
    "bounce": ("bounced", "sent"),
    "complaint": ("complained", "delivered"),
}
"""Name to the fields of its numerator and of its base."""


def rates_of(counts: Sequence[int]) -> dict[str, float | None]:
    """The rates of counts in the order of CORE_FIELDS."""
    by_field = dict(zip(CORE_FIELDS, counts, strict=True))
    return {name: _part(by_field[part], by_field[base]) for name, (part, base) in RATES.items()}


def change_of(counts: Sequence[int], before: Sequence[int]) -> dict[str, float | None]:
    """By which part of what it was before each count has grown (0.25 is a quarter more)."""
    return {
        field: _part(now - then, then) for field, now, then in zip(CORE_FIELDS, counts, before, strict=True)
    }


def _part(part: int, base: int) -> float | None:
    return part / base if base else None
