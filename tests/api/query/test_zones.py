"""Hours, days, weeks and months of every time zone, against a walk by the standard library's clocks.

Long because each case is one more thing that clocks have done.
"""

from bisect import bisect_right
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.errors import INVALID_RANGE, RANGE_TOO_LARGE, ApiError
from api.query.answers import metrics_body
from api.query.instants import format_instant, parse_instant
from api.query.parameters import TENANT_PARAMETERS
from api.query.query import read_query
from api.query.ranges import Range, parse_range, range_before
from api.query.rollup import Series, add_up
from api.query.zones import zone_names, zone_of
from tests.api import model
from tests.api.conftest import NOW_MS, Door
from tests.api.model import ALL, FIELDS
from tests.api.query.test_rollup import NOTHING, by_day, choices, shown
from tests.api.writer import Writer
from tests.examples import examples

PERIODS = ["hour", "day", "week", "month"]

# Where clocks do what they seldom do: skip a day, show one twice, change within a quarter or over midnight.
CHANGES = [
    ("Europe/Berlin", datetime(2025, 3, 30, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(1893, 3, 31, 23, tzinfo=UTC)),
    ("Europe/Amsterdam", datetime(1937, 6, 30, 23, 40, 28, tzinfo=UTC)),
    ("America/Havana", datetime(2025, 11, 2, 5, tzinfo=UTC)),
    ("America/Santiago", datetime(2025, 9, 7, 4, tzinfo=UTC)),
    ("America/St_Johns", datetime(2006, 10, 29, 2, 31, tzinfo=UTC)),
    ("America/St_Johns", datetime(2025, 11, 2, 4, 30, tzinfo=UTC)),
    ("America/St_Johns", datetime(1935, 3, 30, 3, 30, 52, tzinfo=UTC)),
    ("America/Goose_Bay", datetime(2010, 11, 7, 3, 1, tzinfo=UTC)),
    ("America/Toronto", datetime(1919, 3, 31, 4, 30, tzinfo=UTC)),
    ("America/Phoenix", datetime(1944, 1, 1, 6, 1, tzinfo=UTC)),
    ("America/Juneau", datetime(1867, 10, 19, 0, 31, 13, tzinfo=UTC)),
    ("America/Caracas", datetime(2007, 12, 9, 7, tzinfo=UTC)),
    ("America/Caracas", datetime(2016, 5, 1, 7, tzinfo=UTC)),
    ("Africa/Casablanca", datetime(2025, 2, 23, 2, tzinfo=UTC)),
    ("Africa/Monrovia", datetime(1972, 1, 7, 0, 44, 30, tzinfo=UTC)),
    ("Antarctica/Casey", datetime(2010, 3, 4, 15, tzinfo=UTC)),
    ("Antarctica/Troll", datetime(2025, 3, 30, 1, tzinfo=UTC)),
    ("Asia/Beirut", datetime(2024, 3, 30, 22, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(1985, 12, 31, 18, 30, tzinfo=UTC)),
    ("Asia/Kolkata", datetime(1941, 9, 30, 18, 6, 40, tzinfo=UTC)),
    ("Asia/Pyongyang", datetime(2015, 8, 14, 15, tzinfo=UTC)),
    ("Asia/Pyongyang", datetime(2018, 5, 4, 15, tzinfo=UTC)),
    ("Australia/Adelaide", datetime(2025, 10, 4, 16, 30, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2025, 4, 5, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2025, 10, 4, 15, 30, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ("Pacific/Chatham", datetime(2025, 4, 5, 14, tzinfo=UTC)),
    ("Pacific/Kwajalein", datetime(1993, 8, 21, 12, tzinfo=UTC)),
]
zones = st.sampled_from(sorted(zone_names()))
anywhere = st.tuples(
    zones,
    st.datetimes(
        min_value=datetime(1860, 1, 1),  # noqa: DTZ001 - Hypothesis wants the bounds without a zone
        max_value=datetime(2040, 1, 1),  # noqa: DTZ001 - as above
        timezones=st.just(UTC),
    ),
)
changes = st.sampled_from(CHANGES)


@dataclass(frozen=True)
class Case:
    """A query in a zone, and what was counted around its range."""

    name: str
    first: datetime
    last: datetime
    counted: dict[tuple[datetime, str], int]

    def ask(self, period: str, fields: tuple[str, ...] = FIELDS) -> tuple[Range, Series]:
        """The API's answer, from days as it would read them."""
        asked = parse_range(period, model.text(self.first), model.text(self.last), NOW_MS, zone_of(self.name))
        step = timedelta(milliseconds=asked.step_ms)
        return asked, add_up(asked, by_day(self.counted, [asked.days], step), fields)


@st.composite
def cases(draw: st.DrawFn, near: st.SearchStrategy[tuple[str, datetime]]) -> Case:
    """near: a zone and a time near which the range lies."""
    name, moment = draw(near)
    lengths = [timedelta(minutes=20), timedelta(hours=5), timedelta(days=2), timedelta(days=40)]
    length = draw(st.sampled_from(lengths))
    first = moment - draw(st.timedeltas(timedelta(0), length))
    last = first + draw(st.timedeltas(timedelta(0), 2 * length))
    first, last = (each.replace(microsecond=each.microsecond // 1000 * 1000) for each in (first, last))
    quarters = (last - first) // model.QUARTER
    times = st.integers(-8, quarters + 8) | st.integers(-8, 8)
    rows = st.dictionaries(st.tuples(times, st.sampled_from(ALL)), st.integers(1, 9), max_size=20)
    base = model.start_of("hour", first)
    counted = {(base + at * model.QUARTER, field): count for (at, field), count in draw(rows).items()}
    return Case(name, first, last, counted)


@settings(deadline=None, max_examples=examples(150))
@given(cases(anywhere | changes), st.sampled_from(PERIODS), choices)
def test_points_equal_a_walk_by_the_clocks(case: Case, period: str, fields: tuple[str, ...]) -> None:
    """Every point, its start and its counts, in every zone, whatever the clocks did in the range."""
    _, series = case.ask(period, fields)
    rules = model.rules(case.name)
    expected = model.answer(period, case.first, case.last, case.counted, rules, fields=fields)
    assert shown(series, fields) == expected


@settings(deadline=None, max_examples=examples(100))
@given(cases(anywhere | changes))
def test_points_partition_what_counts(case: Case) -> None:
    """The points of every period add up to the same totals, and each step that counts is in one point.

    Where each step has a count of its own, the counts show it: those of the points add up to all of them.
    """
    first = model.start_of("hour", case.first)
    number = min((case.last - first) // model.QUARTER + 5, 3_000)
    everywhere = {(first + at * model.QUARTER, "sent"): 1 for at in range(number)}
    whole = model.is_whole(model.rules(case.name), case.first, case.last)
    starts = (model.start_of("hour", each) if whole else each for each, _ in everywhere)
    expected = sum(case.first <= each <= case.last for each in starts)
    for period in PERIODS:
        asked, series = replace(case, counted=everywhere).ask(period)
        points = [counts[0] for _, counts in series.points]
        assert sum(points) == series.totals[0] == expected
        assert list(asked.starts) == sorted(set(asked.starts))
        assert asked.starts[0] <= asked.from_ms
        assert asked.starts[-1] <= asked.to_ms < asked.end_ms


@settings(deadline=None, max_examples=examples(100))
@given(cases(anywhere | changes))
def test_hours_add_up_to_days_weeks_and_months(case: Case) -> None:
    """The points of hours that begin in a longer one, or before its steps, sum to it."""
    _, hours = case.ask("hour")
    for period in PERIODS[1:]:
        asked, longer = case.ask(period)
        sums = [[0] * len(FIELDS) for _ in asked.starts]
        for start, counts in hours.points:
            at = max(bisect_right(asked.starts, start) - 1, 0)
            sums[at] = [one + other for one, other in zip(sums[at], counts, strict=True)]
        assert [tuple(each) for each in sums] == [counts for _, counts in longer.points]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2025-03-30", 23),
        ("Europe/Berlin", "2025-10-26", 25),
        ("Europe/Berlin", "2025-09-01", 24),
        ("America/New_York", "2025-03-09", 23),
        ("America/Havana", "2025-11-02", 25),
        ("America/Santiago", "2025-09-07", 23),
        ("Asia/Beirut", "2024-03-31", 23),
        ("Antarctica/Troll", "2025-03-30", 22),
    ],
)
def test_days_have_as_many_hours_as_the_clocks_give_them(zone: str, day: str, hours: int) -> None:
    """A date alone is the whole of that day there, to its last millisecond; its hours are all points."""
    asked = parse_range("day", day, day, NOW_MS, zone_of(zone))
    assert (asked.to_ms + 1 - asked.from_ms, len(asked.starts)) == (hours * 3_600_000, 1)
    assert len(parse_range("hour", day, day, NOW_MS, zone_of(zone)).starts) == hours


def test_a_day_that_a_zone_skips_is_no_point() -> None:
    """Samoa went from the 29th to the 31st of December 2011."""
    asked = parse_range("day", "2011-12-28", "2012-01-01", NOW_MS, zone_of("Pacific/Apia"))
    starts = [format_instant(start) for start, _ in add_up(asked, NOTHING, FIELDS).points]
    assert starts == [
        "2011-12-28T10:00:00.000Z",
        "2011-12-29T10:00:00.000Z",
        "2011-12-30T10:00:00.000Z",
        "2011-12-31T10:00:00.000Z",
    ]


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2025-09-01T00:00", "2025-08-31T22:00:00.000Z"),
        ("2025-01-01 12:00:00", "2025-01-01T11:00:00.000Z"),
        ("2025-09-01T00:00Z", "2025-09-01T00:00:00.000Z"),
        ("2025-09-01T00:00-03:00", "2025-09-01T03:00:00.000Z"),
        ("2025-03-30T02:30", "2025-03-30T01:30:00.000Z"),
        ("2025-10-26T02:30", "2025-10-26T00:30:00.000Z"),
    ],
)
def test_a_time_without_an_offset_is_read_there(text: str, utc: str) -> None:
    """One that the clocks skip is read by the offset before, one shown twice is the first."""
    assert format_instant(parse_instant(text, end_of_day=False, zone=zone_of("Europe/Berlin"))) == utc


@pytest.mark.parametrize(
    ("zone", "first", "last", "is_whole"),
    [
        ("Asia/Kolkata", "2025-01-01", "2025-01-02", False),
        ("Asia/Kathmandu", "2025-01-01", "2025-01-02", False),
        ("Australia/Lord_Howe", "2025-01-01", "2025-03-31", True),
        ("Australia/Lord_Howe", "2025-01-01", "2025-04-06", False),
        ("Australia/Lord_Howe", "2025-01-01", "2030-01-31", False),
        ("Asia/Pyongyang", "2019-01-01", "2025-01-01", True),
        ("Asia/Pyongyang", "2015-08-01", "2025-01-01", False),
        ("Asia/Pyongyang", "2014-01-01", "2015-08-01", True),
        ("Europe/Berlin", "1890-01-01", "2025-01-01", False),
        ("Europe/Berlin", "1894-01-01", "2200-01-01", True),
        ("UTC", "0001-01-01", "0800-01-01", True),
    ],
)
def test_whether_quarters_count_depends_on_the_asked_range(
    zone: str, first: str, last: str, is_whole: bool
) -> None:
    """The same zone may lie on whole hours in one range and not in another."""
    asked = parse_range("month", first, last, NOW_MS, zone_of(zone))
    assert asked.step_ms == (3_600_000 if is_whole else 900_000)


def test_an_hour_of_clocks_that_change_within_a_quarter() -> None:
    """At 00:01 by its clocks St. John's went back to 23:01: an hour of one minute, and one of 59."""
    asked = parse_range("hour", "2006-10-29T02:00Z", "2006-10-29T04:00Z", NOW_MS, zone_of("America/St_Johns"))
    assert [format_instant(start)[11:19] for start in asked.starts] == [
        "01:30:00",
        "02:30:00",
        "02:31:00",
        "03:30:00",
    ]
    assert format_instant(asked.end_ms) == "2006-10-29T04:30:00.000Z"


def test_a_day_goes_on_when_clocks_are_put_back_over_its_midnight() -> None:
    """Goose Bay's 7 November 2010 began at 03:00 UTC, for a minute; then it was the 6th again for an hour."""
    for first, last in (("03:00:30", "03:30"), ("02:59", "03:30"), ("03:30", "05:00")):
        asked = parse_range(
            "day", f"2010-11-07T{first}Z", f"2010-11-07T{last}Z", NOW_MS, zone_of("America/Goose_Bay")
        )
        assert format_instant(asked.starts[-1]) == "2010-11-07T03:00:00.000Z"
        assert len(asked.starts) == 1 + (first == "02:59")


def test_the_span_before_counts_as_finely_as_the_range() -> None:
    """Lord Howe is off the hour in winter: a range in summer is by hour, the span before it is not."""
    query = {
        "timezone": "Australia/Lord_Howe",
        "compare": "previous",
        "from": "2025-10-06",
        "to": "2025-10-10",
    }
    asked = read_query(query.items(), TENANT_PARAMETERS, NOW_MS)
    assert asked.previous is not None
    assert (asked.asked.step_ms, asked.previous.step_ms, asked.needs.by_quarter) == (3_600_000, 900_000, True)
    end = datetime(2025, 10, 5, 13, tzinfo=UTC)
    assert asked.previous.to_ms == model.ms(end) - 1
    counted = {(end + at * model.QUARTER, "sent"): 10**at for at in range(-4, 8) if at in (-1, 0, 1, 5)}
    tenfold = {key: int(count * 10) for key, count in counted.items()}
    days = by_day(tenfold, asked.needs.days, model.QUARTER)
    body = metrics_body(asked, days, None, None)
    assert body["totals"]["sent"] == 10 + 100 + 10**6
    assert body["previous"]["totals"]["sent"] == 1


@settings(deadline=None, max_examples=examples(100))
@given(cases(anywhere | changes), st.sampled_from(PERIODS))
def test_the_span_before_has_as_many_points(case: Case, period: str) -> None:
    """It ends where the first point begins, and asked for itself it has the same points."""
    asked, _ = case.ask(period)
    if len(asked.starts) != asked.periods:
        return  # a day that there was not
    before = range_before(asked)
    assert before.to_ms == asked.starts[0] - 1
    assert before.end_ms == asked.starts[0]
    assert (before.from_ms, before.periods) == (before.starts[0], asked.periods)
    if asked.step_ms == before.step_ms and len(before.starts) == asked.periods:
        first, last = (format_instant(each) for each in (before.from_ms, before.to_ms))
        itself = parse_range(period, first, last, NOW_MS, asked.zone)
        if itself.step_ms == before.step_ms:
            assert list(itself.starts) == list(before.starts)


@pytest.mark.parametrize(
    "zone", ["Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns"]
)
@pytest.mark.parametrize(("period", "points"), [("hour", 24), ("day", 30), ("week", 12), ("month", 12)])
def test_the_default_range_has_as_many_points_off_the_hour(zone: str, period: str, points: int) -> None:
    """Whenever it is asked for, around a change too."""
    change = model.ms(datetime(2025, 10, 4, 15, 30, tzinfo=UTC))
    for now_ms in (NOW_MS, *(change + minutes * 60_000 for minutes in range(-180, 1_700, 17))):
        assert len(parse_range(period, None, None, now_ms, zone_of(zone)).starts) == points


edges = st.sampled_from(
    [None, "0001-01-01", "0001-01-01T12:00", "0001-01-03", "9999-12-31", "9999-12-31T12:00", "2025-09-01"]
)


@settings(deadline=None, max_examples=examples(300))
@given(st.sampled_from(sorted(zone_names())), st.sampled_from(["hour", "day", "week", "month"]), edges, edges)
def test_every_zone_has_an_answer_or_a_refusal(
    name: str, period: str, first: str | None, last: str | None
) -> None:
    """In no zone, at no end of time, is anything but ApiError raised."""
    refusals: list[ApiError] = []
    try:
        asked = parse_range(period, first, last, NOW_MS, zone_of(name))
    except ApiError as refusal:
        refusals.append(refusal)
    if refusals:
        assert refusals[0].code in (INVALID_RANGE, RANGE_TOO_LARGE)
        return
    series = add_up(asked, NOTHING, FIELDS)
    assert len(series.points) == len(asked.starts) >= 1
    assert all(format_instant(start) for start, _ in series.points)
    assert asked.end_ms > asked.from_ms


def test_the_default_range_is_whole_days_of_the_zone() -> None:
    asked = parse_range(None, None, None, NOW_MS, zone_of("America/New_York"))
    assert (len(asked.starts), format_instant(asked.from_ms)) == (30, "2025-08-19T04:00:00.000Z")


@pytest.mark.parametrize(
    "name",
    ["berlin", "europe/berlin", "CEST", "+02:00", "right/UTC", "../../etc/passwd", "Europe", "x" * 999],
)
def test_names_that_are_no_zone(writer: Writer, door: Door, name: str) -> None:
    assert writer.generation.name == "g1"
    response = door.client.build_request("GET", "/api/metrics", params={"timezone": name})
    refusal = door.get(str(response.url)).json()
    assert (refusal["code"], refusal["parameter"]) == ("INVALID_TIMEZONE", "timezone")


def test_a_zone_over_http(writer: Writer, door: Door) -> None:
    """The answer's instants are UTC, the zone stands as it was given, and UTC is the same as none."""
    assert writer.generation.name == "g1"
    span = "from=2025-10-25&to=2025-10-27"
    body = door.get(f"/api/metrics?timezone=Europe/Berlin&{span}").json()
    assert (body["from"], body["to"]) == ("2025-10-24T22:00:00.000Z", "2025-10-27T22:59:59.999Z")
    assert body["timezone"] == "Europe/Berlin"
    assert [point["timestamp"] for point in body["timeseries"]] == [
        "2025-10-24T22:00:00.000Z",
        "2025-10-25T22:00:00.000Z",
        "2025-10-26T23:00:00.000Z",
    ]
    utc = door.get(f"/api/metrics?timezone=UTC&{span}").json()
    assert utc.pop("timezone") == "UTC"
    assert utc == door.get(f"/api/metrics?{span}").json()
