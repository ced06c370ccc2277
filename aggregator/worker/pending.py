"""What a worker has read and not yet given to the Redis thread.

Law: it is submitted as a whole, dead letters first, so that no checkpoint passes a record whose dead letter
is not written; and it is metered once it is counted.
"""

from collections import Counter, defaultdict

from aggregator import metrics
from aggregator.counters.apply import Applied
from aggregator.counting.checkpoints import Backlog
from aggregator.counting.reading import DeadLetter, Reading
from aggregator.log.faust_transport import Batch


class Pending:
    """What is to be counted of some batches, what they said, and which of them are read to their end."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.backlog = Backlog()
        self.dead_letters: defaultdict[int, list[DeadLetter]] = defaultdict(list)
        self.outcomes: Counter[str] = Counter()
        self.weight = 0
        """Of what was read, in bytes of memory."""

    def add(self, batch: Batch, reading: Reading) -> None:
        """Take in what was read of a batch, whose events the backlog has; its end, or the part before."""
        if reading.end is None:
            self.batches.append(batch)
        if reading.dead_letters:
            self.dead_letters[batch.partition] += reading.dead_letters
        self.outcomes.update(reading.outcomes)
        self.weight += reading.weight

    def meter(self, applied: Applied) -> None:
        """It is counted."""
        for outcome, number in self.outcomes.items():
            metrics.RECORDS.labels(outcome).inc(number)
        for dead_letters in self.dead_letters.values():
            for dead_letter in dead_letters:
                metrics.DEAD_LETTERS.labels(dead_letter.reason).inc()
        metrics.FACTS.labels("new").inc(applied.new)
        metrics.FACTS.labels("repeated").inc(applied.repeated)
        metrics.REFOLDS.inc(applied.refolds)
