"""What the table of kinds says of each type of SES events. Pure.

`schemas.kinds` has a row for each kind, but a record is read by the type of its event, which may state
several kinds. What their conditions make of an event comes down to few cases, worked out beforehand.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import Any, Final

from msgspec import UNSET

from schemas.kinds import KINDS, Kind
from schemas.machines import LIKELY, is_machine
from schemas.ses import Body

_AGENT_MAX: Final = 512
"""Longer user agents are looked up in the table of machines each time, so that few bytes are remembered."""

_is_machine: Final = lru_cache(maxsize=4_096)(is_machine)

_Value = str | bool | None
"""What stands at the path of a condition: a value that a condition names; none for all else."""


class EventType:
    """The kinds that events of one type may state. A kind is its place in the table."""

    def __init__(self, rows: Mapping[int, Kind]) -> None:
        """rows: the kinds, by their place in the table, rising."""
        shapes = {(kind.body, kind.recipients, kind.address_key) for kind in rows.values()}
        assert len(shapes) == 1, "the kinds of an event are about the same time and the same recipients"
        self.body, self.recipients, self.address_key = shapes.pop()
        """As in `Kind`."""
        self._rows = rows
        self.late_ms = min(kind.horizon.late_ms for kind in rows.values())
        self.stale_ms = min(kind.horizon.stale_ms for kind in rows.values())
        """Up to these no kind is late, and no record is stale for any."""
        self._asks_for_people = any(kind.by_people for kind in rows.values())
        named: dict[tuple[str, ...], set[str | bool]] = {}
        for kind in rows.values():
            for condition in kind.conditions:
                named.setdefault(condition.path, set()).update(condition.values)
        self._named = tuple((path, frozenset(values)) for path, values in named.items())
        cases = [
            dict(zip(named, said, strict=True)) for said in product(*[(None, *of) for of in named.values()])
        ]
        self._cases = tuple(
            {tuple(case.values()): self._stated(case, by_machine=by_machine) for case in cases}
            for by_machine in (False, True)
        )
        """By whether a machine caused the event, then by what stands at the path of each condition."""
        self.always = () if named or self._asks_for_people else tuple(rows)
        """The kinds that each such event states; none where that depends on what it says."""

    def _stated(self, said: Mapping[tuple[str, ...], _Value], *, by_machine: bool) -> tuple[int, ...]:
        """What the table says of one case. said: what stands at the path of each condition."""
        return tuple(
            index
            for index, kind in self._rows.items()
            if not (kind.by_people and by_machine)
            and all((said[each.path] in each.values) is each.among for each in kind.conditions)
        )

    def kinds(self, body: Any) -> tuple[int, ...]:
        """Which kinds an event with this body states, whenever it was: rising, perhaps none.

        Whoever reads many events looks at `always` first.
        body: any JSON value; an object as `schemas.ses.Body`.
        """
        named = self._named
        said = tuple([_said(body, path, values) for path, values in named]) if named else ()
        return self._cases[self._asks_for_people and _by_machine(body)][said]

    def not_stale(self, kinds: Sequence[int], after_ms: int) -> tuple[int, ...]:
        """Those of some kinds of which a record says something so long after the send."""
        return tuple(index for index in kinds if after_ms <= self._rows[index].horizon.stale_ms)

    def not_late(self, kinds: Sequence[int], after_ms: int) -> tuple[int, ...]:
        """Those of some kinds that are counted so long after the send."""
        return tuple(index for index in kinds if after_ms <= self._rows[index].horizon.late_ms)


def event_types(kinds: Sequence[Kind]) -> dict[str, EventType]:
    """The types of events that state any of the kinds of a table, by SES's name."""
    rows: dict[str, dict[int, Kind]] = {}
    for index, kind in enumerate(kinds):
        rows.setdefault(kind.event_type, {})[index] = kind
    return {name: EventType(found) for name, found in rows.items()}


EVENT_TYPES: Final[Mapping[str, EventType]] = event_types(KINDS)


def _said(body: Any, path: tuple[str, ...], values: frozenset[str | bool]) -> _Value:
    value = body
    for name in path:
        value = getattr(value, name, UNSET)
    # An array cannot be hashed, and 1 is no `true`: types first.
    return value if type(value) in (str, bool) and value in values else None


def _by_machine(body: Any) -> bool:
    """Whether a machine caused an open or click: SES's word, and where it says nothing the table."""
    if type(body) is not Body:
        return False
    if body.is_bot_event is not UNSET:
        return bool(body.is_bot_event == LIKELY)
    user_agent = body.user_agent
    if type(user_agent) is not str:
        return False
    return (is_machine if len(user_agent) > _AGENT_MAX else _is_machine)(user_agent)
