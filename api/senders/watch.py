"""The health of the largest tenants as metrics, worked out beside the requests (`HEALTH_METRICS=true`).

A scrape takes what was worked out last. It names tenants, so it is shown on `METRICS_PORT` alone.
"""

import asyncio
import time
from collections.abc import Callable
from heapq import nlargest
from typing import Final

import structlog

from api.counters.reader import CounterReader
from api.errors import ApiError
from api.metrics import TenantMetrics
from api.sender_health import Status
from api.senders.survey import Sender, last_days, senders

log = structlog.get_logger(__name__)

DAYS: Final = 7
LARGEST: Final = 1_000
"""Tenants with series of their own, those that sent most."""

EVERY_S: Final = 300.0
"""From the end of a survey to the next one."""

SHARE: Final = 0.05
"""Of its time, that a survey works: requests have the rest."""

VALUES: Final[dict[Status, int]] = {"healthy": 0, "warning": 1, "critical": 2}


class Watch:
    """Surveys all tenants again and again, and shows the largest."""

    def __init__(
        self,
        reader: CounterReader,
        metrics: TenantMetrics,
        clock: Callable[[], int],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """clock: the time, in milliseconds since 1970. clock_s: seconds that never go back."""
        self._reader = reader
        self._metrics = metrics
        self._clock = clock
        self._clock_s = clock_s

    async def run(self) -> None:
        """Go on until cancelled. What cannot be read now stays as it was seen last."""
        while True:
            try:
                await self.survey()
            except ApiError as error:
                log.warning("the health of the tenants cannot be read", reason=error.detail)
            except Exception:
                log.exception("the health of the tenants cannot be worked out")  # and is tried again
            await asyncio.sleep(EVERY_S)

    async def survey(self) -> None:
        """Once, at its pace. Raises: ApiError UNAVAILABLE; then nothing new is shown."""
        now_ms = self._clock()
        largest: list[Sender] = []
        since = self._clock_s()
        async for some in senders(self._reader, last_days(now_ms, DAYS)):
            judged = [each for each in some if each.status in VALUES]
            largest = nlargest(LARGEST, largest + judged, key=lambda each: each.sent)
            await asyncio.sleep((self._clock_s() - since) * (1 / SHARE - 1))
            since = self._clock_s()
        self._show(largest)
        self._metrics.seen.set(now_ms / 1000)

    def _show(self, largest: list[Sender]) -> None:
        self._metrics.health.clear()
        self._metrics.rate.clear()
        for each in largest:
            for what, watched in (("bounce", each.health["bounce"]), ("complaint", each.health["complaint"])):
                if watched["rate"] is not None:
                    self._metrics.health.labels(each.tenant, what).set(VALUES[watched["status"]])
                    self._metrics.rate.labels(each.tenant, what).set(watched["rate"])
