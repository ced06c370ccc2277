"""From the counts of days to the points of a range, and their sum. Pure.

Totals are the sum of the points, which is that of all steps that count (`api.query.ranges`). Days are UTC's,
and steps and days are numbered from 1970 on (below zero before).
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from api.query.day_counts import NOTHING, Counts, DayCounts, in_hours
from api.query.periods import HOUR
from api.query.ranges import Range
from schemas.instants import DAY_MS, HOUR_MS
from schemas.kinds import CORE_FIELDS

Days = Mapping[int, DayCounts]
"""For each day (since 1970) that has counters, its counts; all by hour, or all by quarter."""

ZEROS: Final[Counts] = (0,) * len(CORE_FIELDS)


@dataclass(frozen=True, slots=True)
class Series:
    """An answer: for each point its start (ms) and its counts in the order of CORE_FIELDS; and their sum."""

    points: list[tuple[int, Counts]]
    totals: Counts


def _add(counts: Iterable[Counts]) -> Counts:
    """The sum of counts, at least one."""
    return tuple(map(sum, zip(*counts, strict=True)))


def add_up(asked: Range, days: Days) -> Series:
    """The points of a range: one for each period of it, zeros where nothing was counted."""
    step_ms = asked.step_ms
    firsts = [-(-start // step_ms) for start in asked.starts]
    ends = (*firsts[1:], asked.steps.stop)
    sums = [ZEROS] * len(firsts)
    for midnight, counted, first, stop in _counting(asked, days):
        at = bisect_right(firsts, first) - 1
        if asked.period is HOUR and step_ms == HOUR_MS:
            sums[at : at + stop - first] = counted.by_step(first - midnight, stop - midnight)
            continue
        step = first
        while step < stop:
            end = min(stop, ends[at])
            counts = counted.sum(step - midnight, end - midnight)
            sums[at] = counts if sums[at] is ZEROS else _add((sums[at], counts))
            step, at = end, at + 1
    return Series(list(zip(asked.starts, sums, strict=True)), _add(sums))


def total_of(asked: Range, days: Days) -> Counts:
    """The totals of a range alone."""
    counting = _counting(asked, days)
    return _add(
        (ZEROS, *(counted.sum(first - start, stop - start) for start, counted, first, stop in counting))
    )


def _counting(asked: Range, days: Days) -> Iterator[tuple[int, DayCounts, int, int]]:
    """The days with steps that count: the step at which the day starts, its counts, first such step, end."""
    first, end, in_a_day = asked.steps.start, asked.steps.stop, DAY_MS // asked.step_ms
    for day, counted in in_steps(asked, days).items():
        midnight = day * in_a_day
        following = midnight + in_a_day
        if first <= midnight and following <= end:
            yield midnight, counted, midnight, following
        elif midnight < end and first < following:
            yield midnight, counted, max(first, midnight), min(end, following)


def in_steps(asked: Range, days: Days) -> Days:
    """The days by the steps of a range."""
    are_finer = next(iter(days.values()), NOTHING).step_ms < asked.step_ms
    return {day: in_hours(counted) for day, counted in days.items()} if are_finer else days
