"""What a worker has read and not yet given to the Redis thread.

Law: it is handed over as a whole, dead letters first, so that no fence passes a record whose letter is not
written; and it is metered once it is counted.
"""

from collections import Counter, defaultdict

from aggregator import metrics
from aggregator.counters.apply import Applied
from aggregator.counting.checkpoints import Backlog
from aggregator.counting.reading import Letter, Reading
from aggregator.log.faust_transport import Batch


class Pending:
    """What is to be counted of some batches, what they said, and which of them are read to their end."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.backlog = Backlog()
        self.letters: defaultdict[int, list[Letter]] = defaultdict(list)
        self.outcomes: Counter[str] = Counter()
        self.weight = 0
        """Of what was read, in bytes of memory."""

    def add(self, batch: Batch, reading: Reading) -> None:
        """Take in what was read of a batch, whose events the backlog has; its end, or the part before."""
        if reading.end is None:
            self.batches.append(batch)
        if reading.letters:
            self.letters[batch.partition] += reading.letters
        self.outcomes.update(reading.outcomes)
        self.weight += reading.weight

    def meter(self, applied: Applied) -> None:
        """It is counted."""
        for outcome, number in self.outcomes.items():
            metrics.RECORDS.labels(outcome).inc(number)
        for letters in self.letters.values():
            for letter in letters:
                metrics.DEAD_LETTERS.labels(letter.reason).inc()
        metrics.FACTS.labels("new").inc(applied.new)
        metrics.FACTS.labels("repeated").inc(applied.repeated)
        metrics.REFOLDS.inc(applied.refolds)
