"""Watching a count from outside: how far the checkpoints in Redis are, and when the last event was counted.

An event is counted once the checkpoint of its tenant's lane has passed it. A lane that holds no event near
the end of a partition is moved there by the worker's tick alone, up to a second later; that second is no
work. So the end of a count is the moment when every lane's checkpoint has passed the last event that is the
lane's, which the topic knows (`scene.Lasts`).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from tests.benchmarks.scene import LIMIT_S, Lasts, Topic

POLL_S: Final = 0.03


class Sample(NamedTuple):
    """How many events were counted at a time (seconds since 1970)."""

    at_s: float
    counted: int


@dataclass(frozen=True)
class Watched:
    """A count from its start to its end, sampled. The last sample has all events."""

    samples: list[Sample]

    @property
    def end_s(self) -> float:
        return self.samples[-1].at_s

    @property
    def first(self) -> Sample:
        """The first sample that has any event."""
        return next(sample for sample in self.samples if sample.counted)

    def rate(self, since_s: float) -> float:
        """Events a second from a time to the end; what was counted before does not count."""
        return self._since(since_s) / (self.end_s - since_s)

    def share_since(self, since_s: float) -> float:
        """The share (0 to 1) of all events that was counted after a time."""
        return self._since(since_s) / self.samples[-1].counted

    def _since(self, since_s: float) -> int:
        before = [sample.counted for sample in self.samples if sample.at_s <= since_s]
        return self.samples[-1].counted - (before[-1] if before else 0)


def counted(checkpoints: list[list[int]], ends: list[int], lasts: Lasts) -> int:
    """How many events are counted for certain: of each partition, what all its lanes have passed.

    checkpoints: of each lane, by partition; no lane: no generation yet.
    """
    if not checkpoints:
        return 0
    total = 0
    for partition, end in enumerate(ends):
        behind = [
            checkpoints[lane][partition]
            for (lane, of), last in lasts.items()
            if of == partition and checkpoints[lane][partition] < last
        ]
        total += min(behind, default=end)
    return total


def watch(
    topic: Topic,
    checkpoints: Callable[[], list[list[int]]],
    check: Callable[[], None],
    on_first: Callable[[], None],
) -> Watched:
    """Look until all events are counted.

    check: raises where a program has ended that should not have. on_first: called once, when the first
    events are counted.
    Raises: TimeoutError after a long while.
    """
    samples: list[Sample] = []
    until = time.monotonic() + LIMIT_S
    while not samples or samples[-1].counted < sum(topic.ends):
        if time.monotonic() > until:
            raise TimeoutError(f"{samples[-1].counted:,} of {sum(topic.ends):,} events after {LIMIT_S:.0f} s")
        check()
        samples.append(Sample(time.time(), counted(checkpoints(), topic.ends, topic.lasts)))
        if samples[-1].counted and not (len(samples) > 1 and samples[-2].counted):
            on_first()
        time.sleep(POLL_S)
    return Watched(samples)
