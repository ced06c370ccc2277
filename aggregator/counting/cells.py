"""Cells, one number each: what `verify` and `rebuild` compare, and a count of them from the log alone.

That an id is known is a cell too, of no hour: 1 where it is.

Pure. `Recount` is the law of counting in its plainest form: the least hour of each fact, in a dictionary. It
shares the reading of records with live counting and nothing else: no fold, no script, no packed counters, no
hashes.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from aggregator.counting.facts import Facts, Scopes
from schemas.instants import DAY_MS, HOUR_MS
from schemas.kinds import FIELDS, FUTURE_MS, HORIZON_MS
from schemas.packed_counter import unpack_counter
from schemas.redis_keys import TENANT_SCOPE


class Cell(NamedTuple):
    """Where a number stands.

    scope: `tenant`, `sequence` or `template`; id: of the sequence or template, else empty.
    hour: its start in ms since 1970; none where the field is `known`.
    """

    tenant: str
    scope: str
    id: str
    hour: int | None
    field: str


class Difference(NamedTuple):
    """A cell that differs: what one side has, and the other."""

    cell: Cell
    log: int
    redis: int


KNOWN: Final = "known"
"""The field of a cell that says whether an id is known."""

_SCOPES: Final = {b"t": "tenant", b"s": "sequence", b"p": "template"}


def stored_cells(
    tenant: str,
    days: Iterable[tuple[int, Mapping[bytes, bytes]]],
    known: Mapping[str, Iterable[bytes]] = MappingProxyType({}),
) -> Counter[Cell]:
    """The cells of a tenant that are not 0, as Redis holds them.

    days: for each day since 1970 its packed counters by scope. known: for `sequence` and `template` the known
    ids.
    Raises: ValueError where a scope or a packed counter is damaged.
    """
    cells = Counter(Cell(tenant, scope, id_.decode(), None, KNOWN) for scope in known for id_ in known[scope])
    for day, packed_counters in days:
        for scope, packed_counter in packed_counters.items():
            name = _SCOPES.get(scope[:1])
            if name is None:
                raise ValueError(f"damaged counter: {scope!r} is no scope")
            for index, count in enumerate(unpack_counter(packed_counter)):
                if count:
                    hour, kind = divmod(index, len(FIELDS))
                    at = day * DAY_MS + hour * HOUR_MS
                    cells[Cell(tenant, name, scope[1:].decode(), at, FIELDS[kind])] = count
    return cells


assert TENANT_SCOPE in _SCOPES


def earliest_record_ms(since_ms: int) -> int:
    """The least time of a record's own that can matter to the counts of hours from `since_ms` on.

    A mail with a fact then was sent within the horizon before. The same fact may have been told for an
    earlier hour, where it counts instead: at the earliest at the start of the day of that send.
    """
    return max(0, (since_ms - HORIZON_MS) // DAY_MS * DAY_MS - FUTURE_MS)


class Recount:
    """Counts events in memory."""

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


def differences(log: Mapping[Cell, int], redis: Mapping[Cell, int]) -> Iterator[Difference]:
    """Every cell in which two counts differ, in order."""
    for cell in sorted(log.keys() | redis.keys(), key=_order):
        one, other = log.get(cell, 0), redis.get(cell, 0)
        if one != other:
            yield Difference(cell, one, other)


def _order(cell: Cell) -> tuple[str, str, str, int, str]:
    return cell.tenant, cell.scope, cell.id, cell.hour or 0, cell.field
