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
from schemas.packed_counter import KINDS_MAX, unpack_cells
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


class StoredCounter(NamedTuple):
    """A packed counter of a tenant, unpacked.

    scope: its name; id: empty for the tenant itself. day: since 1970. fields: of the family, in their order.
    counts: those that are not 0, by cell (`schemas.packed_counter`).
    """

    scope: str
    id: str
    day: int
    fields: Sequence[str]
    counts: Mapping[int, int]


def stored_counters(
    scopes: Sequence[str], blocks: Iterable[tuple[int, Mapping[bytes, bytes]]]
) -> Iterator[StoredCounter]:
    """The counters of a tenant, as Redis holds them.

    scopes: the names of the generation's, beside the tenant. blocks: of each block of days the packed
    counters by field.
    Raises: ValueError where a field or a packed counter is damaged.
    """
    names = (TENANT, *scopes)
    for block, packed_counters in blocks:
        for field, packed_counter in packed_counters.items():
            day, family, scope, raw = read_counter_field(block, field)
            if family >= len(_FAMILIES):
                raise ValueError(f"damaged counter: there is no family {family}")
            fields = _FAMILIES[family]
            counts = unpack_cells(packed_counter)
            for cell in counts:
                if cell % KINDS_MAX >= len(fields):
                    raise ValueError(f"damaged counter: there is no kind {cell % KINDS_MAX}")
            yield StoredCounter(_named(names, scope), raw.decode(), day, fields, counts)


def stored_ids(scopes: Sequence[str], known: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """The known ids of a tenant, each with the name of its scope.

    scopes: as `stored_counters`. known: the members, as Redis holds them.
    Raises: ValueError where one is damaged.
    """
    names = (TENANT, *scopes)
    for member in known:
        yield _named(names, member[0]), member[1:].decode()


def stored_cells(
    tenant: str,
    scopes: Sequence[str],
    blocks: Iterable[tuple[int, Mapping[bytes, bytes]]],
    known: Iterable[bytes] = (),
) -> Counter[Cell]:
    """The cells of a tenant that are not 0, as Redis holds them.

    Arguments: as `stored_counters` and `stored_ids`. Raises: as these.
    """
    cells: Counter[Cell] = Counter()
    for name, id_ in stored_ids(scopes, known):
        cells[Cell(tenant, name, id_, None, KNOWN)] = 1
    for name, id_, day, fields, counts in stored_counters(scopes, blocks):
        for cell, count in counts.items():
            quarter, kind = divmod(cell, KINDS_MAX)
            cells[Cell(tenant, name, id_, day * DAY_MS + quarter * QUARTER_MS, fields[kind])] = count
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
