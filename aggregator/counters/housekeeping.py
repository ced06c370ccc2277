"""The generations as an operator sees them: what is there, what may go, and what was left half way.

Redis may hold keys of generations that no record knows (`UNKNOWN`): the record is older than they are, or
they are of a version before it. They are listed and dropped by name alone.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from aggregator.counters import lifecycle
from aggregator.counters.keyspace import Keyspace
from aggregator.errors import GoneError, RefusedError
from schemas.counters import Generation, Record, State

UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Listed:
    """A generation as it is listed. generation: none where no record knows it. keys: how many it has."""

    name: str
    state: str
    generation: Generation | None
    keys: int


def listed(keys: Keyspace) -> list[Listed]:
    """Every generation that is in the record or has keys. Raises: StoreUnavailableError."""
    sizes = keys.sizes()
    members = keys.registry.read().record.members
    known = [
        Listed(name, each.state, each.generation, sizes.pop(name, 0))
        for each in members
        for name in [each.generation.name]
    ]
    return known + [Listed(name, UNKNOWN, None, size) for name, size in sorted(sizes.items())]


def drop_retired(keys: Keyspace) -> tuple[list[str], int]:
    """Remove all that are retired, and what is left of those that were being removed.

    Returns: their names, and how many keys. Raises: RefusedError, StoreUnavailableError.
    """
    gone = (State.RETIRED, State.DROPPING)
    names = [each.generation.name for each in keys.registry.read().record.members if each.state in gone]
    return names, drop(keys, names) if names else 0


def drop_named(keys: Keyspace, name: str) -> int:
    """Remove one generation. Returns: how many keys.

    Raises: RefusedError where it is the live one, being made by a rebuild that runs, or the one that a lost
    switch was to; StoreUnavailableError.
    """
    record = keys.registry.read().record
    if record.live is not None:
        with suppress(GoneError):
            closed = keys.registry.lanes.closed(record.live)
            if any(each.successor is not None and each.successor.name == name for each in closed):
                raise RefusedError(
                    f"the live generation was replaced by {name}, and Redis lost that: `generations restore`"
                )
    member = record.named(name)
    if member is None:
        return _drop_unknown(keys, name)
    if member is not record.next:
        return drop(keys, [name])
    lease = keys.lease()
    if not lease.take(wait_s=0):
        raise RefusedError(f"generation {name} is being made by a rebuild that runs: stop that first")
    with lease:
        keys.registry.take_back_of_dead(lease.token)
        return drop(keys, [name], token=lease.token)


def _drop_unknown(keys: Keyspace, name: str) -> int:
    number = keys.drop([name])
    if not number:
        raise RefusedError(f"there is no generation {name}")
    return number


def drop(keys: Keyspace, names: Collection[str], *, after_s: int = 0, token: str = "") -> int:
    """Remove generations that the record knows, at once or after a time. token: as in `Registry.change`.

    Returns: how many keys.
    Raises: RefusedError where one of them must stay: nothing is removed then. StoreUnavailableError.
    """

    def begin(record: Record) -> Record:
        for name in names:
            record = lifecycle.dropping(record, name)
        return record

    def end(record: Record) -> Record:
        for name in names:
            record = lifecycle.dropped(record, name)
        return record

    keys.registry.change(begin, token=token)
    number = keys.drop(names, after_s=after_s)
    if not after_s:
        keys.registry.change(end)
    return number
