"""What happens in the Redis thread: dead letters, then calls of the script, in the order of the reading.

One thread with one connection is what keeps the calls of a lane in their order while the next batches are
read. Everything here blocks; any error means that the worker begins again at the checkpoints.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aggregator.counters.generation import validate
from aggregator.counters.store import Answer, LaneCall, Store
from aggregator.counting.checkpoints import Call
from aggregator.counting.pack import pack
from aggregator.counting.reading import DeadLetter
from aggregator.counting.rules import Rules
from aggregator.errors import ClosedError, GoneError, RolledBackError
from aggregator.log.admin import Cluster
from aggregator.log.dead_letters import DeadLetterWriter
from schemas.counters import Generation


class Packed(NamedTuple):
    """A call, its argument, and how many different facts that holds."""

    call: Call
    argument: bytes
    facts: int


@dataclass(slots=True)
class Applied:
    """What became of a batch: new and repeated facts, and calls that had to be folded again."""

    new: int = 0
    repeated: int = 0
    refolds: int = 0

    def add(self, more: "Applied") -> None:
        """Take in what became of other calls of it."""
        self.new += more.new
        self.repeated += more.repeated
        self.refolds += more.refolds


def packed(call: Call) -> Packed:
    """Fold a call into the argument of the script."""
    argument, facts = pack(call.moves, call.facts)
    return Packed(call, argument, facts)


class Applier:
    """Reads and moves checkpoints, and counts, over one connection."""

    def __init__(
        self, *, rules: Rules, store: Store, dead_letters: DeadLetterWriter, cluster: Cluster
    ) -> None:
        """Prepare; `look` connects.

        rules: of the worker. store, dead letters, cluster: used by this object alone.
        """
        self._rules = rules
        self._store = store
        self._dead_letters = dead_letters
        self._cluster = cluster

    def look(self) -> tuple[Generation, list[dict[int, int]], frozenset[str]]:
        """Connect anew.

        Returns: the live generation, for each of its lanes the partitions' checkpoints, the ids of the
        servers.
        Raises: PostponedError of any kind where this worker may not count now.
        """
        self._store.open()
        found = self._cluster.log()
        generation = validate(self._store.live(), self._rules, found)
        self._dead_letters.of_log(found)
        try:
            checkpoints = self._store.checkpoints(generation)
        except ClosedError:
            self._store.open_again(generation)
            checkpoints = self._store.checkpoints(generation)
        return generation, checkpoints, self._store.servers

    def count(
        self,
        generation: Generation,
        dead_letters: Iterable[tuple[int, Sequence[DeadLetter]]],
        calls: Iterable[Packed],
    ) -> Applied:
        """Write dead letters, wait for Kafka's acknowledgement, then count.

        dead_letters: by partition.
        Raises: PostponedError of any kind; any of the calls may or may not have been done.
        """
        for partition, of_partition in dead_letters:
            self._dead_letters.write(partition, of_partition)
        return apply_calls(self._store, generation, calls)

    def move(self, generation: Generation, calls: Sequence[LaneCall]) -> None:
        """Move checkpoints without events. Whether counting is still right `Checker` tells.

        Raises: PostponedError of any kind; RolledBackError where Redis went back in time.
        """
        apply_moves(self._store, generation, calls)

    def close(self) -> None:
        """Drop the connection."""
        self._store.close()


def apply_calls(store: Store, generation: Generation, calls: Iterable[Packed]) -> Applied:
    """Count calls in their order, folding again what somebody else counted a part of.

    Raises: StoreUnavailableError, GoneError, RolledBackError; any of the calls may or may not have been done.
    """
    applied = Applied()
    for each in calls:
        _apply_call(store, generation, each, applied)
    return applied


def _apply_call(store: Store, generation: Generation, each: Packed, applied: Applied) -> None:
    while True:
        answer = store.apply(generation, [LaneCall(each.call.lane, each.argument)])[0]
        if answer.status != "FOLD":
            break
        applied.refolds += 1
        rest = each.call.from_checkpoint(answer.partition, answer.checkpoint)
        if rest is None:
            return
        each = packed(rest)
    if answer.status != "OK":
        raise trouble(answer, each.call.lane)
    applied.new += each.facts - answer.repeated
    applied.repeated += answer.repeated


def apply_moves(store: Store, generation: Generation, calls: Sequence[LaneCall]) -> None:
    """Move checkpoints without events. Raises: as `apply_calls`."""
    for call, answer in zip(calls, store.apply(generation, calls), strict=True):
        if answer.status != "OK":
            raise trouble(answer, call.lane)


def trouble(answer: Answer, lane: int) -> GoneError | RolledBackError:
    """The error that an answer of the script stands for."""
    if answer.status == "GONE":
        return GoneError(f"lane {lane} is not there, retired, or of other rules")
    return RolledBackError(
        f"lane {lane} has the checkpoint {answer.checkpoint} for partition {answer.partition}"
    )
