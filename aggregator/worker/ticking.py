"""What happens each second: silent lanes are moved along, and what is complete is reported.

Lanes without events are moved along, so that silence cannot hide a rollback. A tick also finds what no batch
shows: a log that became shorter, a partition that stands still. It stores up to when a partition is complete
and tells Kafka how far we are.
"""

from collections.abc import Callable

import structlog

from aggregator.errors import KafkaUnavailableError, NoVerdictError
from aggregator.log.source import Source, Subscriber
from aggregator.worker.assignment import Assignment
from aggregator.worker.complete import Probe
from aggregator.worker.lag import Lags
from aggregator.worker.readiness import Readiness
from aggregator.worker.vouching import Vouching

log = structlog.get_logger(__name__)


class Ticks:
    """The ticks of one worker."""

    def __init__(
        self,
        *,
        worker: Subscriber,
        vouching: Vouching,
        lags: Lags,
        readiness: Readiness,
        clock_ms: Callable[[], int],
    ) -> None:
        """Prepare.

        worker: hears where a resync is due. vouching, lags, readiness: of that worker.
        clock_ms: now, in ms since 1970.
        """
        self._worker = worker
        self._vouching = vouching
        self._lags = lags
        self._readiness = readiness
        self._clock_ms = clock_ms
        self._number = 0

    async def tick(self, source: Source, assignment: Assignment) -> None:
        """Do what a second asks for. Raises: PostponedError of any kind where counting has to begin anew."""
        self._number += 1
        asked_ms = self._clock_ms()
        ranges = await source.log_ranges(assignment.partitions)
        if assignment.is_over:
            return
        for number, (_, end) in ranges.items():
            position = assignment.partitions[number].position
            if end < position:
                self._worker.resync_is_due("log", f"partition {number} ends at {end}, below {position}")
                return
            if assignment.is_stalled(number, end):
                self._worker.resync_is_due("stalled", f"partition {number} stands at {position}, below {end}")
                return
            self._lags.unread(number, end - position)
        await self._vouch(assignment)
        if assignment.is_over:
            return
        throughs: dict[int, int] = {}
        for number, (_, end) in ranges.items():
            asked = Probe(self._number, asked_ms, end)
            position = assignment.partitions[number].position
            through = throughs[number] = assignment.complete.through(number, asked, position)
            if through >= 0:
                self._lags.complete(number, through)
        positions = assignment.positions
        await assignment.move(throughs)
        if positions and not assignment.is_over:
            try:
                await source.commit_hint(positions)
            except KafkaUnavailableError as error:
                log.info("Kafka took no commit, which only lag tools will miss", error=str(error))

    async def _vouch(self, assignment: Assignment) -> None:
        """Raises: PostponedError of any kind where counting is no longer right."""
        try:
            vouched = await self._vouching.verdict(self._number, assignment)
        except NoVerdictError as error:
            self._readiness.remind(str(error), "counting goes on, complete-through waits")
        else:
            if vouched is not None:
                assignment.complete.vouched = vouched
