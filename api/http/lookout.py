"""Looks at what the reads would see, whether anybody reads or not, and reports it.

A counter of refused requests says nothing while nobody asks, and a worker says nothing of a partition that no
worker has. So whoever scrapes the API has it look: at the keys, and in every lane of the live generation at
up to when each partition is counted. That is one round trip, and none where the last look is recent.
What was seen stands until something else is seen: a time that nobody can read any more grows older.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from api.counters.lanes import partitions_of_all
from api.counters.reader import CounterReader
from api.errors import ApiError
from api.keys.source import KeySource
from api.metrics import ApiMetrics

FRESH_S: Final = 5.0
"""How long what was seen is believed: many scrapers cost no more than one."""

WITHIN_S: Final = 5.0
"""What was not seen by then is not ready; Prometheus waits 10 s for a scrape."""


class Lookout:
    """Looks on behalf of `/metrics`."""

    def __init__(
        self,
        reader: CounterReader,
        keys: KeySource,
        metrics: ApiMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare.

        clock: seconds that never go back.
        """
        self._reader = reader
        self._keys = keys
        self._metrics = metrics
        self._clock = clock
        self._looking = asyncio.Lock()
        self._looked: float | None = None

    async def look(self) -> None:
        """Look, unless that was done just now. Raises nothing: what cannot be read is not ready."""
        async with self._looking:
            if self._looked is not None and self._clock() - self._looked < FRESH_S:
                return
            try:
                async with asyncio.timeout(WITHIN_S):
                    partitions = await partitions_of_all(self._reader)
            except (ApiError, TimeoutError):
                self._metrics.ready.set(0)
            else:
                self._metrics.ready.set(self._keys.loaded)
                self._show(partitions)
            self._looked = self._clock()

    def _show(self, partitions: dict[int, int | None]) -> None:
        gauge = self._metrics.complete_through
        gauge.clear()  # another generation may know fewer
        for partition, through_ms in partitions.items():
            gauge.labels(partition).set((through_ms or 0) / 1000)
