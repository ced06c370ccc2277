"""The life of the generations: every change that their record may make, as data.

Pure. A change takes the record as it is and gives the one that follows it, or refuses; `registry` puts it
into Redis if nobody was faster, and works it out anew from the new record if somebody was. So a change says
all that it relies on, and what stands in the record is all that it knows.

    a rebuild:    building -> comparing -> closing -> live; what was live is retired
    it failed:    closing -> comparing (the live one's lanes are opened again), comparing -> building (it is
                  run again and goes on), building -> dropping (it is of another log or other rules)
    an operator:  retired -> dropping -> gone; and a switch that Redis lost is made again (`restored`)
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from aggregator.errors import RefusedError
from schemas.counters import Generation, Member, Record, State

ALLOWED: Final[Mapping[State | None, frozenset[State | None]]] = {
    None: frozenset({State.BUILDING, State.LIVE}),
    State.BUILDING: frozenset({State.BUILDING, State.COMPARING, State.DROPPING}),
    State.COMPARING: frozenset({State.BUILDING, State.CLOSING, State.DROPPING}),
    State.CLOSING: frozenset({State.COMPARING, State.LIVE}),
    State.LIVE: frozenset({State.RETIRED}),
    State.RETIRED: frozenset({State.DROPPING}),
    State.DROPPING: frozenset({State.DROPPING, None}),
}
"""Which state may follow which; none: it is not in the record. A switch that was lost is made again from any
state (`restored`): Redis has forgotten how far it had come."""


def first(record: Record, generation: Generation) -> Record:
    """The very first generation is live at once. Raises: RefusedError where there is any."""
    if record.members:
        raise RefusedError("there is a generation already")
    _check(None, State.LIVE)
    return _with(record, Member(generation=generation, state=State.LIVE))


def begun(
    record: Record, generation: Generation, start: Mapping[int, int], stop: Mapping[int, int]
) -> Record:
    """A rebuild begins a generation, or goes on with the one that is being made.

    start, stop: as in `Member`. Raises: RefusedError where another one is being made.
    """
    making = record.next
    if making is not None and making.generation != generation:
        raise RefusedError(f"generation {making.generation.name} is being made already")
    had = record.named(generation.name)
    _check(None if had is None else had.state, State.BUILDING)
    made = Member(generation=generation, state=State.BUILDING, start=dict(start), stop=dict(stop))
    return _with(record, made)


def comparing(record: Record, name: str) -> Record:
    """All is counted in bulk. Raises: RefusedError."""
    return _moved(record, name, State.COMPARING)


def closing(record: Record, name: str, attempt: str) -> Record:
    """The lanes of the live one may be closed now. attempt: the token of the lease. Raises: RefusedError."""
    return _moved(record, name, State.CLOSING, attempt)


def taken_back(record: Record, attempt: str) -> Record:
    """The lanes that were closed in an attempt may be opened again. Raises: RefusedError."""
    making = record.next
    if making is None or making.state is not State.CLOSING or making.attempt != attempt:
        raise RefusedError(f"nothing is closed in attempt {attempt}")
    return _moved(record, making.generation.name, State.COMPARING)


def switched(record: Record, name: str, attempt: str) -> Record:
    """The generation that was made is the live one. Raises: RefusedError."""
    making = record.named(name)
    if making is None or making.attempt != attempt:
        raise RefusedError(f"attempt {attempt} to switch to generation {name} was taken back")
    return _live(_moved(record, name, State.LIVE), name)


def restored(record: Record, generation: Generation) -> Record:
    """A switch that Redis lost is made again: this generation is live. Raises: RefusedError."""
    had = record.named(generation.name)
    if had is not None and had.state is State.DROPPING:
        raise RefusedError(f"generation {generation.name} is being dropped: run `rebuild`")
    start = {} if had is None else had.start
    return _live(_with(record, Member(generation=generation, state=State.LIVE, start=start)), generation.name)


def dropping(record: Record, name: str) -> Record:
    """The keys of a generation may be removed. Raises: RefusedError."""
    return _moved(record, name, State.DROPPING)


def dropped(record: Record, name: str) -> Record:
    """The keys of a generation are removed. Raises: RefusedError."""
    _check(_named(record, name).state, None)
    return Record(tuple(each for each in record.members if each.generation.name != name))


def _named(record: Record, name: str) -> Member:
    found = record.named(name)
    if found is None:
        raise RefusedError(f"there is no generation {name}")
    return found


def _check(before: State | None, after: State | None) -> None:
    if after not in ALLOWED[before]:
        raise RefusedError(f"a generation that is {before or 'not there'} cannot become {after or 'gone'}")


def _moved(record: Record, name: str, state: State, attempt: str = "") -> Record:
    had = _named(record, name)
    _check(had.state, state)
    return _with(record, msgspec.structs.replace(had, state=state, attempt=attempt, stop={}))


def _with(record: Record, member: Member) -> Record:
    """The record with a member in its place, or at the end where it is new."""
    name = member.generation.name
    if record.named(name) is None:
        return Record((*record.members, member))
    return Record(tuple(member if each.generation.name == name else each for each in record.members))


def _live(record: Record, name: str) -> Record:
    """What else was live is retired."""
    return Record(
        tuple(
            msgspec.structs.replace(each, state=State.RETIRED)
            if each.state is State.LIVE and each.generation.name != name
            else each
            for each in record.members
        )
    )
