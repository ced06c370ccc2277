"""Whether the numbers of a lane that is closed to counting may be reported.

Pure. A rebuild closes the lanes of the live generation and switches to its own some moments later; until
then the closed lanes are right, and complete. A lane that stays closed without a switch is frozen: reported
as if it were live it would be a lie that no `complete_through` makes good.
"""

from collections.abc import Callable
from typing import Final

from schemas.counters import Record, State

GRACE_S: Final = 15.0
"""A rebuild that died in between loses its lease, and workers open the lanes again within seconds."""


class ClosedLanes:
    """Checks closed lanes of the live generation."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        """clock_s: seconds of a clock that never goes back."""
        self._clock_s = clock_s
        self._orphan: bytes | None = None
        self._since_s = 0.0

    def may_be_read(self, record: Record, lease: bytes | None, retired: bytes, *, succeeded: bool) -> bool:
        """Whether a lane may be read.

        record, lease: as they were read with the lane. retired: for whom the lane is closed. succeeded:
        whether it says that the switch was done; where the record still says otherwise, Redis lost that.
        """
        if succeeded:
            return False
        making = record.next
        if (
            making is not None
            and making.state is State.CLOSING
            and making.closes_as.encode() == retired
            and making.attempt.encode() == lease
        ):
            return True
        now_s = self._clock_s()
        if self._orphan != retired:
            self._orphan, self._since_s = retired, now_s
        return now_s - self._since_s <= GRACE_S
