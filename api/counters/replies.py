"""What the two scripts say, taken apart. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Final

from api.errors import RANGE_TOO_LARGE, ApiError
from api.query.day_counts import DayCounts, day_by_hour, day_by_quarter, total_of_day
from api.query.rollup import Counted
from schemas.kinds import FAMILIES
from schemas.redis_keys import read_counter_field

MAX_GROUP_FIELDS: Final = 50_000
"""Days of ids that one answer may read for its groups: more would hold up Redis and us."""


_FAMILIES: Final = tuple((name, len(fields)) for name, fields in FAMILIES.items())
"""By their places in Redis: of each its name, and how many kinds it has."""


@dataclass(frozen=True, slots=True)
class Counters:
    """One read of a lane.

    known: whether a fact was ever counted for the scope; counted: its days, of each family that was wanted;
    partitions: for each known partition the time (ms) up to which it is counted, None where it has none yet;
    groups: for each id of the groups that were wanted, its days likewise.
    """

    known: bool
    counted: Counted
    partitions: dict[int, int | None]
    groups: dict[str, Counted] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredIds:
    """A page of the ids for which a fact was ever counted, in the order of their bytes.

    scopes: those that are counted, beside the tenant; partitions: as in `Counters`.
    """

    scopes: tuple[str, ...]
    ids: list[str]
    partitions: dict[int, int | None]


def _pairs(flat: list[Any]) -> Iterable[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)


def partitions_of(fields: list[bytes]) -> dict[int, int | None]:
    """For each partition with a checkpoint or a time, its time."""
    times = dict(zip(fields[::2], map(int, fields[1::2]), strict=True))
    return {int(name[1:]): times.get(b"c" + name[1:]) for name in times}


def counters_of(reply: list[Any], families: Sequence[str], *, by_quarter: bool) -> Counters:
    """Decode the numbers of the reply of `read.lua`.

    families: that were asked for, in that order; by_quarter: whether it has quarters of an hour.
    Raises: ValueError where a counter is damaged; ApiError where the groups are too many.
    """
    unpack: Callable[[bytes, int], DayCounts] = day_by_quarter if by_quarter else day_by_hour
    known, fields, by_family, by_block = reply
    if by_block is None:
        raise ApiError(
            RANGE_TOO_LARGE,
            f"The range has more than {MAX_GROUP_FIELDS:,} days of groups. Ask for a shorter one.",
            "from",
        )
    counted: dict[str, dict[int, DayCounts]] = {}
    for family, packed_counters in zip(families, by_family, strict=True):
        days = map(unpack, packed_counters[1::2], repeat(len(FAMILIES[family])))
        counted[family] = dict(zip(packed_counters[::2], days, strict=True))
    groups: dict[str, dict[str, dict[int, DayCounts]]] = {}
    for block, (names, packed_counters) in _pairs(by_block):
        for field_name, packed_counter in zip(names, packed_counters, strict=True):
            of = read_counter_field(block, field_name)
            family, kinds = _FAMILIES[of.family]
            group = groups.setdefault(of.id.decode(), {family: {} for family in families})
            group[family][of.day] = unpack(packed_counter, kinds)
    return Counters(known == 1, counted, partitions_of(fields), dict(groups))


def totals_of(reply: list[Any], families: Sequence[str]) -> dict[str, int]:
    """The sum of each field of some families in the reply of `read.lua`, by hour.

    families: that were asked for, in that order.
    Raises: ValueError where a counter is damaged.
    """
    totals: dict[str, int] = {}
    for family, packed_counters in zip(families, reply[2], strict=True):
        fields = FAMILIES[family]
        days = [total_of_day(packed_counter, len(fields)) for _, packed_counter in _pairs(packed_counters)]
        totals |= {field: sum(day[at] for day in days) for at, field in enumerate(fields)}
    return totals
