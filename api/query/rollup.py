"""From the counts of days to the points of a range, and their sum. Pure.

Totals are the sum of the points, which is that of all steps that count (`api.query.ranges`). Days are UTC's,
and steps and days are numbered from 1970 on (below zero before).
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Final, TypeAlias

from api.query.day_counts import Counts, DayCounts, in_hours
from api.query.periods import HOUR
from api.query.ranges import Range, Span
from schemas.instants import DAY_MS, HOUR_MS
from schemas.kinds import FAMILIES

Days: TypeAlias = Mapping[int, DayCounts]
"""For each day (since 1970) that has counters, its counts; all by hour, or all by quarter."""

Counted: TypeAlias = Mapping[str, Days]
"""For each family that was read its days, by its name."""

Fields: TypeAlias = tuple[str, ...]
"""Some fields, each once: those of `Counts`, in their order."""

FIELDS_KEPT: Final = 256
"""Choices of fields of which is kept where they stand."""


@dataclass(frozen=True, slots=True)
class Series:
    """An answer: for each point its start (ms) and its counts in the order of the fields; and their sum."""

    points: list[tuple[int, Counts]]
    totals: Counts


@lru_cache(maxsize=FIELDS_KEPT)
def families_of(fields: Fields) -> tuple[str, ...]:
    """The families that hold some fields, in the order of the table."""
    return tuple(name for name, own in FAMILIES.items() if not set(own).isdisjoint(fields))


@lru_cache(maxsize=FIELDS_KEPT)
def _chooser(fields: Fields) -> Callable[[Counts], Counts]:
    """Makes of the counts of all families of some fields, one after the other, those of the fields."""
    held = [field for name in families_of(fields) for field in FAMILIES[name]]
    places = [held.index(field) for field in fields]
    if len(places) == 1:
        return lambda counts: (counts[places[0]],)
    return itemgetter(*places)


def _chosen(by_family: Sequence[Sequence[Counts]], fields: Fields) -> Sequence[Counts]:
    """For rows of each family of some fields, the rows of the fields."""
    if fields == FAMILIES[families_of(fields)[0]]:
        return by_family[0]
    choose = _chooser(fields)
    return [choose(sum(rows, ())) for rows in zip(*by_family, strict=True)]


def _add(counts: Iterable[Counts]) -> Counts:
    """The sum of counts, at least one."""
    return tuple(map(sum, zip(*counts, strict=True)))


def add_up(asked: Range, counted: Counted, fields: Fields) -> Series:
    """The points of a range: one for each period of it, zeros where nothing was counted.

    counted: all families of the fields.
    """
    by_family = [_sums(asked, counted[name], len(FAMILIES[name])) for name in families_of(fields)]
    sums = _chosen(by_family, fields)
    return Series(list(zip(asked.starts, sums, strict=True)), _add(sums))


def _sums(asked: Range, days: Days, kinds: int) -> list[Counts]:
    """The counts of each point. kinds: how many the days have."""
    step_ms = asked.step_ms
    firsts = [-(-start // step_ms) for start in asked.starts]
    ends = (*firsts[1:], asked.steps.stop)
    zeros: Counts = (0,) * kinds
    sums = [zeros] * len(firsts)
    for midnight, counted, first, stop in _counting(asked, days):
        at = bisect_right(firsts, first) - 1
        if asked.period is HOUR and step_ms == HOUR_MS:
            sums[at : at + stop - first] = counted.by_step(first - midnight, stop - midnight)
            continue
        step = first
        while step < stop:
            end = min(stop, ends[at])
            counts = counted.sum(step - midnight, end - midnight)
            sums[at] = counts if sums[at] is zeros else _add((sums[at], counts))
            step, at = end, at + 1
    return sums


def total_of(asked: Span, counted: Counted, fields: Fields) -> Counts:
    """The totals of a span alone. counted: as in `add_up`."""
    by_family = [[_total(asked, counted[name], len(FAMILIES[name]))] for name in families_of(fields)]
    return _chosen(by_family, fields)[0]


def _total(asked: Span, days: Days, kinds: int) -> Counts:
    """Most days count as a whole, and the sum of such a day is known."""
    whole = whole_days(asked)
    sums = [counted.total for day, counted in days.items() if day in whole]
    edges = {day: days[day] for day in (whole.start - 1, whole.stop) if day in days}
    for start, counted, first, stop in _counting(asked, edges):
        sums.append(counted.sum(first - start, stop - start))
    return _add(((0,) * kinds, *sums))


def _counting(asked: Span, days: Days) -> Iterator[tuple[int, DayCounts, int, int]]:
    """The days with steps that count: the step at which the day starts, its counts, first such step, end."""
    first, end, in_a_day = asked.steps.start, asked.steps.stop, DAY_MS // asked.step_ms
    for day, counted in in_steps(asked, days).items():
        midnight = day * in_a_day
        following = midnight + in_a_day
        if first <= midnight and following <= end:
            yield midnight, counted, midnight, following
        elif midnight < end and first < following:
            yield midnight, counted, max(first, midnight), min(end, following)


def whole_days(asked: Span) -> range:
    """The days all of whose steps count. Of the others that count, one at most lies at each end of them."""
    steps, in_a_day = asked.steps, DAY_MS // asked.step_ms
    return range(-(-steps.start // in_a_day), steps.stop // in_a_day)


def in_steps(asked: Span, days: Days) -> Days:
    """The days by the steps of a span."""
    some = next(iter(days.values()), None)
    if some is None or some.step_ms >= asked.step_ms:
        return days
    return {day: in_hours(counted) for day, counted in days.items()}
