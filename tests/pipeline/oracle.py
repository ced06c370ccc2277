"""A second opinion: what the API must say of a list of records, counted the naive way.

Law: nothing here comes from the project. It is the law of counting once more in plain Python, with sets and
dictionaries and the standard library's times, as slow and as obvious as that is. An error in the project's
core must not hide in its twin. (`test_records` proves the oracle itself, on cases worked out by hand.)
"""

import calendar
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

MS = timedelta(milliseconds=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d+)? ?(Z|[+-]\d\d:?[0-5]\d)", re.ASCII)
FIELDS = ("sent", "delivered", "opened", "clicked", "bounced", "complained")

DEAD = {"unreadable", "bad_tag", "no_tenant", "bad_time", "future", "too_large"}
"""What makes a record a dead letter; all other outcomes leave no trace but in the metrics."""

Scope = tuple[str, str, str]
"""Tenant; `tenant`, `sequence` or `template`; its id ("" for the tenant itself)."""


@dataclass(frozen=True)
class Fact:
    """What is true once, at its earliest."""

    tenant: str
    sequence: str | None
    template: str | None
    send_day: str
    message: str
    recipient: str | None
    field: str


@dataclass
class Reported:
    """What one record says: `counted` with facts and their time, or another outcome with none."""

    outcome: str
    facts: list[Fact] = field(default_factory=list)
    at: datetime | None = None


@dataclass
class Count:
    """The numbers: of each scope, of each hour, of each field."""

    hours: dict[Scope, dict[datetime, dict[str, int]]]

    def scopes(self, tenant: str) -> list[Scope]:
        return sorted(scope for scope in self.hours if scope[0] == tenant)

    def body(self, scope: Scope, period: str, first: datetime, last: datetime) -> dict[str, Any]:
        """The API's whole answer to a query with `from=first` and `to=last`."""
        points = {start: dict.fromkeys(FIELDS, 0) for start in _starts(period, first, last)}
        for hour, counts in self.hours.get(scope, {}).items():
            if first <= hour <= last:
                for name, number in counts.items():
                    points[start_of(period, hour)][name] += number
        return {
            "period": period,
            "from": iso(first),
            "to": iso(last),
            "totals": {name: sum(point[name] for point in points.values()) for name in FIELDS},
            "timeseries": [{"timestamp": iso(start), **point} for start, point in points.items()],
        }


def iso(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03}Z"


def start_of(period: str, time: datetime) -> datetime:
    """When the period that holds a time starts."""
    hour = time.replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    match period:
        case "hour":
            return hour
        case "day":
            return day
        case "week":
            return day - DAY * calendar.weekday(day.year, day.month, day.day)
        case _:
            return day.replace(day=1)


def _starts(period: str, first: datetime, last: datetime) -> Iterator[datetime]:
    """The start of every period from the one that holds `first` to the one that holds `last`."""
    at = start_of(period, first)
    while at <= last:
        yield at
        at = start_of(period, at + {"hour": HOUR, "day": DAY, "week": 7 * DAY}.get(period, 31 * DAY))


def count(records: Iterable[tuple[bytes | None, datetime]]) -> Count:
    """Count records, given as their bytes and their own Kafka time."""
    return count_reported(read(value, record_time) for value, record_time in records)


def count_reported(records: Iterable[Reported]) -> Count:
    """Count what records say: each fact once, at its earliest, for each of its scopes."""
    first: dict[Fact, datetime] = {}
    for reported in records:
        for fact in reported.facts:
            assert reported.at is not None
            if fact not in first or reported.at < first[fact]:
                first[fact] = reported.at
    hours: dict[Scope, dict[datetime, dict[str, int]]] = {}
    for fact, at in first.items():
        scopes = [("tenant", ""), ("sequence", fact.sequence), ("template", fact.template)]
        for kind, name in scopes:
            if name is not None:
                of_scope = hours.setdefault((fact.tenant, kind, name), {})
                of_hour = of_scope.setdefault(start_of("hour", at), {})
                of_hour[fact.field] = of_hour.get(fact.field, 0) + 1
    return Count(hours)


