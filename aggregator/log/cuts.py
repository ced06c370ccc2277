"""Where the log has lost records, and when the first of those that are left was written."""

from collections.abc import Mapping

from aggregator.counting.coverage import Coverage, Cut
from aggregator.log.bulk_reader import BulkReader
from schemas.topics import SNS_MESSAGE_ID


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
    """The time of the first record that ingest wrote, known by the header that only ingest writes."""
    for _, rows in bulk.until({number: begins}, {number: end}):
        for row in rows:
            if any(name == SNS_MESSAGE_ID for name, _ in getattr(row, "headers", ())):
                return row.timestamp
    return None
