"""Whether a log can be counted on from the checkpoints: looked at with each resync."""

import time
from collections.abc import Mapping, Sequence
from typing import Final

from aggregator.errors import KafkaUnavailableError, OtherLogError
from aggregator.log.source import LogRange

ABOVE_END_S: Final = 30.0
"""A checkpoint above the log's end is a lost log only then: ends read low just after a leader change."""


class LogCheck:
    """Remembers since when a checkpoint stands above the end."""

    def __init__(self) -> None:
        self._above_since: float | None = None

    def check(self, checkpoints: Sequence[Mapping[int, int]], ranges: Mapping[int, LogRange]) -> None:
        """Return where every record that is not counted is there, and no counted one is gone from the end.

        checkpoints: of each lane, by partition. ranges: of the partitions to look at.
        Raises: OtherLogError; KafkaUnavailableError where the end may only read low.
        """
        for number, (start, end) in ranges.items():
            of_lanes = [lane.get(number, 0) for lane in checkpoints]
            least, most = min(of_lanes), max(of_lanes)
            if least < start:
                raise OtherLogError(
                    f"partition {number} is counted up to offset {least} and its log starts at {start}:"
                    " records are lost to counting unless an archive has them: run `python -m aggregator"
                    " catch-up`, or `rebuild`"
                )
            if most > end:
                now = time.monotonic()
                self._above_since = self._above_since or now
                if now - self._above_since < ABOVE_END_S:
                    raise KafkaUnavailableError(
                        f"partition {number} ends at {end}, below the checkpoint {most}"
                    )
                raise OtherLogError(
                    f"partition {number} is counted up to offset {most} and its log ends at {end}:"
                    " records that were counted are gone, run `python -m aggregator rebuild`"
                )
        self._above_since = None
