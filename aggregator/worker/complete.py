"""Up to when partitions are complete. Pure.

Each tick asks for the end of the log and notes when it asked. Once the partition is read up to that end, and
a check that began after it asked has come out well (`vouching`), it is complete up to that time.
"""

from typing import NamedTuple


class Probe(NamedTuple):
    """What a tick asked for: up to `asked_ms` all is read once the partition is read up to `end`."""

    tick: int
    asked_ms: int
    end: int

    def is_met(self, position: int, vouched: int) -> bool:
        """Whether it may be reported. vouched: the last tick that a good check came after."""
        return position >= self.end and self.tick <= vouched


class Complete:
    """The probes of the partitions of one resync."""

    def __init__(self) -> None:
        self.vouched = 0
        """The last tick that a good check came after."""
        self._probes: dict[int, Probe] = {}

    def through(self, partition: int, asked: Probe, position: int) -> int:
        """Up to when a partition is read and vouched for.

        asked: by this tick; it is remembered where it is not met yet, and no earlier one waits.
        position: the offset that is read next.
        Returns: ms since 1970, or -1 for nothing new.
        """
        probe = self._probes.pop(partition, asked)
        if asked.is_met(position, self.vouched):
            return asked.asked_ms
        if probe.is_met(position, self.vouched):
            self._probes[partition] = asked
            return probe.asked_ms
        self._probes[partition] = probe
        return -1
