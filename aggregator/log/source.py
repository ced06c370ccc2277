"""Where a worker reads: the promise that stands between it and Kafka.

`faust_transport` keeps it with Faust, a fake keeps it in memory, and one suite says that they do the same.
A worker knows nothing of Kafka's client but this. All of it belongs to one event loop; only `Source.epoch`
may be read in any thread.

What a worker relies on:
- Batches of a partition come one after the other in the order of offsets, each under the epoch that it was
  fetched in. `drop` begins a new epoch: nothing of it comes before `rewind`. What was on its way still comes,
  under its old epoch.
- From the offset that `rewind` names nothing is left out in silence: what a fetch lost is fetched again, and
  where records are gone from the log, `Subscriber.resync_is_due` is called. Only a batch that was made can be
  lost, with all that follows: then a later one begins after another offset than where the worker stands.
- No more is fetched while much was delivered and not released.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from aggregator import metrics
from aggregator.counting.reading import KafkaRecord
from aggregator.log.packed_fetch import RecordBatch, unpacked


@dataclass(frozen=True, slots=True)
class Batch:
    """Some of what one fetch brought of one partition.

    packed: in the order of offsets, to be unpacked once. after: where the source stood before.
    next: the offset after it. last_ms: the latest time of a record, in ms since 1970.
    epoch: the one that it was fetched under.
    """

    partition: int
    packed: list[RecordBatch]
    after: int
    next: int
    last_ms: int
    epoch: int

    def __len__(self) -> int:
        """How many offsets it holds."""
        return self.next - self.after

    def records(self) -> Iterator[KafkaRecord]:
        """Its records, in order, unpacked as they are read. Asked for once."""
        return unpacked(self.packed)


class LogRange(NamedTuple):
    """What the log of a partition holds: offsets [start, end)."""

    start: int
    end: int


class Subscriber(Protocol):
    """Whom a source delivers to: the worker."""

    def resync_is_due(self, why: metrics.Why, detail: str = "") -> None:
        """Something was lost, or the assignment is a new one: begin at the checkpoints. Does not block."""

    def forget(self) -> None:
        """Partitions are taken away: drop what is in flight. Does not block."""

    async def take(self, batch: Batch) -> None:
        """Count a batch; returns when the next one may come."""


class Source(Protocol):
    """The partitions that a consumer group has assigned to this worker, and what they hold."""

    @property
    def epoch(self) -> int:
        """What batches are fetched under now; another number with each `drop`."""

    def assigned(self) -> frozenset[int]:
        """The partitions that are this worker's."""

    def drop(self) -> None:
        """Deliver nothing until the next `rewind`. Does not block."""

    async def rewind(self, positions: Mapping[int, int]) -> None:
        """Deliver from these offsets on, unless a `drop` comes in between.

        positions: of every assigned partition. Raises: KafkaUnavailableError.
        """

    async def log_ranges(self, partitions: Iterable[int]) -> dict[int, LogRange]:
        """What each partition's log holds, asked at the broker. Raises: KafkaUnavailableError."""

    async def commit_hint(self, positions: Mapping[int, int]) -> None:
        """Tell Kafka how far we are, for tools that show lag. Nothing of ours reads it to begin.

        Raises: KafkaUnavailableError.
        """

    def release(self, batch: Batch) -> None:
        """A batch that was delivered is done with, whatever became of it. Does not block."""
