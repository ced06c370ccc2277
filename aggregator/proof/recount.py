"""A count of the whole log, or of what of it is given, in memory: a number for each fact.

The law of counting in its plainest form: the least hour of each fact, in a dictionary. It shares the reading
of records with live counting and nothing else: no fold, no script, no packed counters, no hashes. Pure.
"""

from collections import Counter

from aggregator.counting.cells import KNOWN, Cell
from aggregator.counting.facts import Facts, Scopes
from schemas.instants import DAY_MS, HOUR_MS
from schemas.kinds import FIELDS, FUTURE_MS, HORIZON_MS


def earliest_record_ms(since_ms: int) -> int:
    """The least time of a record's own that can matter to the counts of hours from `since_ms` on.

    A mail with a fact then was sent within the horizon before. The same fact may have been reported for an
    earlier hour, where it counts instead: at the earliest at the start of the day of that send.
    """
    return max(0, (since_ms - HORIZON_MS) // DAY_MS * DAY_MS - FUTURE_MS)


class Recount:
    """Counts events in memory, which grows with the different facts in them."""

    def __init__(self) -> None:
        self._least: dict[tuple[Scopes, int, str, str | None, int], int] = {}

    def add(self, facts: Facts) -> None:
        """Take in an event, in any order and any number of times."""
        least = self._least
        for recipient in facts.recipients:
            identity = (facts.scopes, facts.day, facts.message_id, recipient, facts.kind)
            had = least.get(identity)
            if had is None or facts.hour < had:
                least[identity] = facts.hour

    def cells(self) -> Counter[Cell]:
        """The cells that are not 0."""
        cells: Counter[Cell] = Counter()
        for ((tenant, sequence, template), day, _, _, kind), hour in self._least.items():
            at = day * DAY_MS + hour * HOUR_MS
            cells[Cell(tenant, "tenant", "", at, FIELDS[kind])] += 1
            for scope, name in (("sequence", sequence), ("template", template)):
                if name is not None:
                    cells[Cell(tenant, scope, name, at, FIELDS[kind])] += 1
                    cells[Cell(tenant, scope, name, None, KNOWN)] = 1
        return cells
