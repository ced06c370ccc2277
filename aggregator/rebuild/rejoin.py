"""`catch-up`: the live generation counted on from the archive, up to where the topic begins.

For checkpoints below the topic's beginning, as they stand in a Redis that went back to an old copy while the
topic was trimmed: no worker can go on there. The law, the script and the checkpoints are those of a worker
(`aggregator.bulk.count`), so it may be killed and run again, and beside workers, which try again each second.

Law: what recognizes duplicates may go 14 days after it was written. So nothing is counted on that is older;
it takes `rebuild`.
"""

from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from typing import NamedTuple

from aggregator.bulk.count import count_until
from aggregator.config import AggregatorSettings
from aggregator.counters.generation import validate
from aggregator.counters.keyspace import Keyspace
from aggregator.counters.throttle import LIVE
from aggregator.counting.timestamps import iso
from aggregator.errors import OtherLogError, RefusedError
from aggregator.history.reader import History
from aggregator.rebuild.plan import Planner
from schemas.counters import Generation
from schemas.kinds import REMEMBERED_MS


class CannotCatchUpError(RefusedError):
    """The live generation must not be counted on from the archive: it takes `rebuild`."""


class Gap(NamedTuple):
    """Offsets [first, next) of a partition that not every lane has counted and that the topic lacks."""

    partition: int
    first: int
    next: int


@dataclass(slots=True)
class CaughtUp:
    """What was counted. without_dead_letter: as in `Report`."""

    gaps: list[Gap] = field(default_factory=list)
    without_dead_letter: int = 0


class CatchUp:
    """One catch-up."""

    def __init__(self, settings: AggregatorSettings) -> None:
        """Prepare.

        settings: of the workers, and where the archive is.
        Raises: CannotCatchUpError where they name none.
        """
        if not settings.archive_url:
            raise CannotCatchUpError("ARCHIVE_URL says where the archive is, as file:///var/lib/archive")
        self._settings = settings

    def run(self, say: Callable[[str], None]) -> CaughtUp:
        """Count on until every checkpoint lies in the topic, which may be trimmed meanwhile.

        say: shows a line to a person.
        Raises: CannotCatchUpError, PostponedError of any kind.
        """
        done = CaughtUp()
        with closing(Keyspace(self._settings)) as keys:
            planner = Planner(self._settings, keys, None)
            log = planner.log()
            live = validate(planner.live(), self._settings.rules, log)
            while gaps := self._gaps(keys, live, log.partitions):
                for gap in gaps:
                    say(f"partition {gap.partition}: counting offsets {gap.first} to {gap.next}")
                done.without_dead_letter += count_until(
                    self._settings,
                    live,
                    {gap.partition: gap.next for gap in gaps},
                    dead_lettered=planner.dead_lettered(live),
                    pace=LIVE,
                    lock=nullcontext(),
                    leave=lambda: False,
                )
                done.gaps += gaps
        return done

    def _gaps(self, keys: Keyspace, live: Generation, partitions: int) -> list[Gap]:
        """What no worker can count. Raises: OtherLogError where the archive lacks some of it."""
        lanes = [keys.checkpoints(live, lane) for lane in range(live.lanes)]
        with History(self._settings, live.topic_id) as history:
            history.ranges(partitions)
            found = []
            for number, (topic_first, _) in history.bulk.ranges(partitions).items():
                least = min(lane.get(number, 0) for lane in lanes)
                if least < topic_first:
                    found.append(Gap(number, least, topic_first))
            archived = history.archived({number: (first, next_) for number, first, next_ in found})
            for gap in found:
                if archived[gap.partition] < gap.next:
                    raise OtherLogError(
                        f"partition {gap.partition} is counted up to offset {gap.first}, the topic begins at"
                        f" {gap.next}, and the archive lacks {archived[gap.partition]}: run `rebuild`"
                    )
                self._validate_age(history, gap, keys.registry.now_ms())
        return found

    @staticmethod
    def _validate_age(history: History, gap: Gap, now_ms: int) -> None:
        """By the first record's own time, which is no later than when it was written."""
        rows = history.slim({gap.partition: gap.first}, {gap.partition: gap.next})
        for _, batch in rows:
            first_ms: int = batch.column("record_time")[0].value
            if now_ms - first_ms > REMEMBERED_MS:
                raise CannotCatchUpError(
                    f"partition {gap.partition} is to be counted from records of {iso(first_ms)} on:"
                    " duplicates of more than 14 days ago may no longer be known. Run `rebuild`"
                )
            return
