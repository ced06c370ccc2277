"""How complete the numbers are. Pure.

A lane knows for each partition of the events topic up to when it is counted. An answer is complete up to the
least of them: every event that Kafka had before that instant is in the numbers. It moves on while
nothing happens, and stands still when the pipeline does, so a zero can be told from a silence.
"""

from collections.abc import Mapping
from typing import Final

from schemas.kinds import REMEMBERED_MS, STALE_MS
from schemas.responses import Status

HEADER: Final = "X-Complete-Through"

FINAL_MS: Final = STALE_MS + REMEMBERED_MS
"""How long after the end of a time its numbers may still change: 92 days.

A record counts until 78 days after the send by its own time, and so in an hour that long past; one that was
a dead letter meanwhile comes back up to 14 days later.
"""


def complete_through(partitions: Mapping[int, int | None]) -> int | None:
    """The time (ms) up to which everything is counted; None where that is not known of every partition.

    partitions: for each known partition its own such time, None where it has none yet.
    """
    times = list(partitions.values())
    known = [ms for ms in times if ms is not None]
    return min(known) if known and len(known) == len(times) else None


def status_of(end_ms: int, through_ms: int | None) -> Status:
    """What may still happen to the numbers of a time that ends (excluded) at `end_ms`.

    Returns: `partial` where it runs past what is counted; `provisional` while records about it may still be
    taken (`FINAL_MS`); `final` after that.
    """
    if through_ms is None or end_ms > through_ms:
        return "partial"
    return "provisional" if through_ms - end_ms < FINAL_MS else "final"