def read(  # noqa: PLR0911, PLR0912, PLR0915 - the law, one step under the other
    value: bytes | None, record_time: datetime
) -> Reported:
    """What one record says, in the order in which the law of reading asks."""
    if len(value or b"") > 1_048_576:
        return Reported("too_large")
    try:
        event = json.loads((value or b"").decode(), parse_constant=_refuse)
        if b"\\ud" in (value or b"").lower():
            json.dumps(event, ensure_ascii=False).encode()  # fails on half a character
    except (ValueError, RecursionError):
        return Reported("unreadable")
    if not isinstance(event, dict):
        return Reported("unreadable")
    keys = {"eventType", "notificationType"}
    if not keys & event.keys() and isinstance(event.get("detail"), dict):
        event = event["detail"]
    if not keys & event.keys():
        return Reported("ignored")
    older = "eventType" not in event
    kind = event["notificationType"] if older else event["eventType"]
    if not isinstance(kind, str):
        return Reported("unreadable")

    mail: Any = event.get("mail")
    people: Any = None
    match kind:
        case "Send":
            name, body = "sent", mail
        case "Delivery":
            name, body = "delivered", event.get("delivery")
        case "Open":
            name, body = "opened", event.get("open")
        case "Click":
            name, body = "clicked", event.get("click")
        case "Bounce":
            name, body = "bounced", event.get("bounce")
        case "Complaint":
            name, body = "complained", event.get("complaint")
            if isinstance(body, dict) and body.get("complaintFeedbackType") == "not-spam":
                return Reported("ignored")
        case _:
            return Reported("ignored")
    if not isinstance(mail, dict) or not isinstance(mail.get("messageId"), str) or not mail["messageId"]:
        return Reported("unreadable")

    tags = mail.get("tags", {})
    try:
        tenant, sequence, template = (_tag(tags, name) for name in ("tenant", "sequence", "template"))
    except ValueError:
        return Reported("bad_tag")
    if tenant is None:
        return Reported("untagged" if older else "no_tenant")

    sent, at = _time(mail), _time(body)
    if sent is None or at is None:
        return Reported("bad_time")
    if record_time - sent > 78 * DAY:
        return Reported("stale")
    at = max(at, sent)
    if at - record_time > DAY:
        return Reported("future")
    if at - sent > 62 * DAY:
        return Reported("late")

    match name:
        case "sent":
            people = mail.get("destination")
        case "delivered":
            people = body.get("recipients")
        case "bounced":
            people = _addresses(body.get("bouncedRecipients"))
        case "complained":
            people = _addresses(body.get("complainedRecipients"))
    day, message = sent.strftime("%Y-%m-%d"), mail["messageId"]
    if name in {"opened", "clicked"}:
        return Reported("counted", [Fact(tenant, sequence, template, day, message, None, name)], at)
    if not isinstance(people, list) or not all(isinstance(one, str) for one in people):
        return Reported("unreadable")
    if len(people) > 1000:
        return Reported("too_large")
    facts = [Fact(tenant, sequence, template, day, message, one, name) for one in sorted(set(people))]
    return Reported("counted", facts, at) if facts else Reported("empty")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _tag(tags: Any, name: str) -> str | None:
    if not isinstance(tags, dict):
        raise ValueError("tags are no object")  # noqa: TRY004 - of the same kind as the next ones
    value = tags.get(name, [])
    if value in ("", []):
        return None
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError("no list of strings")
    if len(value[0].encode()) > 255:
        raise ValueError("too long")
    return value[0] or None


def _time(body: Any) -> datetime | None:
    text = body.get("timestamp") if isinstance(body, dict) else None
    match = TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    day, clock, fraction, zone = match.groups(default="")
    try:
        time = datetime.fromisoformat(f"{day}T{clock}{fraction[:4]}{zone}").astimezone(UTC)
    except ValueError:
        return None
    return time


def _addresses(people: Any) -> Any:
    if not isinstance(people, list):
        return None
    return [one.get("emailAddress", 0) if isinstance(one, dict) else 0 for one in people]
