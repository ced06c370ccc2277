"""What a rebuild says of itself: its report at the end, and its progress on the way."""

from dataclasses import dataclass, field
from typing import Final, Protocol

from aggregator.counting.cells import Difference

EXAMPLES_MAX: Final = 20


@dataclass(slots=True)
class Report:
    """What a rebuild did.

    generation, previous: names of the new generation and of the one that was live, none where there was
    none. records: how many were to be read. seconds: how long all of it took. partial: why the counters do
    not hold the whole history, if so. resumed: whether it went on where an earlier run had ended.
    without_dead_letter: how many records are refused that only the archive has and that no worker is known to
    have passed: no dead letter of theirs can be written.
    compared: tenants. differing: cells that differ between the two generations; examples: some of them, the
    new one's number as `log`. lost: how many differ besides, for which the log could not speak. wrong:
    whether none of `differing` should be, as both were counted by the same rules: then the old one is kept,
    for whoever looks for the cause. not_compared: why not all was compared, if so. workers_seen: whether
    workers count into the new one. dropped_keys: of the old one.
    """

    generation: str
    previous: str | None
    records: int
    seconds: float = 0.0
    partial: str | None = None
    resumed: bool = False
    without_dead_letter: int = 0
    compared: int = 0
    differing: int = 0
    lost: int = 0
    wrong: bool = False
    examples: list[Difference] = field(default_factory=list)
    not_compared: str | None = None
    workers_seen: bool = False
    dropped_keys: int = 0

    def take_in(self, difference: Difference) -> None:
        """Count a cell that differs, and keep it as an example while there are few."""
        self.differing += 1
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(difference)


class Progress(Protocol):
    """Who watches: called often, must be quick."""

    def __call__(self, phase: str, done: int, total: int) -> None:
        """phase: what is being done; done, total: in records, or in tenants while comparing."""

    def say(self, what: str) -> None:
        """what: to be shown at once, as what comes next may take long."""
