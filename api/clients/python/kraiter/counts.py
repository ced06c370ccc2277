"""Numbers by field, and how a checker knows which fields there are. Pure.

Without `fields` an answer has the page's six, and a checker knows it: `Counts` is `Counts[CoreField]`, and
`totals.opened_human` is a type error. With `fields` it is `Counts[Field]`: each of the sixteen is typed,
those that were asked for are there, and another raises AttributeError.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Generic, Literal, Never, Self, get_args, overload

if sys.version_info >= (3, 13):
    from typing import TypeVar
else:
    from typing_extensions import TypeVar

CoreField = Literal["sent", "delivered", "opened", "clicked", "bounced", "complained"]
Field = Literal[
    CoreField,
    "bounced_hard",
    "suppressed",
    "bounced_soft",
    "bounced_undetermined",
    "delayed",
    "rejected",
    "rendering_failed",
    "unsubscribed",
    "opened_human",
    "clicked_human",
]
"""All that the API counts; `Kraiter.metrics.fields()` says what each means."""

CORE_FIELDS: Final = get_args(CoreField)
FIELDS: Final = get_args(Field)

One = TypeVar("One", bound=Field)
F_contra = TypeVar("F_contra", bound=Field, contravariant=True, default=CoreField)
"""The fields that may be asked of a value: who needs fewer is content with it."""
V_co = TypeVar("V_co", covariant=True)


class _Attribute(Generic[One]):
    """The number of one field, as an attribute."""

    def __init__(self, field: One) -> None:
        self._field: Final = field

    @overload
    def __get__(self, of: None, owner: type) -> Self: ...
    @overload
    def __get__(self, of: "ByField[V_co, One]", owner: type) -> V_co: ...
    def __get__(self, of: Any, owner: type) -> Any:
        if of is None:
            return self
        try:
            return of[self._field]
        except KeyError as error:
            raise AttributeError(error.args[0], name=self._field, obj=of) from None

    def __set__(self, of: object, value: Never) -> None:
        raise AttributeError(f"{self._field!r} is read-only", name=self._field, obj=of)


@dataclass(frozen=True, init=False, repr=False)
class ByField(Generic[V_co, F_contra]):
    """A number for each field: an attribute, an item, or all of them as a dict. Frozen."""

    _values: Mapping[str, V_co] = field(hash=False)

    def __init__(self, **values: V_co) -> None:
        object.__setattr__(self, "_values", values)

    def __getitem__(self, field: F_contra) -> V_co:
        """The number of a field. Raises: KeyError where it was not asked for."""
        try:
            return self._values[field]
        except KeyError:
            there = ", ".join(self._values)
            raise KeyError(f"{field!r} was not asked for: there are {there} (see `fields`)") from None

    def as_dict(self) -> dict[str, V_co]:
        """All of them, in the order in which they were asked for."""
        return dict(self._values)

    def __repr__(self) -> str:
        others = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "_values"}
        told = ", ".join(f"{name}={value!r}" for name, value in {**others, **self._values}.items())
        return f"{type(self).__name__}({told})"

    sent = _Attribute[Literal["sent"]]("sent")
    delivered = _Attribute[Literal["delivered"]]("delivered")
    opened = _Attribute[Literal["opened"]]("opened")
    clicked = _Attribute[Literal["clicked"]]("clicked")
    bounced = _Attribute[Literal["bounced"]]("bounced")
    complained = _Attribute[Literal["complained"]]("complained")
    bounced_hard = _Attribute[Literal["bounced_hard"]]("bounced_hard")
    suppressed = _Attribute[Literal["suppressed"]]("suppressed")
    bounced_soft = _Attribute[Literal["bounced_soft"]]("bounced_soft")
    bounced_undetermined = _Attribute[Literal["bounced_undetermined"]]("bounced_undetermined")
    delayed = _Attribute[Literal["delayed"]]("delayed")
    rejected = _Attribute[Literal["rejected"]]("rejected")
    rendering_failed = _Attribute[Literal["rendering_failed"]]("rendering_failed")
    unsubscribed = _Attribute[Literal["unsubscribed"]]("unsubscribed")
    opened_human = _Attribute[Literal["opened_human"]]("opened_human")
    clicked_human = _Attribute[Literal["clicked_human"]]("clicked_human")


@dataclass(frozen=True, init=False, repr=False)
class Counts(ByField[int, F_contra]):
    """One number for each field."""


@dataclass(frozen=True, init=False, repr=False)
class Change(ByField[float | None, F_contra]):
    """By which part of what it was each count has grown; None where it was 0."""
