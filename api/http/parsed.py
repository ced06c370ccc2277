"""What query strings ask, kept by their text: dashboards ask the same again and again, word for word.

Pure. What a text asks follows from the text, the parameters of the route and, where `to` is left out, the
time; those are understood anew each time. So nothing here can be stale, and it is bounded: only what is short
to say and cheap to answer is kept, some 2 KB each and 31 KB at most.
"""

from dataclasses import dataclass
from typing import Final

from api.query.query import Needs, Query
from api.sharing import costs

KEPT: Final = 1_000
"""Texts that are kept; the oldest goes first."""

LONGEST: Final = 500
"""Bytes of a text that is kept."""

CHEAP: Final = 2
"""The cost of what is kept at most: so it has at most 500 points."""


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """A query that was understood. needs: of it; cost: likewise."""

    query: Query
    needs: Needs
    cost: int


class ParsedQueries:
    """Those of one application."""

    def __init__(self) -> None:
        self._kept: dict[tuple[bytes, bool], ParsedQuery] = {}

    def get(self, text: bytes, *, of_tenant: bool) -> ParsedQuery | None:
        """What a query string asks, where that is kept. of_tenant: whether the route is the tenant's."""
        return self._kept.get((text, of_tenant))

    def add(self, text: bytes, query: Query, *, of_tenant: bool, until_now: bool) -> ParsedQuery:
        """What a query string asks, which was just understood. until_now: whether it left out `to`."""
        parsed = ParsedQuery(query, query.needs, costs.cost_of(query))
        if not until_now and len(text) <= LONGEST and parsed.cost <= CHEAP:
            if len(self._kept) >= KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[text, of_tenant] = parsed
        return parsed
