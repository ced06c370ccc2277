"""Calls of the script, and what its answers mean.

Everything here blocks; after any error whoever counts begins again at the checkpoints.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aggregator.counters.store import Answer, LaneCall, Store
from aggregator.counting.checkpoints import Call
from aggregator.counting.pack import pack
from aggregator.errors import GoneError, RolledBackError
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
