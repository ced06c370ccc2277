"""From the bodies of answers to values. Pure. Members that a later API adds are passed over.

Every reader raises KeyError, TypeError or ValueError where a body is not what it should be.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from kraiter.counts import FIELDS, Change, Counts, Field
from kraiter.results import (
    RATES,
    FieldMeaning,
    FieldRate,
    Glossary,
    Group,
    Health,
    HealthRate,
    HealthRule,
    KnownId,
    KnownIds,
    Metrics,
    Others,
    Point,
    Previous,
    Rates,
    Thresholds,
)

Raw = Mapping[str, Any]
Made = TypeVar("Made")


def read_metrics(raw: Raw, asked: Sequence[str] | None) -> Metrics[Field]:
    """Read the body of a metrics route. asked: the fields that it must have; None: all of its totals."""
    names = _counted(raw["totals"]) if asked is None else asked
    return Metrics(
        period=raw["period"],
        from_=instant_of(raw["from"]),
        to=instant_of(raw["to"]),
        complete_through=_maybe(raw["complete_through"], instant_of),
        totals=Counts(**_counts(raw["totals"], names)),
        timeseries=tuple(_point(each, names) for each in raw["timeseries"]),
        timezone=raw.get("timezone"),
        rates=_rates(raw),
        health=_maybe(raw.get("health"), _health),
        previous=_maybe(raw.get("previous"), lambda previous: _previous(previous, names)),
        change=_maybe(raw.get("change"), lambda change: _change(change, names)),
        groups=_maybe(raw.get("groups"), lambda groups: tuple(_group(each, names) for each in groups)),
        others=_maybe(raw.get("others"), lambda others: _others(others, names)),
    )


def read_ids(raw: Raw) -> KnownIds:
    """Read a page of ids."""
    return KnownIds(
        items=tuple(KnownId(id=each["id"]) for each in raw["items"]),
        next_cursor=raw["next_cursor"],
        complete_through=_maybe(raw["complete_through"], instant_of),
    )


def read_glossary(raw: Raw) -> Glossary:
    """Read what the fields mean."""
    health = raw["health"]
    return Glossary(
        fields=tuple(_meaning(each) for each in raw["fields"]),
        health=HealthRule(
            sent_at_least=health["sent_at_least"],
            bounce=_thresholds(health["bounce"]),
            complaint=_thresholds(health["complaint"]),
        ),
    )


def instant_of(text: str) -> datetime:
    """A time as the API writes it."""
    return datetime.fromisoformat(text)


def _maybe(raw: Any, read: Callable[[Any], Made]) -> Made | None:
    return None if raw is None else read(raw)


def _counted(totals: Raw) -> list[str]:
    """The fields of totals; among them those that a later API counts."""
    return [name for name, count in totals.items() if name in FIELDS or type(count) is int]


def _counts(raw: Raw, names: Sequence[str]) -> dict[str, int]:
    counts = {name: raw[name] for name in names}
    if not all(type(count) is int for count in counts.values()):
        raise TypeError("a count is not a whole number")
    return counts


def _rates(raw: Raw) -> Rates | None:
    return _maybe(
        raw.get("rates"), lambda rates: Rates(**{name: rates[name] for name in RATES if name in rates})
    )


def _point(raw: Raw, names: Sequence[str]) -> Point[Field]:
    return Point(
        timestamp=instant_of(raw["timestamp"]),
        rates=_rates(raw),
        status=raw.get("status"),
        **_counts(raw, names),
    )


def _group(raw: Raw, names: Sequence[str]) -> Group[Field]:
    return Group(id=raw["id"], rates=_rates(raw), **_counts(raw, names))


def _others(raw: Raw, names: Sequence[str]) -> Others[Field]:
    return Others(rates=_rates(raw), **_counts(raw, names))


def _change(raw: Raw, names: Sequence[str]) -> Change[Field]:
    return Change(**{name: raw[name] for name in names})


def _previous(raw: Raw, names: Sequence[str]) -> Previous[Field]:
    return Previous(
        from_=instant_of(raw["from"]),
        to=instant_of(raw["to"]),
        totals=Counts(**_counts(raw["totals"], names)),
        rates=_rates(raw),
    )


def _health(raw: Raw) -> Health:
    bounce, complaint = (
        HealthRate(rate=raw[name]["rate"], status=raw[name]["status"]) for name in ("bounce", "complaint")
    )
    return Health(bounce=bounce, complaint=complaint)


def _meaning(raw: Raw) -> FieldMeaning:
    return FieldMeaning(
        name=raw["name"],
        description=raw["description"],
        unit=raw["unit"],
        family=raw["family"],
        horizon_days=raw["horizon_days"],
        rate=_maybe(raw["rate"], lambda rate: FieldRate(name=rate["name"], formula=rate["formula"])),
    )


def _thresholds(raw: Raw) -> Thresholds:
    return Thresholds(formula=raw["formula"], warning=raw["warning"], critical=raw["critical"])
