"""Cells: what counters come to, one number each, and where two counts of them differ.

What `rebuild`, `verify` and `audit` compare. That an id is known is a cell too, of no hour: 1 where it is.
Pure.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from aggregator.counting.facts import Scopes
from aggregator.counting.timestamps import iso
from schemas.counters import TENANT
from schemas.instants import DAY_MS, QUARTER_MS
from schemas.kinds import FAMILIES, FIELDS
from schemas.packed_counter import KINDS_MAX, unpack_quarters
from schemas.redis_keys import read_counter_field


class Cell(NamedTuple):
    """Where a number stands.

    scope: its name; id: empty for the tenant itself. at: the start of the quarter of an hour, in ms since
    1970; none where the field is `known`.
    """

    tenant: str
    scope: str
    id: str
    at: int | None
    field: str

    def spelled(self) -> dict[str, str | None]:
        """By name, as people and scripts read it: the time in ISO 8601."""
        return self._asdict() | {"at": None if self.at is None else iso(self.at)}


class Difference(NamedTuple):
    """A cell that differs: what one side has, and the other."""

    cell: Cell
    log: int
    redis: int


_FAMILIES: Final = tuple(FAMILIES.values())

KNOWN: Final = "known"
"""The field of a cell that says whether an id is known."""


def stored_cells(
    tenant: str,
    scopes: Sequence[str],
    blocks: Iterable[tuple[int, Mapping[bytes, bytes]]],
    known: Iterable[bytes] = (),
) -> Counter[Cell]:
    """The cells of a tenant that are not 0, as Redis holds them.

    scopes: the names of the generation's, beside the tenant. blocks: of each block of days the packed
    counters by field. known: the members of the known ids.
    Raises: ValueError where a field, a packed counter or a known id is damaged.
    """
    names = (TENANT, *scopes)
    cells: Counter[Cell] = Counter()
    for member in known:
        cells[Cell(tenant, _named(names, member[0]), member[1:].decode(), None, KNOWN)] = 1
    for block, packed_counters in blocks:
        for field, packed_counter in packed_counters.items():
            day, family, scope, raw = read_counter_field(block, field)
            if family >= len(_FAMILIES):
                raise ValueError(f"damaged counter: there is no family {family}")
            fields, name, id_ = _FAMILIES[family], _named(names, scope), raw.decode()
            for cell, count in enumerate(unpack_quarters(packed_counter)):
                if count:
                    quarter, kind = divmod(cell, KINDS_MAX)
                    if kind >= len(fields):
                        raise ValueError(f"damaged counter: there is no kind {kind}")
                    at = day * DAY_MS + quarter * QUARTER_MS
                    cells[Cell(tenant, name, id_, at, fields[kind])] = count
    return cells


def counted_cells(
    scopes: Sequence[str], of: Scopes, day: int, quarter: int, kinds: Iterable[int]
) -> Iterator[Cell]:
    """The cells that one fact of each of some kinds counts in.

    scopes: the names of the generation's, beside the tenant. of: what the mail counts for. day: of the send.
    quarter: of an hour, from the start of that day.
    """
    at = day * DAY_MS + quarter * QUARTER_MS
    for kind in kinds:
        yield Cell(of.tenant, TENANT, "", at, FIELDS[kind])
        for name, id_ in zip(scopes, of.ids, strict=True):
            if id_ is not None:
                yield Cell(of.tenant, name, id_, at, FIELDS[kind])


def _named(names: Sequence[str], scope: int) -> str:
    if scope >= len(names):
        raise ValueError(f"damaged counter: there is no scope {scope}")
    return names[scope]


def differences(log: Mapping[Cell, int], redis: Mapping[Cell, int]) -> Iterator[Difference]:
    """Every cell in which two counts differ, in order."""
    for cell in sorted(log.keys() | redis.keys(), key=_order):
        one, other = log.get(cell, 0), redis.get(cell, 0)
        if one != other:
            yield Difference(cell, one, other)


def _order(cell: Cell) -> tuple[str, str, str, int, str]:
    return cell.tenant, cell.scope, cell.id, cell.at or 0, cell.field
