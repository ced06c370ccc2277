"""A count of the whole log, or of what of it is given, in memory: a number for each fact.

The law of counting in its plainest form: the least quarter of an hour of each fact, in a dictionary. It
shares the reading of records with live counting and nothing else: no fold, no script, no packed counters, no
hashes. Pure.
"""

from collections import Counter
from collections.abc import Sequence

from aggregator.counting.cells import KNOWN, Cell, counted_cells
from aggregator.counting.facts import Facts, Scopes
from schemas.instants import DAY_MS
from schemas.kinds import FUTURE_MS, HORIZON_MS


def earliest_record_ms(since_ms: int) -> int:
    """The least time of a record's own that can matter to the counts of times from `since_ms` on.

    A mail with a fact then was sent within the horizon before. The same fact may have been reported for an
    earlier time, where it counts instead: at the earliest at the start of the day of that send.
    """
    return max(0, (since_ms - HORIZON_MS) // DAY_MS * DAY_MS - FUTURE_MS)


class Recount:
    """Counts events in memory, which grows with the different facts in them."""

    def __init__(self, scopes: Sequence[str]) -> None:
        """scopes: the names of those beside the tenant, in the order of the rules."""
        self._scopes = scopes
        self._least: dict[tuple[Scopes, int, str, bytes | None, int], int] = {}

    def add(self, facts: Facts) -> None:
        """Take in an event, in any order and any number of times."""
        least = self._least
        for kind in facts.kinds:
            for recipient in facts.recipients:
                identity = (facts.scopes, facts.day, facts.message_id, recipient, kind)
                had = least.get(identity)
                if had is None or facts.quarter < had:
                    least[identity] = facts.quarter

    def cells(self) -> Counter[Cell]:
        """The cells that are not 0."""
        cells: Counter[Cell] = Counter()
        for (scopes, day, _, _, kind), quarter in self._least.items():
            for cell in counted_cells(self._scopes, scopes, day, quarter, (kind,)):
                cells[cell] += 1
                if cell.id:
                    cells[cell._replace(at=None, field=KNOWN)] = 1
        return cells
