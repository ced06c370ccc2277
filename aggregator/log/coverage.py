"""What a log that has lost its beginning can still speak for.

A fact counts at the earliest time told of it, and any event of its mail may tell it. Where records are gone,
the log knows the number of a cell only if no gone record can have told a fact of a mail that counts there:
1. A record is written after those before it in its partition, and has the time at which it was written or an
   older one (a redrive and an import keep the old time). So no gone record has a time later than that at
   which the first record left was written. When that was, a record says that ingest wrote: ingest stamps its
   own clock, and is known by a header that no redrive and no import writes. Clocks may disagree by
   `CLOCKS_MS`, which is also what Kafka lets a record be ahead of its own clock
   (`message.timestamp.after.max.ms`, since 4.0).
2. No fact is later than `FUTURE_MS` after its record's time, and no mail is sent later than its facts. So
   of mails that were sent after that day the gone records told nothing, and the log tells all.
3. A mail of that day or before counts at most the kind's horizon later. What is later still counts for mails
   of which the log tells all: these cells it can speak for.

That an id is known is known of an id for which something is left, and of no other.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from aggregator.counting.cells import Cell
from aggregator.counting.timestamps import iso
from aggregator.log.bulk_reader import BulkReader
from schemas.instants import DAY_MS, HOUR_MS
from schemas.kinds import FUTURE_MS, KINDS
from schemas.topics import SNS_MESSAGE_ID

CLOCKS_MS: Final = HOUR_MS
"""How far two clocks may be apart, the wait of a record on its way into Kafka included."""


class Cut(NamedTuple):
    """Where a partition has lost records that counters hold, or are compared with.

    counted_from: the offset from which these were counted. begins: the first that is left. written_ms: when
    that was written, at the latest, in ms since 1970.
    """

    partition: int
    counted_from: int
    begins: int
    written_ms: int

    def spelled(self) -> dict[str, int | str]:
        """By name, as people and scripts read it: the time in ISO 8601."""
        return {
            "partition": self.partition,
            "counted_from": self.counted_from,
            "begins": self.begins,
            "written": iso(self.written_ms),
        }


class Coverage:
    """Which cells the log can speak for."""

    def __init__(self, cuts: Iterable[Cut] = ()) -> None:
        """cuts: of all partitions that have lost records; without any the log speaks for every cell."""
        self.cuts: Final = tuple(cuts)
        latest = max((cut.written_ms for cut in self.cuts), default=0)
        day = (latest + CLOCKS_MS + FUTURE_MS) // DAY_MS + 1
        self._from_ms = {
            kind.field: day * DAY_MS + (0 if kind.body is None else kind.horizon.late_ms) for kind in KINDS
        }

    def speaks_for(self, cell: Cell, *, told: bool) -> bool:
        """Whether the log's number of a cell is the right one. told: whether the log has any there."""
        if not self.cuts:
            return True
        return told if cell.at is None else cell.at >= self._from_ms[cell.field]

    @property
    def first_ms(self) -> int | None:
        """From when on it speaks for cells of some kind, in ms since 1970; none where for all."""
        return min(self._from_ms.values()) if self.cuts else None

    def spans(self) -> list[tuple[str, list[str]]]:
        """From when on it speaks for which fields, times in ISO 8601, the first one first."""
        found: dict[int, list[str]] = {}
        for field, from_ms in self._from_ms.items() if self.cuts else ():
            found.setdefault(from_ms, []).append(field)
        return [(iso(from_ms), fields) for from_ms, fields in sorted(found.items())]


def coverage_of(
    bulk: BulkReader,
    ranges: Mapping[int, tuple[int, int]],
    counted_from: Mapping[int, int],
    now_ms: int,
) -> Coverage:
    """What the log can speak for, of counters that were counted from some offsets on.

    Of a partition that has lost records, it is read up to the first that ingest wrote: nearly always the
    first there is. Where there is none, all that is known is that the others are gone by now.

    bulk: for its own use meanwhile. ranges: by partition, the first offset that counts and the log's end.
    counted_from: the offset that each partition of the counters begins at; 0 where there is none.
    Raises: KafkaUnavailableError, also where the log loses more meanwhile.
    """
    cuts = []
    for number, (begins, end) in sorted(ranges.items()):
        since = counted_from.get(number, 0)
        if begins > since:
            written_ms = _first_written_ms(bulk, number, begins, end)
            cuts.append(Cut(number, since, begins, now_ms if written_ms is None else written_ms))
    return Coverage(cuts)


def _first_written_ms(bulk: BulkReader, number: int, begins: int, end: int) -> int | None:
    """The time of the first record that ingest wrote, known by the header that only ingest writes.

    An archive says of no record who wrote it. Where it has what follows `begins`, the topic's first tells.
    """
    left = max(begins, bulk.ranges(number + 1)[number][0])
    for _, rows in bulk.until({number: left}, {number: end}):
        for row in rows:
            if any(name == SNS_MESSAGE_ID for name, _ in getattr(row, "headers", ())):
                return row.timestamp
    return None
