"""The answers as frozen values. Pure. `kraiter.reading` makes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, Literal

from kraiter.counts import ByField, Change, Counts, F_contra

Period = Literal["hour", "day", "week", "month"]
Status = Literal["partial", "provisional", "final"]
Row = dict[str, datetime | str | int | float | None]
"""One line of a table."""

FURTHER_RATES: Final[Mapping[str, str]] = {
    "hard_bounce": "bounced_hard",
    "human_open": "opened_human",
    "human_click": "clicked_human",
}
"""Rates that an answer has where it has their field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What follows from the counts; None where the base is 0 (the last three: or without their field)."""

    delivery: float | None
    open: float | None
    click: float | None
    bounce: float | None
    complaint: float | None
    hard_bounce: float | None = None
    human_open: float | None = None
    human_click: float | None = None


RATES: Final = tuple(Rates.__dataclass_fields__)


@dataclass(frozen=True, init=False, repr=False)
class Point(Counts[F_contra]):
    """The counts of one period, which starts at `timestamp`. rates, status: where they were asked for."""

    timestamp: datetime
    rates: Rates | None
    status: Status | None

    def __init__(
        self,
        *,
        timestamp: datetime,
        rates: Rates | None = None,
        status: Status | None = None,
        **counts: int,
    ) -> None:
        super().__init__(**counts)
        object.__setattr__(self, "timestamp", timestamp)
        object.__setattr__(self, "rates", rates)
        object.__setattr__(self, "status", status)


@dataclass(frozen=True, init=False, repr=False)
class Group(Counts[F_contra]):
    """The counts of one id of a scope. rates: where they were asked for."""

    id: str
    rates: Rates | None

    def __init__(self, *, id: str, rates: Rates | None = None, **counts: int) -> None:  # noqa: A002
        super().__init__(**counts)
        object.__setattr__(self, "id", id)
        object.__setattr__(self, "rates", rates)


@dataclass(frozen=True, init=False, repr=False)
class Others(Counts[F_contra]):
    """The counts of all mails that are in no group. rates: where they were asked for."""

    rates: Rates | None

    def __init__(self, *, rates: Rates | None = None, **counts: int) -> None:
        super().__init__(**counts)
        object.__setattr__(self, "rates", rates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous(Generic[F_contra]):
    """The span that is compared with, its end included. rates: where they were asked for."""

    from_: datetime
    to: datetime
    totals: Counts[F_contra]
    rates: Rates | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRate:
    """A rate that providers watch. rate: None where too few were sent to say."""

    rate: float | None
    status: Literal["healthy", "warning", "critical", "insufficient_data"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a sender stands: bounce: bounced_hard / sent; complaint: complained / delivered."""

    bounce: HealthRate
    complaint: HealthRate


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics(Generic[F_contra]):
    """The numbers of a range, its end included.

    complete_through: every event that arrived before it is in the numbers; None before there is one.
    All that has a default is there where it was asked for.
    """

    period: Period
    from_: datetime
    to: datetime
    complete_through: datetime | None
    totals: Counts[F_contra]
    timeseries: tuple[Point[F_contra], ...]
    timezone: str | None = None
    rates: Rates | None = None
    health: Health | None = None
    previous: Previous[F_contra] | None = None
    change: Change[F_contra] | None = None
    groups: tuple[Group[F_contra], ...] | None = None
    others: Others[F_contra] | None = None

    def rows(self) -> list[Row]:
        """The points as flat rows, such as data frames are made of.

        All have the same keys: `timestamp`, the fields, and where they were asked for `status` and the rates,
        as `open_rate` and so on.
        """
        return [
            {
                "timestamp": point.timestamp,
                **point.as_dict(),
                **({} if point.status is None else {"status": point.status}),
                **_rate_columns(point, point.rates),
            }
            for point in self.timeseries
        ]

    def group_rows(self) -> list[Row]:
        """The groups as flat rows: `id`, the fields, and the rates where they were asked for.

        The last row, whose `id` is None, is that of the others, so that the rows add up to the totals.
        Raises: ValueError where no groups were asked for.
        """
        if self.groups is None or self.others is None:
            raise ValueError("there are no groups: ask with group_by")
        rows: list[Row] = [
            {"id": group.id, **group.as_dict(), **_rate_columns(group, group.rates)} for group in self.groups
        ]
        return [*rows, {"id": None, **self.others.as_dict(), **_rate_columns(self.others, self.others.rates)}]


def _rate_columns(counts: ByField[int, F_contra], rates: Rates | None) -> dict[str, float | None]:
    if rates is None:
        return {}
    there = counts.as_dict()
    return {
        f"{name}_rate": getattr(rates, name)
        for name in RATES
        if name not in FURTHER_RATES or FURTHER_RATES[name] in there
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownId:
    """An id of a scope, such as a sequence's, for which something was counted."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownIds:
    """A page of known ids. next_cursor: of the next page; None on the last. complete_through: see Metrics."""

    items: tuple[KnownId, ...]
    next_cursor: str | None
    complete_through: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRate:
    """The rate of which a field is the numerator."""

    name: str
    formula: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldMeaning:
    """What a field counts. horizon_days: what comes later than this after the send is not counted."""

    name: str
    description: str
    unit: Literal["recipients", "messages"]
    family: Literal["core", "details"]
    horizon_days: int
    rate: FieldRate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """From which rate on a sender's health is `warning`, and from which it is `critical`."""

    formula: str
    warning: float
    critical: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRule:
    """How `health` is judged. sent_at_least: with fewer there is no rate."""

    sent_at_least: int
    bounce: Thresholds
    complaint: Thresholds


@dataclass(frozen=True, slots=True, kw_only=True)
class Glossary:
    """What this API counts, in its own words."""

    fields: tuple[FieldMeaning, ...]
    health: HealthRule
