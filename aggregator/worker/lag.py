"""How far behind the partitions of this worker are, also while it does not count them.

Law: a worker tells of the partitions that Kafka has given to it and of no others: so a partition is never
reported by two, and one that is handed on leaves no number behind. The age of complete-through is worked out
when it is asked for: it grows while the worker waits, for whatever reason, and does not stand.
What no worker has is reported by the API, from the lanes (`api.http.lookout`).
"""

from collections.abc import Callable, Iterable
from functools import partial

from aggregator import metrics


class Lags:
    """The lag gauges of one worker."""

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        """Begin without partitions.

        clock_ms: now, in ms since 1970.
        """
        self._clock_ms = clock_ms
        self._complete: dict[int, int] = {}

    def hold(self, partitions: Iterable[int]) -> None:
        """These, and no others, are this worker's.

        One that is new is taken for complete up to now: its lag tells how long this worker has had it, until
        more is known.
        """
        held = set(partitions)
        for gone in self._complete.keys() - held:
            del self._complete[gone]
            for gauge in (metrics.LAG_RECORDS, metrics.LAG_SECONDS):
                gauge.remove(gone)
        for new in held - self._complete.keys():
            self._complete[new] = self._clock_ms()
            metrics.LAG_SECONDS.labels(new).set_function(partial(self._age_s, new))

    def unread(self, partition: int, records: int) -> None:
        """So many records of a partition that it holds are in the topic and not read."""
        metrics.LAG_RECORDS.labels(partition).set(records)

    def complete(self, partition: int, through_ms: int) -> None:
        """A partition that it holds is complete up to this time, in ms since 1970."""
        self._complete[partition] = through_ms

    def _age_s(self, partition: int) -> float:
        return max(0, self._clock_ms() - self._complete[partition]) / 1000
