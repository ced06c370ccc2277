"""Reads the history of the events topic: the archive where `ARCHIVE_URL` names one, then the topic.

Law: for each partition every offset from the start to the stop, in order and once, or an error that names
what is missing. What the archive has is read first; where the topic begins is asked again then, as it may
have been trimmed meanwhile, below what the archive holds by then.

pyarrow is imported where rows are: who reads the topic alone starts without it.
"""

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import structlog

from aggregator.archive.coverage import File, topic_id_of
from aggregator.archive.restore import SlimLaw
from aggregator.archive.slim import Reducer
from aggregator.config import AggregatorSettings
from aggregator.counting.decode import Decoder
from aggregator.counting.reading import Reading, read_all
from aggregator.counting.rules import NO_ERASURES, Erasures
from aggregator.errors import OtherLogError
from aggregator.history.spans import begins, missing, turn
from aggregator.log.bulk_reader import BulkReader
from schemas.archive import ALWAYS_DROPPED

if TYPE_CHECKING:
    from aggregator.history.files import Files

log = structlog.get_logger(__name__)

SIDE_BY_SIDE: Final = 4
"""Partitions whose files are read in turn where facts are counted, so that what happened at one time is
counted together. In memory is a row group of each."""


class Part(NamedTuple):
    """What a part of a partition says. next: the offset after it."""

    partition: int
    next: int
    reading: Reading


