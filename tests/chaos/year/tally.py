"""Numbers of millions of cells: a packed integer for each, in columns, added up when they are asked for."""

from array import array
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tests.pipeline import oracle

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
FIELDS: Final = (*oracle.FIELDS, *oracle.DETAILS)
_FIELD_BITS, _QUARTER_BITS = 5, 22
_SCOPE: Final = _FIELD_BITS + _QUARTER_BITS


class Scopes:
    """A number for each scope, the same in all tallies that share it."""

    def __init__(self) -> None:
        self.numbers: dict[oracle.Scope, int] = {}
        self.names: list[oracle.Scope] = []

    def number(self, scope: oracle.Scope) -> int:
        """That of a scope, which may be new."""
        number = self.numbers.setdefault(scope, len(self.names))
        if number == len(self.names):
            self.names.append(scope)
        return number


class Tally:
    """A sum of counts."""

    def __init__(self, scopes: Scopes) -> None:
        self._scopes = scopes
        self._parts: list[Any] = []

    def add(self, cells: Iterable[tuple[oracle.Cell, int]], sign: int = 1) -> None:
        """Add these numbers, or take them off."""
        keys, numbers = array("q"), array("q")
        for (scope, at, field), number in cells:
            quarter = (at - EPOCH) // oracle.QUARTER
            place = (quarter << _FIELD_BITS) + FIELDS.index(field)
            keys.append((self._scopes.number(scope) << _SCOPE) + place)
            numbers.append(sign * number)
        self._parts.append(pa.table({"key": pa.array(keys, pa.int64()), "n": pa.array(numbers, pa.int64())}))

    def also(self, other: "Tally") -> "Tally":
        """The sum of both, which share their scopes."""
        both = Tally(self._scopes)
        both._parts = [*self._parts, *other._parts]
        return both

    def cells(self) -> Iterator[tuple[oracle.Cell, int]]:
        """Every number that is not 0."""
        summed = self._summed()
        for key, number in zip(summed["key"].to_pylist(), summed["n_sum"].to_pylist(), strict=True):
            place = key & ((1 << _SCOPE) - 1)
            at = EPOCH + (place >> _FIELD_BITS) * oracle.QUARTER
            yield (self._scopes.names[key >> _SCOPE], at, FIELDS[place & ((1 << _FIELD_BITS) - 1)]), number

    def __len__(self) -> int:
        """How many cells are not 0."""
        return int(self._summed().num_rows)

    def scopes(self) -> set[oracle.Scope]:
        """Those of all cells that are not 0."""
        found = pc.unique(pc.shift_right(self._summed()["key"], _SCOPE)).to_pylist()
        return {self._scopes.names[number] for number in found}

    def months(self, scope: oracle.Scope) -> dict[str, dict[str, int]]:
        """A scope's numbers by month, as the API writes its points' times; fields of the page alone."""
        mine = Tally(self._scopes)
        number = self._scopes.number(scope)
        for part in self._parts:
            mine._parts.append(part.filter(pc.equal(pc.shift_right(part["key"], _SCOPE), number)))
        found: dict[str, dict[str, int]] = {}
        for (_, at, field), count in mine.cells():
            if field in oracle.FIELDS:
                point = found.setdefault(
                    oracle.iso(oracle.start_of("month", at)), dict.fromkeys(oracle.FIELDS, 0)
                )
                point[field] += count
        return found

    def span(self) -> tuple[datetime, datetime]:
        """The first and the last quarter of an hour of all cells."""
        quarters = [(key & ((1 << _SCOPE) - 1)) >> _FIELD_BITS for key in self._summed()["key"].to_pylist()]
        return EPOCH + min(quarters) * oracle.QUARTER, EPOCH + max(quarters) * oracle.QUARTER

    def _summed(self) -> Any:
        if not self._parts:
            return pa.table({"key": pa.array([], pa.int64()), "n_sum": pa.array([], pa.int64())})
        summed = pa.concat_tables(self._parts).group_by("key").aggregate([("n", "sum")])
        return summed.filter(pc.not_equal(summed["n_sum"], 0))
