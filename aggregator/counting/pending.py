"""What is read and not yet submitted: work in progress, the same for a worker and a rebuild. Pure.

Law: it is submitted as a whole, dead letters first, so that no checkpoint passes a record whose dead letter
is not written (`aggregator.counters.sink`).
"""

from collections import Counter, defaultdict

from aggregator.counting.checkpoints import Backlog
from aggregator.counting.reading import DeadLetter, Reading


class Pending:
    """What some reading came to."""

    def __init__(self) -> None:
        self.backlog = Backlog()
        """Filled by `Partition.read`."""
        self.dead_letters: defaultdict[int, list[DeadLetter]] = defaultdict(list)
        """By partition, by rising offset."""
        self.outcomes: Counter[str] = Counter()
        """Counts records by the outcome's name."""
        self.weight = 0
        """Of events and dead letters, in bytes of memory."""

    def add(self, partition: int, reading: Reading, dead_lettered: int = 0) -> None:
        """Take in what was read of a partition, but for its events, which the backlog is given.

        dead_lettered: the offset below which the partition's dead letters are written already.
        """
        if reading.dead_letters:
            self.dead_letters[partition] += [
                each for each in reading.dead_letters if each.offset >= dead_lettered
            ]
        self.outcomes.update(reading.outcomes)
        self.weight += reading.weight
