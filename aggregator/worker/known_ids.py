"""How many ids the scopes have: those with most, as metrics and as a warning.

A known id is never forgotten, so a tag that is unique to each mail fills Redis for ever, and no query is
served by it. The script reports a scope of a tenant when it gets new ids and has many; what is known here is
what it has reported to this worker.
"""

from collections.abc import Mapping, Sequence
from heapq import nlargest
from typing import Final

import structlog

from aggregator import metrics
from schemas.counters import TENANT
from schemas.redis_keys import unsafe_id

log = structlog.get_logger(__name__)

SHOWN: Final = 10
"""Scopes with a series of their own: whose ids are many, and not how many tenants there are."""

HELD: Final = 10_000
"""Scopes that are remembered, those with most ids."""


class KnownIds:
    """The scopes with many ids, of one worker."""

    def __init__(self, warning: int) -> None:
        """warning: from how many ids on a scope is warned of, and again each time that they have doubled."""
        self._warning = warning
        self._numbers: dict[tuple[str, str], int] = {}
        self._warned: dict[tuple[str, str], int] = {}
        self._shown: set[tuple[str, str]] = set()

    def take(self, known: Mapping[tuple[str, int], int], scopes: Sequence[str]) -> None:
        """Take in what a call reported.

        known: as in `Applied`. scopes: the names of the generation's, beside the tenant.
        """
        if not known:
            return
        names = (TENANT, *scopes)
        for (safe, scope), number in known.items():
            of = unsafe_id(safe), names[scope]
            self._numbers[of] = number
            if number >= max(self._warning, 2 * self._warned.get(of, 0)):
                self._warned[of] = number
                log.warning("a scope has very many ids", tenant=of[0], scope=of[1], ids=number)
        if len(self._numbers) > HELD:
            self._numbers = dict(nlargest(HELD, self._numbers.items(), key=lambda item: item[1]))
        self._show()

    def _show(self) -> None:
        above = sum(number >= self._warning for number in self._numbers.values())
        metrics.SCOPES_OF_MANY_IDS.set(above)
        top = dict(nlargest(SHOWN, self._numbers.items(), key=lambda item: item[1]))
        for tenant, scope in self._shown - top.keys():
            metrics.KNOWN_IDS.remove(tenant, scope)
        for (tenant, scope), number in top.items():
            metrics.KNOWN_IDS.labels(tenant, scope).set(number)
        self._shown = set(top)
