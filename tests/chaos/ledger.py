"""What was written to the topic, and what follows from it: the other side of every comparison.

Law: the ledger knows what Kafka has acknowledged, where, and what the naive oracle reads in it, and nothing
of the aggregator. From that comes what a lane must hold *at any instant*: its checkpoints say up to where.
"""

import hashlib
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence

from tests.chaos import view
from tests.pipeline import oracle
from tests.pipeline.log import Outgoing, Stored
from tests.pipeline.place import time_of


class Ledger:
    """Every record that Kafka has acknowledged."""

    def __init__(self, lanes: int, partitions: int, tags: Mapping[str, str] = oracle.PAGE) -> None:
        """Know of nothing yet. tags: of the further scopes that are counted, by their names."""
        self._tags = tags
        self._lock = threading.Lock()
        self._lanes = lanes
        self._digests: dict[tuple[int, int], bytes] = {}
        self._known: dict[oracle.Fact, oracle.Fact] = {}
        self._reported: dict[int, list[tuple[int, int, oracle.Reported]]] = defaultdict(list)
        self.ends = [0] * partitions
        """For each partition, the offset up to which every record is known."""

    def __len__(self) -> int:
        return len(self._digests)

    def again(self) -> int:
        """How many records say what an earlier one says, byte for byte."""
        return len(self._digests) - len(set(self._digests.values()))

    def enter(self, record: Outgoing, partition: int, offset: int) -> None:
        """Take in a record that Kafka has acknowledged; a partition's come in the order of their offsets."""
        reported = oracle.read(record.value, time_of(record.time_ms), self._tags)
        with self._lock:
            self._digests[partition, offset] = _digest(record.value)
            self.ends[partition] = offset + 1
            if reported.facts:
                reported.facts = [self._known.setdefault(fact, fact) for fact in reported.facts]
                lane = view.lane_of(reported.facts[0].tenant, self._lanes)
                self._reported[lane].append((partition, offset, reported))

    def below(self, lane: int, checkpoints: Sequence[int]) -> view.Cells:
        """What a lane with these checkpoints must hold."""
        with self._lock:
            entries = list(self._reported[lane])
        below = (reported for partition, offset, reported in entries if offset < checkpoints[partition])
        return view.flat(oracle.count_reported(below))

    def missing(self, stored: Sequence[Stored]) -> int:
        """How many acknowledged records the topic does not hold, or holds with another value."""
        found = {(record.partition, record.offset): _digest(record.value) for record in stored}
        return sum(found.get(where) != digest for where, digest in self._digests.items())


def _digest(value: bytes | None) -> bytes:
    return b"" if value is None else hashlib.blake2b(value, digest_size=8).digest()
