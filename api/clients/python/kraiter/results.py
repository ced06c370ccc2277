"""The answers as frozen values. Pure. Fields that a later API adds are passed over."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

Raw = Mapping[str, Any]
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """One number for each kind."""

    sent: int
    delivered: int
    opened: int
    clicked: int
    bounced: int
    complained: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What follows from the counts; None where the base is 0."""

    delivery: float | None
    open: float | None
    click: float | None
    bounce: float | None
    complaint: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """By which part of what it was each count has grown; None where it was 0."""

    sent: float | None
    delivered: float | None
    opened: float | None
    clicked: float | None
    bounced: float | None
    complained: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point(Counts):
    """The counts of one period, which starts at `timestamp`. rates, status: where they were asked for."""

    timestamp: datetime
    rates: Rates | None = None
    status: Literal["partial", "provisional", "final"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Counts):
    """The counts of one sequence or template. rates: where they were asked for."""

    id: str
    rates: Rates | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Others(Counts):
    """The counts of all mails that are in no group. rates: where they were asked for."""

    rates: Rates | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """The span before, its end included. rates: where they were asked for."""

    from_: datetime
    to: datetime
    totals: Counts
    rates: Rates | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The numbers of a range, its end included.

    complete_through: every event that arrived before it is in the numbers; None before there is one.
    All that has a default is there where it was asked for.
    """

    period: Literal["hour", "day", "week", "month"]
    from_: datetime
    to: datetime
    complete_through: datetime | None
    totals: Counts
    timeseries: tuple[Point, ...]
    timezone: str | None = None
    rates: Rates | None = None
    previous: Previous | None = None
    change: Change | None = None
    groups: tuple[Group, ...] | None = None
    others: Others | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownId:
    """A sequence or template for which something was counted."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownIds:
    """A page of known ids. next_cursor: of the next page; None on the last. complete_through: see Metrics."""

    items: tuple[KnownId, ...]
    next_cursor: str | None
    complete_through: datetime | None


FIELDS: Final = ("sent", "delivered", "opened", "clicked", "bounced", "complained")
RATES: Final = ("delivery", "open", "click", "bounce", "complaint")


def read_metrics(raw: Raw) -> Metrics:
    """Read the body of a metrics route. Raises: KeyError, TypeError or ValueError where it is none."""
    return Metrics(
        period=raw["period"],
        from_=instant_of(raw["from"]),
        to=instant_of(raw["to"]),
        complete_through=_maybe(raw["complete_through"], instant_of),
        totals=Counts(**_counts(raw["totals"])),
        timeseries=tuple(_point(each) for each in raw["timeseries"]),
        timezone=raw.get("timezone"),
        rates=_rates(raw),
        previous=_maybe(raw.get("previous"), _previous),
        change=_maybe(raw.get("change"), _change),
        groups=_maybe(raw.get("groups"), _groups),
        others=_maybe(raw.get("others"), _others),
    )


def read_ids(raw: Raw) -> KnownIds:
    """Read a page of ids. Raises: KeyError, TypeError or ValueError where it is none."""
    return KnownIds(
        items=tuple(KnownId(id=each["id"]) for each in raw["items"]),
        next_cursor=raw["next_cursor"],
        complete_through=_maybe(raw["complete_through"], instant_of),
    )


def instant_of(text: str) -> datetime:
    """A time as the API writes it. Raises: ValueError, TypeError."""
    return datetime.fromisoformat(text)


def _maybe(raw: Any, read: Callable[[Any], Made]) -> Made | None:
    return None if raw is None else read(raw)


def _counts(raw: Raw) -> dict[str, int]:
    counts = {name: raw[name] for name in FIELDS}
    if not all(type(count) is int for count in counts.values()):
        raise TypeError("a count is not a whole number")
    return counts


def _rates(raw: Raw) -> Rates | None:
    return _maybe(raw.get("rates"), lambda rates: Rates(**{name: rates[name] for name in RATES}))


def _change(raw: Raw) -> Change:
    return Change(**{name: raw[name] for name in FIELDS})


def _point(raw: Raw) -> Point:
    return Point(
        timestamp=instant_of(raw["timestamp"]), rates=_rates(raw), status=raw.get("status"), **_counts(raw)
    )


def _groups(raw: list[Raw]) -> tuple[Group, ...]:
    return tuple(Group(id=each["id"], rates=_rates(each), **_counts(each)) for each in raw)


def _others(raw: Raw) -> Others:
    return Others(rates=_rates(raw), **_counts(raw))


def _previous(raw: Raw) -> Previous:
    return Previous(
        from_=instant_of(raw["from"]),
        to=instant_of(raw["to"]),
        totals=Counts(**_counts(raw["totals"])),
        rates=_rates(raw),
    )
