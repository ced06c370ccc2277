"""Calls of the script, and what its answers mean.

Everything here blocks; after any error whoever counts begins again at the checkpoints.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from aggregator.counters.store import Answer, LaneCall, Store
from aggregator.counting.checkpoints import Call
from aggregator.counting.pack import pack
from aggregator.counting.states import Identities
from aggregator.errors import ErasedError, GoneError, RolledBackError
from schemas.counters import Generation


class Packed(NamedTuple):
    """A call, its argument, and how many different facts that holds."""

    call: Call
    argument: bytes
    facts: int


@dataclass(slots=True)
class Applied:
    """What became of a batch.

    new, repeated: facts. refolds: calls that had to be folded again. known: of scopes that have got new ids
    and have many, by tenant (made safe) and the scope's number, how many ids they have.
    """

    new: int = 0
    repeated: int = 0
    refolds: int = 0
    known: dict[tuple[str, int], int] = field(default_factory=dict)

    def add(self, more: "Applied") -> None:
        """Take in what became of other calls of it."""
        self.new += more.new
        self.repeated += more.repeated
        self.refolds += more.refolds
        self.known |= more.known


def packed(call: Call, identities: Identities) -> Packed:
    """Fold a call into the argument of the script. identities: of the generation."""
    argument, facts = pack(call.moves, call.facts, identities)
    return Packed(call, argument, facts)


def apply_calls(
    store: Store, generation: Generation, identities: Identities, calls: Iterable[Packed]
) -> Applied:
    """Count calls in their order, folding again what somebody else counted a part of.

    identities: of the generation.
    Raises: StoreUnavailableError, GoneError, ErasedError, RolledBackError; any of the calls may or may not
    have been done.
    """
    applied = Applied()
    for each in calls:
        _apply_call(store, generation, identities, each, applied)
    return applied


def _apply_call(
    store: Store, generation: Generation, identities: Identities, each: Packed, applied: Applied
) -> None:
    while True:
        lane = each.call.lane
        erased = identities.erasures.of_lane(lane, generation.lanes)
        answer = store.apply(generation, [LaneCall(lane, each.argument, erased)])[0]
        if answer.status != "REBASE":
            break
        applied.refolds += 1
        rest = each.call.from_checkpoint(answer.partition, answer.checkpoint)
        if rest is None:
            return
        each = packed(rest, identities)
    if answer.status != "OK":
        raise trouble(answer, each.call.lane)
    applied.new += each.facts - answer.repeated
    applied.repeated += answer.repeated
    applied.known |= answer.known


def apply_moves(store: Store, generation: Generation, calls: Sequence[LaneCall]) -> None:
    """Move checkpoints without events. Raises: as `apply_calls`."""
    for call, answer in zip(calls, store.apply(generation, calls), strict=True):
        if answer.status != "OK":
            raise trouble(answer, call.lane)


def trouble(answer: Answer, lane: int) -> GoneError | ErasedError | RolledBackError:
    """The error that an answer of the script stands for."""
    if answer.status == "GONE":
        return GoneError(f"lane {lane} is not there, retired, or of other rules")
    if answer.status == "ERASED":
        return ErasedError(f"lane {lane} has taken in other erasures of tenants")
    return RolledBackError(
        f"lane {lane} has the checkpoint {answer.checkpoint} for partition {answer.partition}"
    )
