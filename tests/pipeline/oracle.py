"""A second opinion: what the API must say of a list of records, counted the naive way.

Law: nothing here comes from the project. It is the law of counting once more in plain Python, with sets and
dictionaries and the standard library's times and zones, as slow and as obvious as that is. An error in the
project's core must not hide in its twin. (`test_records` proves the oracle itself, on cases worked out by
hand.) Long because a reader should find all of it here.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

MS = timedelta(milliseconds=1)
QUARTER, HOUR, DAY = timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)
TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d+)? ?(Z|[+-]\d\d:?[0-5]\d)", re.ASCII)
FIELDS = ("sent", "delivered", "opened", "clicked", "bounced", "complained")
"""Those of the metrics page."""

DETAILS = (
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
)
"""What is counted beside them."""

SHORT = {"sent", "delivered", "delayed", "rejected", "rendering_failed"}
"""Fields of which nothing is reported long after the send."""

NOT_ATTEMPTED = {
    "OnAccountSuppressionList",
    "OnTenantSuppressionList",
    "EmailValidationSuppressed",
    "UnsubscribedRecipient",
}

DEAD = {"unreadable", "bad_tag", "no_tenant", "bad_time", "future", "too_large"}
"""What makes a record a dead letter; all other outcomes leave no trace but in the metrics."""

Scope = tuple[str, str, str]
"""Tenant; `tenant` or the name of a further scope; its id ("" for the tenant itself)."""

Cell = tuple[Scope, datetime, str]
"""A number: of a scope, of a quarter of an hour, of a field."""

PAGE = {"sequence": "sequence", "template": "template"}
"""The scopes of the metrics page, each with the tag that names its ids; `SCOPE_TAGS` adds more."""


@dataclass(frozen=True)
class Fact:
    """What is true once, at its earliest. ids: name and id of each further scope that the mail has."""

    tenant: str
    ids: tuple[tuple[str, str], ...]
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
    """The numbers: of each scope, of each quarter of an hour, of each field that is not 0 there."""

    quarters: dict[Scope, dict[datetime, dict[str, int]]]

    @cached_property
    def hours(self) -> dict[Scope, dict[datetime, dict[str, int]]]:
        """The same by hours of UTC."""
        hours: dict[Scope, dict[datetime, dict[str, int]]] = {}
        for scope, quarters in self.quarters.items():
            of_scope = hours.setdefault(scope, {})
            for quarter, counts in quarters.items():
                of_hour = of_scope.setdefault(start_of("hour", quarter), {})
                for name, number in counts.items():
                    of_hour[name] = of_hour.get(name, 0) + number
        return hours

    def scopes(self, tenant: str) -> list[Scope]:
        return sorted(scope for scope in self.quarters if scope[0] == tenant)

    def cells(self) -> dict[Cell, int]:
        """Every number there is."""
        return {
            (scope, quarter, name): number
            for scope, quarters in self.quarters.items()
            for quarter, counts in quarters.items()
            for name, number in counts.items()
        }

    def body(
        self, scope: Scope, period: str, first: datetime, last: datetime, zone: str = "UTC"
    ) -> dict[str, Any]:
        """The API's whole answer to a query with `from=first` and `to=last`. zone: an IANA name."""
        by_quarters = is_off_the_hour(zone, first, last)
        of_scope = (self.quarters if by_quarters else self.hours).get(scope, {})
        points = {
            start: dict.fromkeys(FIELDS, 0) for start in _starts(period, first, last, zone, by_quarters)
        }
        for at, counts in of_scope.items():
            if first <= at <= last:
                point = points[start_in_zone(period, at, zone, by_quarters)]
                for name in FIELDS:
                    point[name] += counts.get(name, 0)
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
    """When the period that holds a time starts, by the clock that the time is given in."""
    if period == "quarter":
        return time.replace(minute=time.minute // 15 * 15, second=0, microsecond=0)
    hour = time.replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    match period:
        case "hour":
            return hour
        case "day":
            return day
        case "week":
            return day - DAY * day.weekday()
        case _:
            return day.replace(day=1)


@lru_cache(maxsize=200_000)
def start_in_zone(period: str, at: datetime, zone: str, by_quarters: bool) -> datetime:
    """The same by the clocks of a zone; `at` and the answer are UTC's.

    by_quarters: whether points by hour follow those clocks too; else they are hours of UTC.
    """
    if zone == "UTC" or (period == "hour" and not by_quarters):
        return start_of(period, at)
    clocks = ZoneInfo(zone)
    if period != "hour":
        midnight = start_of(period, at.astimezone(clocks).replace(tzinfo=None))
        return midnight.replace(tzinfo=clocks).astimezone(UTC)
    # Back to the last full hour that the clocks showed, or to where they were set.
    at = start_of("quarter", at)
    while at.astimezone(clocks).minute and _offset(at - QUARTER, clocks) == _offset(at, clocks):
        at -= QUARTER
    return at


@lru_cache(maxsize=10_000)
def is_off_the_hour(zone: str, first: datetime, last: datetime) -> bool:
    """Whether the clocks of a zone differ from UTC by a part of an hour anywhere in a range."""
    if zone == "UTC":
        return False
    clocks = ZoneInfo(zone)
    at = first
    while at < last:
        if _offset(at, clocks) % HOUR:
            return True
        at += QUARTER
    return bool(_offset(last, clocks) % HOUR)


def _offset(at: datetime, clocks: ZoneInfo) -> timedelta:
    offset = at.astimezone(clocks).utcoffset()
    assert offset is not None
    return offset


def _starts(period: str, first: datetime, last: datetime, zone: str, by_quarters: bool) -> Iterator[datetime]:
    """The start of every period from the one that holds `first` to the one that holds `last`."""
    at = start_in_zone(period, first, zone, by_quarters)
    while at <= last:
        yield at
        later = at + {"hour": QUARTER, "day": 20 * HOUR, "week": 6 * DAY}.get(period, 27 * DAY)
        while start_in_zone(period, later, zone, by_quarters) == at:
            later += QUARTER
        at = start_in_zone(period, later, zone, by_quarters)


def count(records: Iterable[tuple[bytes | None, datetime]], tags: Mapping[str, str] = PAGE) -> Count:
    """Count records, given as their bytes and their own Kafka time. tags: as in `read`."""
    return count_reported(read(value, record_time, tags) for value, record_time in records)


def count_reported(records: Iterable[Reported]) -> Count:
    """Count what records say: each fact once, at its earliest, for each of its scopes."""
    first: dict[Fact, datetime] = {}
    for reported in records:
        for fact in reported.facts:
            assert reported.at is not None
            if fact not in first or reported.at < first[fact]:
                first[fact] = reported.at
    quarters: dict[Scope, dict[datetime, dict[str, int]]] = {}
    for fact, at in first.items():
        for name, id_ in (("tenant", ""), *fact.ids):
            of_scope = quarters.setdefault((fact.tenant, name, id_), {})
            of_quarter = of_scope.setdefault(start_of("quarter", at), {})
            of_quarter[fact.field] = of_quarter.get(fact.field, 0) + 1
    return Count(quarters)


def read(  # noqa: PLR0911, PLR0912, PLR0915 - the law, one step under the other
    value: bytes | None, record_time: datetime, tags: Mapping[str, str] = PAGE
) -> Reported:
    """What one record says, in the order in which the law of reading asks.

    tags: by the name of each further scope the tag that names its ids.
    """
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
    body: Any
    names: list[str]
    match kind:
        case "Send":
            names, body = ["sent"], mail
        case "Reject":
            names, body = ["rejected"], mail
        case "Rendering Failure":
            names, body = ["rendering_failed"], mail
        case "Delivery":
            names, body = ["delivered"], event.get("delivery")
        case "DeliveryDelay":
            names, body = ["delayed"], event.get("deliveryDelay")
        case "Open":
            body = event.get("open")
            names = ["opened"] if _by_machine(body) else ["opened", "opened_human"]
        case "Click":
            body = event.get("click")
            names = ["clicked"] if _by_machine(body) else ["clicked", "clicked_human"]
        case "Bounce":
            body = event.get("bounce")
            names = ["bounced", _kind_of_bounce(body)]
        case "Complaint":
            names, body = ["complained"], event.get("complaint")
            if isinstance(body, dict) and body.get("complaintFeedbackType") == "not-spam":
                return Reported("ignored")
        case "Subscription":
            names, body = ["unsubscribed"], event.get("subscription")
            if not _unsubscribes(body):
                return Reported("ignored")
        case _:
            return Reported("ignored")
    if not isinstance(mail, dict) or not isinstance(mail.get("messageId"), str) or not mail["messageId"]:
        return Reported("unreadable")

    carried = mail.get("tags", {})
    try:
        tenant = _tag(carried, "tenant")
        ids = [(name, _tag(carried, tag)) for name, tag in tags.items()]
    except ValueError:
        return Reported("bad_tag")
    if tenant is None:
        return Reported("untagged" if older else "no_tenant")

    sent, at = _time(mail), _time(body)
    if sent is None or at is None:
        return Reported("bad_time")
    names = [name for name in names if record_time - sent <= (18 if name in SHORT else 78) * DAY]
    if not names:
        return Reported("stale")
    at = max(at, sent)
    if at - record_time > DAY:
        return Reported("future")
    names = [name for name in names if at - sent <= (3 if name in SHORT else 62) * DAY]
    if not names:
        return Reported("late")

    people: Any
    match kind:
        case "Send" | "Reject" | "Rendering Failure":
            people = mail.get("destination")
        case "Delivery":
            people = body.get("recipients")
        case "DeliveryDelay":
            people = _addresses(body.get("delayedRecipients"))
        case "Bounce":
            people = _addresses(body.get("bouncedRecipients"))
        case "Complaint":
            people = _addresses(body.get("complainedRecipients"))
        case _:
            people = None
    about = (
        tenant,
        tuple((name, id_) for name, id_ in ids if id_ is not None),
        sent.strftime("%Y-%m-%d"),
        mail["messageId"],
    )
    if kind in {"Open", "Click", "Subscription"}:
        return Reported("counted", [Fact(*about, None, name) for name in names], at)
    if not isinstance(people, list) or not all(isinstance(one, str) for one in people):
        return Reported("unreadable")
    if len(people) > 1000:
        return Reported("too_large")
    facts = [Fact(*about, one, name) for one in sorted(set(people)) for name in names]
    return Reported("counted", facts, at) if facts else Reported("empty")


def _kind_of_bounce(bounce: Any) -> str:
    """Which of the four kinds of bounce it is."""
    about = bounce if isinstance(bounce, dict) else {}
    subtype = about.get("bounceSubType")
    match about.get("bounceType"):
        case "Permanent":
            not_attempted = isinstance(subtype, str) and subtype in NOT_ATTEMPTED
            return "suppressed" if not_attempted else "bounced_hard"
        case "Transient":
            return "bounced_soft"
        case _:
            return "bounced_undetermined"


def _unsubscribes(subscription: Any) -> bool:
    """Whether somebody wants no more mail at all."""
    new = subscription.get("newTopicPreferences") if isinstance(subscription, dict) else None
    return isinstance(new, dict) and new.get("unsubscribeAll") is True


def _by_machine(body: Any) -> bool:
    """Whether no person opened or clicked: SES's word, and where it has none what the agent calls itself."""
    if not isinstance(body, dict):
        return False
    if "isBotEvent" in body:
        return bool(body["isBotEvent"] == "Likely")
    agent = body.get("userAgent")
    if not isinstance(agent, str):
        return False
    apple, gmail = "Mozilla/5.0", "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
    scanners = (
        "Barracuda Sentinel|Mimecast|Proofpoint|HeadlessChrome/|BingPreview/|Slackbot|SkypeUriPreview"
        "|TelegramBot|Twitterbot/|LinkedInBot/|facebookexternalhit/"
    )
    return agent == apple or agent.endswith(gmail) or re.search(scanners, agent) is not None


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
