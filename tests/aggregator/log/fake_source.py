"""A log, a group and a client in memory: a `Source` that does at once what Kafka and Faust take seconds for.

`test_source` says that it does the same as the real one. What it can't do is be slow.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from aggregator.counting.reading import Record
from aggregator.errors import KafkaUnavailableError
from aggregator.log.packed_fetch import RecordBatch
from aggregator.log.source import Batch, LogRange, Subscriber

RECORDS_A_BATCH = 50


class FakeSource:
    """A topic with some partitions, which the only member of a group reads."""

    def __init__(self, partitions: int, *, in_flight_max: int = 10_000) -> None:
        """A new topic. in_flight_max: as `faust_transport.RECORDS_IN_FLIGHT`."""
        self.log: list[list[Record]] = [[] for _ in range(partitions)]
        self.starts = [0] * partitions
        self.ends = [0] * partitions
        self.hints: list[dict[int, int]] = []
        self.is_away = False
        """Whether questions to the broker are not answered."""
        self._in_flight_max = in_flight_max
        self._subscriber: Subscriber | None = None
        self._assigned: frozenset[int] = frozenset()
        self._epoch = 0
        self._in_flight = 0
        self._expect: dict[int, int] = {}
        self._at: dict[int, int] = {}
        """Where the client stands: beyond what is expected where a fetch was lost."""
        self._lose_fetch = self._lose_batch = False
        self._changed = asyncio.Event()
        self._delivered: asyncio.Queue[Batch] = asyncio.Queue()

    # The log and the group

    def append(self, partition: int, values: Sequence[bytes | None], time_ms: int) -> None:
        """Write records."""
        end = self.ends[partition]
        self.log[partition] += [Record(end + n, time_ms, None, value) for n, value in enumerate(values)]
        self.ends[partition] += len(values)
        self._changed.set()

    def delete_below(self, partition: int, offset: int) -> None:
        """As retention does."""
        self.log[partition] = [row for row in self.log[partition] if row.offset >= offset]
        self.starts[partition] = offset

    def compact_away(self, partition: int, offset: int) -> None:
        """A record is gone from the middle of the log."""
        self.log[partition] = [row for row in self.log[partition] if row.offset != offset]

    def add_partition(self) -> None:
        """The group takes it in: all is taken away and given back."""
        self.log.append([])
        self.starts.append(0)
        self.ends.append(0)
        self.assign(range(len(self.log)))

    def assign(self, partitions: Iterable[int]) -> None:
        """A rebalance, from beginning to end."""
        self.revoke()
        self._assigned = frozenset(partitions)
        self.drop()
        self._reported().resync_is_due("assigned")

    def revoke(self) -> None:
        """A rebalance begins."""
        self.drop()
        self._reported().forget()
        self._assigned = frozenset()

    def lose_fetch(self) -> None:
        """The next fetch is lost between the client and the driver."""
        self._lose_fetch = True

    def lose_batch(self) -> None:
        """The next batch is lost between the driver and the worker."""
        self._lose_batch = True

    # The promise

    @property
    def epoch(self) -> int:
        return self._epoch

    def assigned(self) -> frozenset[int]:
        return self._assigned

    def drop(self) -> None:
        self._expect.clear()
        self._epoch += 1
        self._in_flight = 0

    async def rewind(self, positions: Mapping[int, int]) -> None:
        epoch = self._epoch
        await self._asked()
        if epoch == self._epoch:
            self._expect, self._at = dict(positions), dict(positions)
            self._changed.set()

    async def log_ranges(self, partitions: Iterable[int]) -> dict[int, LogRange]:
        asked = list(partitions)
        await self._asked()
        return {number: LogRange(self.starts[number], self.ends[number]) for number in asked}

    async def commit_hint(self, positions: Mapping[int, int]) -> None:
        await self._asked()
        self.hints.append(dict(positions))

    def release(self, batch: Batch) -> None:
        if batch.epoch == self._epoch:
            self._in_flight -= len(batch)
            self._changed.set()

    # What runs

    async def run(self, subscriber: Subscriber) -> None:
        """Deliver to a subscriber, until it is cancelled."""
        self._subscriber = subscriber
        self.assign(range(len(self.log)))
        fetching = asyncio.ensure_future(self._fetch())
        try:
            while True:
                await subscriber.take(await self._delivered.get())
        finally:
            fetching.cancel()

    async def _fetch(self) -> None:
        while True:
            self._changed.clear()
            for number in list(self._expect):
                while self._in_flight <= self._in_flight_max and self._fetch_of(number):
                    pass
            await self._changed.wait()

    def _fetch_of(self, number: int) -> bool:
        """Returns: whether there may be more."""
        want = self._expect.get(number)
        if want is None:
            return False
        rows = [row for row in self.log[number] if row.offset >= self._at[number]][:RECORDS_A_BATCH]
        if not rows:
            return False
        if self._lose_fetch:
            self._lose_fetch = False
            self._at[number] = rows[-1].offset + 1
            return False  # nobody notices before the next fetch
        if self._at[number] > want:
            self._at[number] = want  # it begins too far on: fetch again
            return True
        if self.starts[number] > want:
            self._reported().resync_is_due("log", f"partition {number} has no records from {want}")
            return False
        end = rows[-1].offset + 1
        self._expect[number] = self._at[number] = end
        last_ms = max(row.timestamp for row in rows)
        packed = [RecordBatch(want, end, last_ms, rows, whole=True)]
        batch = Batch(number, packed, want, end, last_ms, self._epoch)
        self._in_flight += len(batch)
        if self._lose_batch:
            self._lose_batch = False
        else:
            self._delivered.put_nowait(batch)
        return True

    async def _asked(self) -> None:
        """A question goes to the broker and comes back."""
        await asyncio.sleep(0)
        if self.is_away:
            raise KafkaUnavailableError("the broker is out of reach")

    def _reported(self) -> Subscriber:
        assert self._subscriber is not None
        return self._subscriber
