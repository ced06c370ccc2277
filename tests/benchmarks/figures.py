"""What a bench finds: figures, each from several runs, and the goals that some of them are held against."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, Literal

type_of_unit = Literal[
    "events/s",
    "of the ceiling",
    "ms",
    "s",
    "bytes",
    "MiB",
    "byte-days",
    "requests/s",
    "ratio",
    "us/event",
    "us/fact",
    "a call",
    "share",
]


@dataclass(frozen=True)
class Figure:
    """One figure.

    key: by which goals and readers know it, `part.name`. what: for a person. values: one of each run.
    note: how it was taken, where the name does not say all.
    """

    key: str
    what: str
    unit: type_of_unit
    values: tuple[float, ...]
    note: str = ""

    @property
    def middle(self) -> float:
        return median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the greatest of the runs."""
        return min(self.values), max(self.values)

    @property
    def verdict(self) -> bool | None:
        """Whether the goal is met; none where there is none."""
        goal = GOALS.get(self.key)
        return None if goal is None else goal.is_met(self.middle)


@dataclass(frozen=True)
class Goal:
    """A bound that the median of a figure is held against."""

    bound: float
    at_least: bool

    def is_met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:,g}"


@dataclass(frozen=True)
class Missing:
    """A part of the bench that gave no figure, and why: never left out in silence."""

    part: str
    why: str


def at_least(bound: float) -> Goal:
    return Goal(bound, at_least=True)


def at_most(bound: float) -> Goal:
    return Goal(bound, at_least=False)


GOALS: Final = {
    "counting.live1.ratio": at_least(0.75),
    "counting.live1.rate": at_least(150_000),
    "counting.live2.ratio": at_least(0.95),
    "counting.rebuild2.ratio": at_least(0.80),
    "archiving.bytes": at_most(60),
    "archiving.writer.ratio": at_least(0.60),
    "archiving.verify.ratio": at_least(1.0),
    "archiving.rebuild2.ratio": at_least(1.2),
    "long-log.verify.memory": at_most(1_024),
    "workloads.long-tail.live1.ratio": at_least(0.45),
    "workloads.small-batches.live1.ratio": at_least(0.60),
    "calls.long-tail.to-reference": at_most(3),
    "peers.live1.over.faust-tables": at_least(20),
    "peers.live1.over.bytewax-nothing": at_least(1),
    "peers.live1.over.fastest": at_least(3),
    "catching-up.p99.ratio": at_most(3),
    "bursts.tenants.longest": at_most(20),
    "bursts.ids.longest": at_most(20),
    "bursts.days.longest": at_most(20),
    "one-tenant.p99.ratio": at_most(5),
    "memory.million.message": at_most(19),
    "memory.thousand.message": at_most(24),
    "memory.reference.byte-days": at_most(1_000),
    "memory.reference.scope-day": at_most(80),
    "memory.long-tail.all": at_most(95),
    "memory.two-thousand.all": at_most(45),
    "api.30-days.p99": at_most(15),
    "api.30-days.throughput": at_least(0.40),
    "api.year.p99": at_most(40),
    "api.90-days-by-hour.p99": at_most(40),
    "webhook.throughput": at_least(0.45),
    "visible.p50": at_most(0.5),
    "visible.p99": at_most(0.06),
}
"""By the figure's key. The words and the bounds are those of the benchmark's task."""


def percentile(values: Sequence[float], share: float) -> float:
    """The least of the values that is not below `share` (0 to 1) of them: a value that was seen.

    Raises: ValueError where there are none.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    rank = -int(-share * len(ordered) // 1)  # rounded up
    return ordered[max(rank, 1) - 1]