class History:
    """The history of one topic. To be closed, or used in `with`; by one thread at a time."""

    def __init__(self, settings: AggregatorSettings, topic_id: str, erasures: Erasures = NO_ERASURES) -> None:
        """Prepare; connections are made with the first query.

        settings: where Kafka and the archive are, and the rules to read by. topic_id: of the topic, as
        librdkafka writes it. erasures: all that there are, for `readings`; `slim` gives what was written.
        Raises: OtherArchiveError where ARCHIVE_URL is no URL of a store.
        """
        self._rules = settings.rules
        self._erasures = erasures
        self._topic_id = topic_id
        self._files = _files_of(settings, topic_id)
        self._is_told = False
        self.bulk: Final = BulkReader(settings)
        """Of the topic."""
        self.without_dead_letter = 0
        """How many rows `readings` gave that are refused and of which no dead letter is known."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bulk.close()

    # Which offsets there are

    def ranges(self, partitions: int) -> dict[int, tuple[int, int]]:
        """The first offset from which on nothing is missing, and the end of each partition.

        What the archive lacks is logged. partitions: how many the topic has.
        Raises: KafkaUnavailableError, ArchiveUnavailableError, OtherArchiveError.
        """
        found = self.bulk.ranges(partitions)
        self._look()
        if self._files is not None and not self._is_told:
            self._is_told = True
            self._files.validate()
            self._tell({number: first for number, (first, _) in found.items()})
        return {number: (begins(self._of(number), first), end) for number, (first, end) in found.items()}

    def archived(self, ranges: Mapping[int, tuple[int, int]]) -> dict[int, int]:
        """Up to where the archive has what is asked for: `ranges` of partitions, as it was seen last."""
        return {number: turn(self._of(number), first, first, end) for number, (first, end) in ranges.items()}

    def offsets_since(self, partitions: int, since_ms: int) -> dict[int, int]:
        """For each partition, an offset of which no earlier record is of `since_ms` or later.

        In the topic the first such one, in the archive that of a row group. Raises: as `ranges`.
        """
        found = self.bulk.offsets_since(partitions, since_ms)
        ranges = self.ranges(partitions)
        if self._files is not None:
            for number, upto in self.archived(ranges).items():
                offset = self._files.since(number, ranges[number][0], upto, since_ms)
                if offset is not None:
                    found[number] = offset
        return found

    def _tell(self, topic_firsts: Mapping[int, int]) -> None:
        """Log what the archive lacks, or has for nothing."""
        if self._files is None:
            return
        if self._files.others:
            log.warning(
                "the archive has files of other topics, which are not read",
                topic_ids=sorted(self._files.others),
            )
        if not self._files.by_partition:
            log.warning("the archive has no file of this topic", topic_id=topic_id_of(self._topic_id))
        for number, topic_first in topic_firsts.items():
            for first, next_ in missing(self._of(number), topic_first):
                log.warning(
                    "the archive has a hole, and the topic does not fill it: what lies before is not read",
                    partition=number,
                    first=first,
                    next=next_,
                )

    def _look(self) -> None:
        if self._files is not None:
            self._files.look()

    def _of(self, number: int) -> Collection[File]:
        """The files of a partition, as they were seen last."""
        return () if self._files is None else self._files.by_partition.get(number, ())

    # What they hold

    def slim(self, start: Mapping[int, int], stop: Mapping[int, int]) -> Iterator[tuple[int, Any]]:
        """All records from `start` up to `stop` (not included) of each partition, as rows of the archive.

        Returns: partition and a record batch of the columns of `schemas.archive`, not empty.
        Raises: OtherLogError where some are missing, and as `ranges`.
        """
        from aggregator.archive.columns import columns_of  # noqa: PLC0415  # see above

        position = dict(start)
        yield from self._rows(position, stop, None, side_by_side=1)
        reduce = Reducer(self._rules.recipient_key, ALWAYS_DROPPED - frozenset(self._rules.tags)).reduce
        topic_id = topic_id_of(self._topic_id)
        for number, records in self.bulk.until(position, stop):
            if records:
                yield number, columns_of(topic_id, number, list(map(reduce, records)))

    def readings(
        self,
        lanes: int,
        start: Mapping[int, int],
        stop: Mapping[int, int],
        dead_lettered: Mapping[int, int],
    ) -> Iterator[Part]:
        """What all records from `start` up to `stop` (not included) of each partition say.

        lanes: how many the generation has. dead_lettered: for each partition, the offset below which dead
        letters are written already; from there on the topic is read wherever it has the records.
        Raises: as `slim`.
        """
        position = dict(start)
        if self._files is not None:
            from aggregator.history.plain import PlainLaw  # noqa: PLC0415  # see above
            from aggregator.history.readings import readings_of  # noqa: PLC0415  # see above

            law = PlainLaw(SlimLaw(self._rules, self._erasures))
            for number, batch in self._rows(position, stop, dead_lettered, SIDE_BY_SIDE):
                for reading, refused in readings_of(law, lanes, batch):
                    self.without_dead_letter += sum(at >= dead_lettered[number] for at in refused)
                    yield Part(number, reading.end or 0, reading)
        decoder = Decoder(self._rules, self._erasures)
        for number, records in self.bulk.until(position, stop):
            for reading in read_all(decoder, lanes, iter(records)) if records else ():
                next_ = records[-1].offset + 1 if reading.end is None else reading.end
                yield Part(number, next_, reading)

    def _rows(
        self,
        position: dict[int, int],
        stop: Mapping[int, int],
        topic_from: Mapping[int, int] | None,
        side_by_side: int,
    ) -> Iterator[tuple[int, Any]]:
        """The rows of the archive's part.

        position: where each partition begins; is moved to where the topic goes on. side_by_side: partitions
        that are read in turn.
        """
        while turns := self._turns(position, stop, topic_from):
            files = self._files
            assert files is not None, "without files there is no turn"
            yield from _in_turn(
                {number: files.rows(number, position[number], next_) for number, next_ in turns.items()},
                side_by_side,
            )
            position.update(turns)

    def _turns(
        self, position: Mapping[int, int], stop: Mapping[int, int], topic_from: Mapping[int, int] | None
    ) -> dict[int, int]:
        """Up to where the archive is read now, of partitions of which it is read.

        Raises: OtherLogError where records are missing, and as `ranges`.
        """
        self._look()
        ranges = self.bulk.ranges(max(position, default=-1) + 1)
        found = {}
        for number, at in position.items():
            topic_first = ranges[number][0]
            prefer = None if topic_from is None else topic_from[number]
            upto = turn(self._of(number), topic_first, at, stop[number], prefer)
            if upto < min(topic_first, stop[number]):
                raise OtherLogError(
                    f"partition {number}: the topic begins at {topic_first}, and"
                    f" {'no archive' if self._files is None else 'the archive'} has offset {upto} no more"
                )
            if upto > at:
                found[number] = upto
        return found


def _files_of(settings: AggregatorSettings, topic_id: str) -> "Files | None":
    if not settings.archive_url:
        return None
    from aggregator.history.files import Files  # noqa: PLC0415  # see above

    return Files(settings.archive_url, topic_id, settings.rules)


def _in_turn(rows: Mapping[int, Iterator[Any]], side_by_side: int) -> Iterator[tuple[int, Any]]:
    """The rows of some partitions, a record batch of each in turn; of no more than so many at a time."""
    waiting = iter(rows.items())
    active = deque(islice(waiting, side_by_side))
    while active:
        number, batches = active.popleft()
        batch = next(batches, None)
        if batch is None:
            active.extend(islice(waiting, 1))
        else:
            active.append((number, batches))
            yield number, batch
