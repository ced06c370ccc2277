"""Counting the end of the topic into a generation, up to where live counting stands.

The same reading, folding, script and checkpoints as the bulk before it (`aggregator.bulk`).
"""

import time
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

from aggregator.config import AggregatorSettings
from aggregator.counters.sink import Sink
from aggregator.counters.store import Store
from aggregator.counters.throttle import THROTTLED, Caller
from aggregator.counting.decode import Decoder
from aggregator.counting.reading import DeadLetter, Pending, read_all
from aggregator.erasure.take_in import Eraser
from aggregator.errors import ErasedError, KafkaUnavailableError
from aggregator.log.bulk_reader import BATCH, SILENCE_S, BulkReader
from aggregator.log.dead_letters import DeadLetterWriter
from aggregator.rebuild.regrouping import LaneGroups, Regrouping, Step
from schemas.counters import Generation


class Tail:
    """The end of the topic, counted into a generation exactly as far as is asked, by lane of the live one.

    What is read and not asked for yet is held in memory; it is as much as comes in while it is used.
    Partitions may be added to the topic meanwhile: they are taken in as soon as a live checkpoint tells of
    them.
    """

    def __init__(
        self,
        settings: AggregatorSettings,
        generation: Generation,
        live_lanes: int,
        dead_lettered: Mapping[int, int],
    ) -> None:
        """Begin at the generation's checkpoints.

        generation: to count into. live_lanes: how many the one has whose checkpoints are followed; any number
        where none is. dead_lettered: for each partition, the offset below which dead letters are written
        already.
        Raises: PostponedError of any kind.
        """
        self._store = Store(settings)
        self._store.open()
        self._eraser = Eraser(settings, self._store)
        self.erasures, checkpoints = self._eraser.checkpoints(generation)
        """By which is counted."""
        self._decoder = Decoder(settings.rules, self.erasures)
        self.groups: Final = LaneGroups(live_lanes, generation.lanes)
        self._regrouping = Regrouping(self.groups, checkpoints, dead_lettered)
        self._thread = ThreadPoolExecutor(1)
        caller = Caller(self._store, generation, THROTTLED, erasures=self.erasures)
        self._sink = Sink(self._thread, caller, DeadLetterWriter(settings))
        self._dead_lettered = dict(dead_lettered)
        self._refused: defaultdict[int, list[DeadLetter]] = defaultdict(list)
        self._bulk = BulkReader(settings)
        self._bulk.assign(self._regrouping.first_unread())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bulk.close()
        self._thread.shutdown()
        self._store.close()
        self._eraser.close()

    def check_erasures(self) -> None:
        """Return where no tenant was erased since this began.

        Raises: ErasedError; KafkaUnavailableError.
        """
        if self._eraser.read().end != self.erasures.end:
            raise ErasedError("a tenant was erased meanwhile: run the rebuild again, it goes on from there")

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
                self._regrouping.add_partition(number)
            self._bulk.assign(self._bulk.positions | dict.fromkeys(new, 0))

    def read(self, most: int = BATCH) -> None:
        """Take in what has come. most: as in `BulkReader.poll`."""
        for number, rows in self._bulk.poll(most).items():
            for reading in read_all(self._decoder, self.groups.finest, iter(rows)):
                dead_lettered = self._dead_lettered[number]
                self._refused[number] += [
                    each for each in reading.dead_letters if each.offset >= dead_lettered
                ]
                self._regrouping.add(number, reading.by_lane)

    def reached(self, live_lane: int) -> dict[int, int]:
        """By partition, up to where all new lanes that share tenants with a live lane are counted at most."""
        return self._regrouping.reached(live_lane)

    def count_all(self) -> None:
        """Count all that is read, in every lane, once its dead letters are written."""
        refused = Pending()
        refused.dead_letters, self._refused = self._refused, refused.dead_letters
        self._sink.count(refused).result()
        read = dict(self._bulk.positions)
        self.count_to(dict.fromkeys(range(self.groups.live), read))

    def count_to(self, offsets: Mapping[int, Mapping[int, int]]) -> None:
        """Count the tenants of live lanes up to offsets that are read already; what is passed stays passed.

        offsets: by live lane and partition: checkpoints of live counting, which wrote the dead letters before
        it passed them.
        Raises: StoreUnavailableError, GoneError, RolledBackError.
        """
        for ends in offsets.values():
            self._are_dead_lettered(ends)
        self._count(self._regrouping.count_to(offsets))

    def count_again(self, live_lane: int) -> None:
        """Count once more what is counted of a live lane above the new lanes' checkpoints.

        Redis may have gone back and lost it, and no checkpoint shows that. Raises: as `count_to`.
        """
        self._count(self._regrouping.count_again(live_lane))

    def _count(self, step: Step) -> None:
        pending = Pending()
        pending.backlog = step.backlog
        self._sink.count(pending).result()
        self._sink.move(step.moves).result()

    def _are_dead_lettered(self, offsets: Mapping[int, int]) -> None:
        """Forget the dead letters below these offsets: they are written."""
        for number, end in offsets.items():
            if end > self._dead_lettered[number]:
                self._dead_lettered[number] = end
                self._refused[number] = [each for each in self._refused[number] if each.offset >= end]

    def carry(self, through_ms: Mapping[int, Mapping[int, int]]) -> None:
        """Take over up to when partitions are complete. Arguments: as `Regrouping.carry`.

        Raises: as `count_to`.
        """
        self._sink.move(self._regrouping.carry(through_ms)).result()
