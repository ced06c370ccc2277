"""Whether a worker is ready, and why not: for `/readyz`, the gauge and the log."""

import structlog

from aggregator import metrics
from aggregator.reminder import Reminder

log = structlog.get_logger(__name__)


class Readiness:
    """What a worker says of itself."""

    def __init__(self) -> None:
        self.why_not: str | None = "starting"
        """Why it is not ready; none where it counts, or has no partition to count."""
        self._reminder = Reminder()

    def ready(self, what: str, **more: object) -> None:
        """It is. what, more: for the log."""
        log.info(what, **more)
        self._reminder.over()
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
        if self._reminder.is_due(what):
            log.warning(then, why=what)
