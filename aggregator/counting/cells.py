"""Cells: what counters come to, one number each, and where two counts of them differ.

What `rebuild`, `verify` and `audit` compare. That an id is known is a cell too, of no hour: 1 where it is.
Pure.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from aggregator.counting.timestamps import iso
from schemas.instants import DAY_MS, HOUR_MS
from schemas.kinds import FIELDS
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

    def spelled(self) -> dict[str, str | None]:
        """By name, as people and scripts read it: the hour in ISO 8601."""
        return self._asdict() | {"hour": None if self.hour is None else iso(self.hour)}


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


def differences(log: Mapping[Cell, int], redis: Mapping[Cell, int]) -> Iterator[Difference]:
    """Every cell in which two counts differ, in order."""
    for cell in sorted(log.keys() | redis.keys(), key=_order):
        one, other = log.get(cell, 0), redis.get(cell, 0)
        if one != other:
            yield Difference(cell, one, other)


def _order(cell: Cell) -> tuple[str, str, str, int, str]:
    return cell.tenant, cell.scope, cell.id, cell.hour or 0, cell.field
