"""The rates that follow from the counts. Pure.

The formulas are those of the API's documentation. A rate without a base is none (null), never 0.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from api.query.rollup import FIELDS_KEPT, Fields
from schemas.fields import RATES
from schemas.kinds import CORE_FIELDS


def rates_of(counts: Mapping[str, int], shown: Fields) -> dict[str, float | None]:
    """The rates of counts: those of the page, and those whose part is among the fields that are shown.

    counts: by field, CORE_FIELDS among them.
    """
    return {name: _part(counts[part], counts[base]) for name, part, base in _formulas(shown)}


@lru_cache(maxsize=FIELDS_KEPT)
def _formulas(shown: Fields) -> Sequence[tuple[str, str, str]]:
    """Name, part and base of each rate."""
    return [(name, *of) for name, of in RATES.items() if of[0] in CORE_FIELDS or of[0] in shown]


def change_of(counts: Mapping[str, int], before: Mapping[str, int]) -> dict[str, float | None]:
    """By which part of what it was before each count has grown (0.25 is a quarter more)."""
    return {field: _part(now - before[field], before[field]) for field, now in counts.items()}


def _part(part: int, base: int) -> float | None:
    return part / base if base else None
