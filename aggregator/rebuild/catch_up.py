"""Counting the end of the topic into a generation, up to where live counting stands.

The same reading, folding, script and checkpoints as the bulk before it (`bulk_count`).
"""

import time
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from aggregator.config import AggregatorSettings
from aggregator.counters.sink import Sink
from aggregator.counters.store import Store
from aggregator.counters.throttle import THROTTLED, Caller
from aggregator.counting.checkpoints import Events, Move, Span
from aggregator.counting.decode import Decoder
from aggregator.counting.pending import Pending
from aggregator.counting.reading import DeadLetter, read_all
from aggregator.errors import KafkaUnavailableError
from aggregator.log.bulk_reader import BATCH, SILENCE_S, BulkReader
from aggregator.log.dead_letters import DeadLetterWriter
from schemas.counters import Generation


class Tail:
    """The end of the topic, counted into a generation lane by lane and exactly as far as is asked.

    What is read and not asked for yet is held in memory; it is as much as comes in while it is used.
    Partitions may be added to the topic meanwhile: they are taken in as soon as a live checkpoint tells of
    them.
    """

    def __init__(
        self, settings: AggregatorSettings, generation: Generation, dead_lettered: Mapping[int, int]
    ) -> None:
        """Begin at the generation's checkpoints.

        dead_lettered: for each partition, the offset below which dead letters are written already.
        Raises: PostponedError of any kind.
        """
        self._generation = generation
        self._decoder = Decoder(settings.rules)
        self._store = Store(settings)
        self._store.open()
        stored = self._store.checkpoints(generation)
        self.checkpoints = [{number: lane.get(number, 0) for number in dead_lettered} for lane in stored]
        self._pending: defaultdict[tuple[int, int], Events] = defaultdict(list)
        self._thread = ThreadPoolExecutor(1)
        self._sink = Sink(
            self._thread, Caller(self._store, generation, THROTTLED), DeadLetterWriter(settings)
        )
        self._dead_lettered = dict(dead_lettered)
        self._refused: defaultdict[int, list[DeadLetter]] = defaultdict(list)
        self._bulk = BulkReader(settings)
        self._bulk.assign(
            {number: min(lane[number] for lane in self.checkpoints) for number in dead_lettered}
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bulk.close()
        self._thread.shutdown()
        self._store.close()

    def read_to(self, offsets: Mapping[int, int]) -> None:
        """Read on until every partition is read up to an offset that its log has.

        offsets: checkpoints of live counting, which wrote the dead letters before it passed them.
        Raises: KafkaUnavailableError where nothing has come for a minute.
        """
        self._take_in(offsets)
        self._are_dead_lettered(offsets)
        missing, heard = None, time.monotonic()
        while left := sum(max(0, at - self._bulk.positions[number]) for number, at in offsets.items()):
            if left != missing:
                missing, heard = left, time.monotonic()
            elif time.monotonic() - heard > SILENCE_S:
                raise KafkaUnavailableError(f"no record for {SILENCE_S:.0f} s, {left} are unread")
            self.read(min(left, BATCH))

    def _take_in(self, offsets: Mapping[int, int]) -> None:
        """Read partitions too that are new to this generation, from where its lanes stand: the beginning."""
        new = [number for number in offsets if number not in self._bulk.positions]
        if new:
            for number in new:
                self._dead_lettered[number] = 0
                for lane in self.checkpoints:
                    lane[number] = 0
            self._bulk.assign(self._bulk.positions | dict.fromkeys(new, 0))

    def read(self, most: int = BATCH) -> None:
        """Take in what has come. most: as in `BulkReader.poll`."""
        for number, rows in self._bulk.poll(most).items():
            for reading in read_all(self._decoder, self._generation.lanes, iter(rows)):
                dead_lettered = self._dead_lettered[number]
                self._refused[number] += [
                    each for each in reading.dead_letters if each.offset >= dead_lettered
                ]
                for lane, events in reading.by_lane.items():
                    checkpoint = self.checkpoints[lane][number]
                    self._pending[lane, number].extend(each for each in events if each[0] >= checkpoint)

    def count_all(self) -> None:
        """Count all that is read, in every lane, once its dead letters are written."""
        refused = Pending()
        refused.dead_letters, self._refused = self._refused, refused.dead_letters
        self._sink.count(refused).result()
        for lane in range(self._generation.lanes):
            self.count_to(lane, dict(self._bulk.positions))

    def count_to(self, lane: int, offsets: Mapping[int, int]) -> None:
        """Count a lane up to these offsets, which are read already; one that is passed stays passed.

        offsets: checkpoints of live counting, which wrote the dead letters before it passed them.
        Raises: StoreUnavailableError, GoneError, RolledBackError.
        """
        self._are_dead_lettered(offsets)
        for number, end in offsets.items():
            checkpoint = self.checkpoints[lane][number]
            if end <= checkpoint:
                continue
            pending = self._pending[lane, number]
            events = [each for each in pending if each[0] < end]
            del pending[: len(events)]
            if events:
                counted = Pending()
                counted.backlog.add(lane, Span(number, checkpoint, end, events))
                self._sink.count(counted).result()
            self._sink.move({lane: [Move(number, end if events else checkpoint, end)]}).result()
            self.checkpoints[lane][number] = end

    def _are_dead_lettered(self, offsets: Mapping[int, int]) -> None:
        """Forget the dead letters below these offsets: they are written."""
        for number, end in offsets.items():
            if end > self._dead_lettered[number]:
                self._dead_lettered[number] = end
                self._refused[number] = [each for each in self._refused[number] if each.offset >= end]

    def carry(self, lane: int, through_ms: Mapping[int, int]) -> None:
        """Take over up to when partitions are complete, by partition.

        It must have stood beside a checkpoint that this lane has reached: then all that was complete there
        is counted here. Raises: as `count_to`.
        """
        checkpoints = self.checkpoints[lane]
        moves = [
            Move(number, checkpoints[number], checkpoints[number], ms) for number, ms in through_ms.items()
        ]
        self._sink.move({lane: moves}).result()
