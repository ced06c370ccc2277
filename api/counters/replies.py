"""What the two scripts say, taken apart. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from api.errors import RANGE_TOO_LARGE, ApiError
from api.query.hours import DayCounts, unpack_day

MAX_GROUP_FIELDS: Final = 50_000
"""Scopes of days that one answer may look through for its groups: more would hold up Redis and us."""


@dataclass(frozen=True, slots=True)
class Counters:
    """One read of a lane.

    known: whether a fact was ever counted for the scope; days: for each day since 1970 that has any,
    its counts; partitions: for each known partition the time (ms) up to which it is counted, None
    where it has none yet; groups: for each id of the groups that were wanted, its days.
    """

    known: bool
    days: dict[int, DayCounts]
    partitions: dict[int, int | None]
    groups: dict[str, dict[int, DayCounts]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredIds:
    """The ids for which a fact was ever counted, in no order; partitions: as in `Counters`."""

    ids: list[bytes]
    partitions: dict[int, int | None]


def _pairs(flat: list[Any]) -> Iterable[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)


def partitions_of(fields: list[bytes]) -> dict[int, int | None]:
    """For each partition with a checkpoint or a time, its time."""
    times = {bytes(name): int(value) for name, value in _pairs(fields)}
    return {int(name[1:]): times.get(b"c" + name[1:]) for name in times}


def counters_of(reply: list[Any]) -> Counters:
    """Decode the numbers of the reply of `read.lua`.

    Raises: ValueError where a counter is damaged; ApiError where the groups are too many.
    """
    known, fields, packed_counters, by_day = reply
    if by_day is None:
        raise ApiError(
            RANGE_TOO_LARGE,
            f"The range has more than {MAX_GROUP_FIELDS:,} days of groups. Ask for a shorter one.",
            "from",
        )
    groups: dict[str, dict[int, DayCounts]] = {}
    for day, scopes in _pairs(by_day):
        for scope, packed_counter in _pairs(scopes):
            groups.setdefault(scope[1:].decode(), {})[int(day)] = unpack_day(packed_counter)
    return Counters(
        known == 1,
        {int(day): unpack_day(packed_counter) for day, packed_counter in _pairs(packed_counters)},
        partitions_of(fields),
        groups,
    )
