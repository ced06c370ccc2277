"""What the demo's tenants send, and when, is what a newcomer would expect of such tenants."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from deploy.demo.plan import PAST_DAYS, Plan, TagNames
from deploy.demo.senders import SATURDAY, SENDERS, TUESDAY
from deploy.traffic import DAY, HOUR

FIRST_DAY = 20_784
"""Friday, 27 November 2026."""

DAYS = range(FIRST_DAY - PAST_DAYS, FIRST_DAY + 1)


def weekday(day: int) -> int:
    return datetime.fromtimestamp(day * DAY / 1000, UTC).weekday()


def sent(day: int, plan: Plan | None = None) -> Counter[tuple[str, str]]:
    """How many mails of a day have each tag and value."""
    mails = (plan or Plan("seed", FIRST_DAY)).of_day(day)
    return Counter(pair for _, _, letter in mails for pair in letter.tags.items())


def drawn(plan: Plan, day: int) -> list[Any]:
    return [(rng.random(), sent_ms, letter) for rng, sent_ms, letter in plan.of_day(day)]


def test_a_day_is_a_pure_function_of_the_seed_and_the_first_day() -> None:
    day = FIRST_DAY - 3
    assert drawn(Plan("seed", FIRST_DAY), day) == drawn(Plan("seed", FIRST_DAY), day)
    assert drawn(Plan("seed", FIRST_DAY), day) != drawn(Plan("other", FIRST_DAY), day)


def test_the_mails_of_a_day_are_sent_on_it() -> None:
    for day in (DAYS[0], DAYS[-1], DAYS[40]):
        times = [sent_ms for _, sent_ms, _ in Plan("seed", FIRST_DAY).of_day(day)]
        assert times
        assert all(day * DAY <= time < (day + 1) * DAY for time in times)


def test_people_sleep_and_weekends_are_quiet() -> None:
    """Of receipts: few by night, two thirds at most on a Saturday or Sunday, more in the long run."""
    receipts = [
        (day, sent_ms % DAY // HOUR)
        for day in DAYS
        for _, sent_ms, letter in Plan("seed", FIRST_DAY).of_day(day)
        if letter.template == "order-receipt"
    ]
    night = sum(hour < 5 for _, hour in receipts)
    assert 0 < night < len(receipts) * 0.08
    days = Counter(day for day, _ in receipts)
    quiet = [count for day, count in days.items() if weekday(day) >= SATURDAY]
    busy = [count for day, count in days.items() if weekday(day) < SATURDAY]
    assert sum(quiet) / len(quiet) < sum(busy) / len(busy) * 2 / 3
    middle = DAYS[45]
    assert sum(days[day] for day in DAYS if day > middle) > 1.1 * sum(
        days[day] for day in DAYS if day < middle
    )


def test_newsletters_have_an_issue_a_week_and_series_go_on_every_day() -> None:
    plan = Plan("seed", FIRST_DAY)
    issues = {day: [value for tag, value in sent(day, plan) if tag == "campaign"] for day in DAYS}
    shelf = {day: each for day in DAYS for each in issues[day] if each.startswith("shelf-")}
    assert {weekday(day) for day in shelf} == {TUESDAY}
    assert len(set(shelf.values())) == len(shelf) == PAST_DAYS // 7 + 1
    for day in DAYS:
        assert all(sent(day, plan)["step", step] for step in ("day-0", "day-3", "day-10"))
    assert [day for day in DAYS if "bought-addresses" in issues[day]] == [FIRST_DAY - 4]


def test_receipts_have_no_sequence_and_tags_have_the_names_that_were_asked_for() -> None:
    plan = Plan("seed", FIRST_DAY, TagNames("customer", "journey", "layout"))
    letters = [letter for _, letter in plan.usual(FIRST_DAY)]
    assert {letter.tags["customer"] for letter in letters} == {sender.tenant for sender in SENDERS}
    receipts = [letter for letter in letters if letter.tags["layout"] == "order-receipt"]
    assert [sorted(letter.tags) for letter in receipts] == [["customer", "layout"]]
    welcome = [letter for letter in letters if letter.tags["layout"] == "welcome-day-3"]
    assert [letter.tags["journey"] for letter in welcome] == ["welcome"]
    assert all(letter.tags.get("campaign") != "bought-addresses" for letter in letters)
