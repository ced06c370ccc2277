"""Whether a worker is ready, and why not: for `/readyz`, the gauge and the log."""

import time
from typing import Final

import structlog

from aggregator import metrics

log = structlog.get_logger(__name__)

REMINDER_S: Final = 60.0


class Readiness:
    """What a worker says of itself."""

    def __init__(self) -> None:
        self.why_not: str | None = "starting"
        """Why it is not ready; none where it counts, or has no partition to count."""
        self._said: tuple[str, float] = ("", 0.0)

    def ready(self, what: str, **more: object) -> None:
        """It is. what, more: for the log."""
        log.info(what, **more)
        self._said = ("", 0.0)
        self.why_not = None
        metrics.READY.set(1)

    def not_ready(self, why: str) -> None:
        """It is not, and need not say so: it is about to begin anew."""
        self.why_not = why
        metrics.READY.set(0)

    def postponed(self, why: str) -> None:
        """It is not, and can't be for now."""
        self.not_ready(why)
        self.remind(why)

    def remind(self, what: str, then: str = "counting waits") -> None:
        """Say something that lasts: at once, then once a minute."""
        now = time.monotonic()
        if what != self._said[0] or now - self._said[1] >= REMINDER_S:
            self._said = (what, now)
            log.warning(then, why=what)
