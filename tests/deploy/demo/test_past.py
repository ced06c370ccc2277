"""The demo's past: repeatable, readable, plausible, and with record times by which all of it counts."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.demo import past
from deploy.demo.past import DELAY_MS, Progress, Record
from deploy.demo.plan import PAST_DAYS, SCOPE_TAGS, Plan
from deploy.demo.senders import SENDERS
from deploy.demo.timeline import Planned
from deploy.traffic import DAY, HOUR
from tests.pipeline import oracle
from tests.pipeline.place import time_of

NOW_MS = int(datetime(2026, 11, 27, 10, 20, tzinfo=UTC).timestamp() * 1000)
TAGS = {**oracle.PAGE, **SCOPE_TAGS}


SHARE = 8
SMALLER = tuple(
    replace(
        sender,
        mailings=tuple(replace(each, mails=max(1, each.mails // SHARE)) for each in sender.mailings),
    )
    for sender in SENDERS
)
"""The demo's senders with an eighth of their mail, so that reading it all takes no minute."""


def planned() -> Planned:
    return Planned(Plan("seed", NOW_MS // DAY, senders=SMALLER))


def records(now_ms: int = NOW_MS, after_ms: int = 0) -> Iterator[Record]:
    return past.records(planned(), after_ms, now_ms)


@pytest.fixture(scope="module")
def reported() -> list[tuple[Record, oracle.Reported]]:
    """Every record, and what the independent reading of the law says of it."""
    return [(each, oracle.read(each.value, time_of(each.time_ms), TAGS)) for each in records()]


@pytest.fixture(scope="module")
def count(reported: list[tuple[Record, oracle.Reported]]) -> oracle.Count:
    return oracle.count_reported(outcome for _, outcome in reported)


def total(count: oracle.Count, scope: oracle.Scope, field: str, days: int = PAST_DAYS + 1) -> int:
    """Of the last days."""
    since = time_of(NOW_MS) - timedelta(days=days)
    hours = count.hours[scope].items()
    return sum(counts.get(field, 0) for hour, counts in hours if hour >= since)


def test_every_record_counts_and_none_is_of_the_future(
    reported: list[tuple[Record, oracle.Reported]],
) -> None:
    """Of 90 days, each a little younger than its event, in the order of their events."""
    before = None
    for record, outcome in reported:
        assert outcome.outcome == "counted", outcome
        assert outcome.at is not None
        assert outcome.at - timedelta(seconds=1) <= time_of(record.time_ms) <= time_of(NOW_MS)
        assert time_of(record.time_ms) - outcome.at < timedelta(milliseconds=DELAY_MS + 1_000)
        assert before is None or outcome.at > before - timedelta(seconds=1)
        before = outcome.at
    first = reported[0][1].at
    assert first is not None
    assert time_of(NOW_MS) - first > timedelta(days=PAST_DAYS)
    assert len({record.sns_message_id for record, _ in reported}) == len(reported)


def test_there_are_some_200_000_events() -> None:
    assert 180_000 < sum(1 for _ in Planned(Plan("seed", NOW_MS // DAY)).until(NOW_MS)) < 220_000


def test_a_newcomer_sees_every_field_of_every_kind_of_scope(count: oracle.Count) -> None:
    tenants = {tenant for tenant, _, _ in count.quarters}
    assert tenants == {"harbor-books", "fjord-travel", "kiln-and-clay"}
    for field in (*oracle.FIELDS, *oracle.DETAILS):
        assert sum(total(count, (tenant, "tenant", ""), field) for tenant in tenants), field
    ids = Counter(name for _, name, _ in count.quarters)
    assert ids["sequence"] == 3
    assert ids["template"] == 11
    assert ids["step"] == 6
    assert ids["campaign"] == 27
    days = Counter(hour.date() for hour in count.hours["harbor-books", "tenant", ""])
    assert len(days) == PAST_DAYS + 1, "no day is empty"


def test_one_tenant_is_in_good_health_one_critical_and_one_too_small(count: oracle.Count) -> None:
    """By the contract: from 0.05 and 0.10 of hard bounces on, and from 0.001 and 0.005 of complaints."""

    def share(tenant: str, part: str, base: str, days: int) -> float:
        scope = (tenant, "tenant", "")
        return total(count, scope, part, days) / total(count, scope, base, days)

    for days in (7, 30):
        assert share("fjord-travel", "bounced_hard", "sent", days) > 0.10
        assert share("harbor-books", "bounced_hard", "sent", days) < 0.02
        assert share("harbor-books", "complained", "delivered", days) < 0.001
        assert total(count, ("harbor-books", "tenant", ""), "sent", days) > 1_000 / SHARE
        assert total(count, ("kiln-and-clay", "tenant", ""), "sent", days) < 1_000 / SHARE
    bad = ("fjord-travel", "campaign", "bought-addresses")
    assert total(count, bad, "bounced_hard") > 0.25 * total(count, bad, "sent")
    for tenant in ("harbor-books", "fjord-travel"):
        assert share(tenant, "opened_human", "opened", 90) < 0.9, "machines open, too"


def test_it_goes_on_where_it_was(reported: list[tuple[Record, oracle.Reported]]) -> None:
    """What a later run sends are the same records again, or those that came since: never others."""
    later_ms = NOW_MS + 5 * HOUR
    through_ms = NOW_MS - 2 * DAY
    again = list(records(later_ms, through_ms))
    known = {record.sns_message_id: record for record, _ in reported}
    same = [record for record in again if record.sns_message_id in known]
    assert all(known[record.sns_message_id].value == record.value for record in same)
    since = [each for each, outcome in reported if outcome.at and outcome.at > time_of(through_ms)]
    assert len(same) >= len(since)
    new = [record for record in again if record.sns_message_id not in known]
    assert new
    assert all(NOW_MS < record.time_ms <= later_ms for record in new)


def test_progress_is_kept_with_the_day_on_which_it_began(tmp_path: Path) -> None:
    file = tmp_path / "progress.json"
    assert Progress.load(file, 20_784) == Progress(20_784, 0)
    Progress(20_784, 5).save(file)
    assert Progress.load(file, 20_785) == Progress(20_784, 5)
    assert [each.name for each in tmp_path.iterdir()] == ["progress.json"]
