"""Days, weeks and months of a time zone, against a walk over the hours with the standard library's zones."""

from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.errors import INVALID_RANGE, RANGE_TOO_LARGE, UNSUPPORTED_TIMEZONE, ApiError
from api.query.instants import format_instant, parse_instant
from api.query.rollup import add_up, parse_range
from api.query.zones import zone_names, zone_of
from schemas.kinds import FIELDS
from tests.api import model
from tests.api.conftest import NOW_MS, Door
from tests.api.query.test_rollup import by_day
from tests.api.writer import Writer
from tests.examples import examples

# Both hemispheres, changes at midnight (Havana, Santiago, Beirut), a skipped day (Apia), no changes at all.
WHOLE = [
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",
    "America/Santiago",
    "Asia/Beirut",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Antarctica/Troll",
    "Asia/Tokyo",
    "Etc/GMT+12",
]
moments = st.datetimes(
    min_value=datetime(2011, 6, 1),  # noqa: DTZ001 - Hypothesis wants the bounds without a zone
    max_value=datetime(2031, 1, 1),  # noqa: DTZ001 - as above
    timezones=st.just(UTC),
).map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))


@cache
def rules(name: str) -> ZoneInfo:
    """The package's rules: those of the machine that runs the tests may be older."""
    with resources.files("tzdata").joinpath("zoneinfo", name).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def local_period(period: str, hour: datetime, zone: ZoneInfo) -> tuple[int, ...]:
    """The name of the period that holds an hour, by the clocks of the zone."""
    there = hour.astimezone(zone)
    if period == "week":
        return tuple(there.isocalendar())[:2]
    return (there.year, there.month, there.day)[: 2 if period == "month" else 3]


def walk(
    period: str, first: datetime, last: datetime, zone: ZoneInfo, counted: model.Counted
) -> list[dict[str, object]]:
    """Hour by hour: a point for each period met, named by the first UTC hour that lies in it."""
    start, stop = first.replace(minute=0, second=0, microsecond=0), last
    while local_period(period, start - model.HOUR, zone) == local_period(period, first, zone):
        start -= model.HOUR
    points: dict[tuple[int, ...], dict[str, object]] = {}
    hour = start
    while hour <= stop:
        name = local_period(period, hour, zone)
        point = points.setdefault(name, {"timestamp": model.text(hour), **dict.fromkeys(FIELDS, 0)})
        if hour >= first:
            for field in FIELDS:
                point[field] = int(str(point[field])) + counted.get((hour, field), 0)
        hour += model.HOUR
    return list(points.values())


@settings(deadline=None, max_examples=examples(150))
@given(
    moments,
    st.timedeltas(timedelta(0), timedelta(days=70)),
    st.sampled_from(["day", "week", "month"]),
    st.sampled_from(WHOLE),
    st.dictionaries(
        st.tuples(st.integers(-50, 1750), st.sampled_from(FIELDS)), st.integers(1, 9), max_size=20
    ),
)
def test_points_equal_a_walk_over_the_hours(
    first: datetime, span: timedelta, period: str, name: str, offsets: dict[tuple[int, str], int]
) -> None:
    """Every point, its start and its counts, whatever the clocks did in the range."""
    last = first + span
    last = last.replace(microsecond=last.microsecond // 1000 * 1000)
    base = first.replace(minute=0, second=0, microsecond=0)
    counted = {(base + offset * model.HOUR, field): count for (offset, field), count in offsets.items()}
    asked = parse_range(period, model.text(first), model.text(last), NOW_MS, zone_of(name))
    days = {day: cells for day, cells in by_day(counted).items() if day in asked.days}
    shown = [
        {"timestamp": format_instant(start), **dict(zip(FIELDS, counts, strict=True))}
        for start, counts in add_up(asked, days).points
    ]
    assert shown == walk(period, first, last, rules(name), counted)


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
    starts = [format_instant(start) for start, _ in add_up(asked, {}).points]
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
    ("zone", "first", "last", "is_supported"),
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
def test_a_zone_is_judged_in_the_asked_range(zone: str, first: str, last: str, is_supported: bool) -> None:
    """The same zone may be told in one range and not in another."""
    if is_supported:
        assert parse_range("month", first, last, NOW_MS, zone_of(zone)).starts
        return
    with pytest.raises(ApiError) as refusal:
        parse_range("month", first, last, NOW_MS, zone_of(zone))
    assert (refusal.value.code, refusal.value.parameter) == (UNSUPPORTED_TIMEZONE, "timezone")


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
        assert refusals[0].code in (INVALID_RANGE, RANGE_TOO_LARGE, UNSUPPORTED_TIMEZONE)
        return
    assert len(add_up(asked, {}).points) == len(asked.starts) >= 1
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
    told = door.get(str(response.url)).json()
    assert (told["code"], told["parameter"]) == ("INVALID_TIMEZONE", "timezone")


def test_a_zone_over_http(writer: Writer, door: Door) -> None:
    """The answer's instants are UTC, the zone is told as it was given, and UTC is the same as none."""
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
    refused = door.get(f"/api/metrics?timezone=Asia/Kolkata&{span}").json()
    assert (refused["code"], refused["parameter"]) == ("UNSUPPORTED_TIMEZONE", "timezone")
    utc = door.get(f"/api/metrics?timezone=UTC&{span}").json()
    assert utc.pop("timezone") == "UTC"
    assert utc == door.get(f"/api/metrics?{span}").json()
