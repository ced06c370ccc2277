from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.errors import INVALID_PERIOD, INVALID_RANGE, RANGE_TOO_LARGE, ApiError
from api.query.day_counts import DayCounts, day_of
from api.query.instants import format_instant, parse_instant
from api.query.periods import PERIODS
from api.query.ranges import MAX_POINTS, Range, parse_range
from api.query.rollup import Counted, Series, add_up
from tests.api import model
from tests.api.model import ALL, DETAILS, FIELDS
from tests.examples import examples

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW = datetime(2025, 9, 17, 13, 45, 12, 345_000, tzinfo=UTC)
NOW_MS = model.ms(NOW)
NOTHING: Counted = {"core": {}, "details": {}}

moments = st.datetimes(
    min_value=datetime(1965, 1, 1),  # noqa: DTZ001 - Hypothesis wants the bounds without a zone
    max_value=datetime(2035, 1, 1),  # noqa: DTZ001 - as above
    timezones=st.just(UTC),
).map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))
spans = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=70))
choices = st.lists(st.sampled_from(ALL), min_size=1, unique=True).map(tuple) | st.sampled_from(
    [FIELDS, DETAILS, ALL]
)
"""Of fields."""
period_names = st.sampled_from(["hour", "day", "week", "month"])


@st.composite
def queries(draw: st.DrawFn) -> tuple[str, datetime, datetime, dict[tuple[datetime, str], int]]:
    first = draw(moments)
    last = first + draw(spans)
    last = last.replace(microsecond=last.microsecond // 1000 * 1000)
    quarters = st.integers(-240, 96 * 75).map(
        lambda offset: model.start_of("hour", first) + offset * model.QUARTER
    )
    counted = draw(
        st.dictionaries(st.tuples(quarters, st.sampled_from(ALL)), st.integers(1, 10**6), max_size=30)
    )
    return draw(period_names), first, last, counted


def by_day(counted: model.Counted, wanted: Sequence[range], step: timedelta = model.HOUR) -> Counted:
    """Days of each family as the reader gives them. wanted: days."""
    found: dict[str, dict[int, DayCounts]] = {}
    for family, fields in model.FAMILIES.items():
        cells_of: dict[int, list[int]] = {}
        for (quarter, field), count in counted.items():
            day, within = divmod(quarter - EPOCH, model.DAY)
            if field in fields and any(day in days for days in wanted):
                cells = cells_of.setdefault(day, [0] * (model.DAY // step) * len(fields))
                cells[within // step * len(fields) + fields.index(field)] += count
        found[family] = {day: day_of(cells, len(fields)) for day, cells in cells_of.items()}
    return found


def shown(series: Series, fields: tuple[str, ...] = FIELDS) -> list[dict[str, object]]:
    return [
        {"timestamp": format_instant(start), **dict(zip(fields, counts, strict=True))}
        for start, counts in series.points
    ]


def ask(
    period: str,
    first: datetime,
    last: datetime,
    counted: model.Counted,
    fields: tuple[str, ...] = FIELDS,
) -> Series:
    asked = parse_range(period, model.text(first), model.text(last), NOW_MS)
    return add_up(asked, by_day(counted, [asked.days]), fields)


@settings(deadline=None)
@given(queries(), choices)
def test_points_equal_a_naive_count(
    query: tuple[str, datetime, datetime, dict[tuple[datetime, str], int]], fields: tuple[str, ...]
) -> None:
    """Every point, in its order, with its start and fields, is what a walk over the hours gives."""
    period, first, last, counted = query
    series = ask(period, first, last, counted, fields)
    expected = model.answer(period, first, last, counted, fields=fields)
    assert [[*each.items()] for each in shown(series, fields)] == [[*each.items()] for each in expected]
    columns = zip(*(counts for _, counts in series.points), strict=True)
    assert series.totals == tuple(map(sum, columns))


@settings(deadline=None)
@given(queries())
def test_totals_do_not_depend_on_the_period(
    query: tuple[str, datetime, datetime, dict[tuple[datetime, str], int]],
) -> None:
    """The sum of the points is the totals, and hours, days, weeks and months have the same totals."""
    _, first, last, counted = query
    answers = [ask(period, first, last, counted) for period in PERIODS]
    for series in answers:
        assert series.totals == tuple(map(sum, zip(*(c for _, c in series.points), strict=True)))
        assert series.totals == answers[0].totals


@settings(deadline=None)
@given(queries())
def test_hours_add_up_to_every_longer_period(
    query: tuple[str, datetime, datetime, dict[tuple[datetime, str], int]],
) -> None:
    """The hours of a day, week or month sum to its point."""
    period, first, last, counted = query
    longer: dict[str, list[int]] = {}
    for start, counts in ask("hour", first, last, counted).points:
        moment = EPOCH + timedelta(milliseconds=start)
        name = model.text(model.start_of(period, moment))
        longer[name] = [a + b for a, b in zip(longer.get(name, [0] * 6), counts, strict=True)]
    points = {format_instant(start): [*counts] for start, counts in ask(period, first, last, counted).points}
    assert points == longer


@given(moments, period_names)
@settings(deadline=None)
def test_default_from_gives_a_fixed_number_of_points(moment: datetime, period: str) -> None:
    """Without `from`, exactly 24 hours, 30 days, 12 weeks or 12 months come, whenever it is."""
    series = add_up(parse_range(period, None, None, model.ms(moment)), NOTHING, FIELDS)
    assert len(series.points) == {"hour": 24, "day": 30, "week": 12, "month": 12}[period]
    assert format_instant(series.points[-1][0]) == model.text(model.start_of(period, moment))


def test_the_default_period_is_the_day_and_to_is_now() -> None:
    asked = parse_range(None, None, None, NOW_MS)
    assert asked.period.name == "day"
    assert format_instant(asked.from_ms) == "2025-08-19T00:00:00.000Z"
    assert asked.to_ms == NOW_MS


def test_the_example_of_the_page_has_15_points() -> None:
    asked = parse_range("day", "2025-09-01T00:00:00.000Z", "2025-09-15T23:59:59.999Z", NOW_MS)
    starts = [format_instant(start) for start, _ in add_up(asked, NOTHING, FIELDS).points]
    assert len(starts) == 15
    assert starts[0] == "2025-09-01T00:00:00.000Z"
    assert starts[-1] == "2025-09-15T00:00:00.000Z"


def test_a_range_within_an_hour_has_its_point_but_no_hour_that_counts() -> None:
    """An hour counts when it starts in the range; its point stands there all the same."""
    hour = datetime(2025, 9, 1, 10, tzinfo=UTC)
    counted = {(hour, "sent"): 5}
    series = ask("hour", hour + timedelta(minutes=1), hour + timedelta(minutes=59), counted)
    assert shown(series) == [{"timestamp": "2025-09-01T10:00:00.000Z", **dict.fromkeys(FIELDS, 0)}]
    assert ask("hour", hour, hour, counted).totals[0] == 5


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2025-09-01", "2025-09-01T00:00:00.000Z", "2025-09-01T23:59:59.999Z"),
        ("0001-01-01", "0001-01-01T00:00:00.000Z", "0001-01-01T23:59:59.999Z"),
        ("9999-12-31", "9999-12-31T00:00:00.000Z", "9999-12-31T23:59:59.999Z"),
        ("2024-02-29T12:30", "2024-02-29T12:30:00.000Z", None),
        ("2025-09-01 12:30:59", "2025-09-01T12:30:59.000Z", None),
        ("2025-09-01T12:30:59.9999999Z", "2025-09-01T12:30:59.999Z", None),
        ("2025-09-01T12:30:59.5", "2025-09-01T12:30:59.500Z", None),
        ("2025-09-01T00:00:00+02:00", "2025-08-31T22:00:00.000Z", None),
        ("2025-09-01T00:00:00.000-0530", "2025-09-01T05:30:00.000Z", None),
        ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z", None),
    ],
)
def test_times_that_are_read(text: str, first: str, last: str | None) -> None:
    """A date alone is its first millisecond as `from` and its last as `to`; no zone is UTC."""
    assert format_instant(parse_instant(text, end_of_day=False)) == first
    assert format_instant(parse_instant(text, end_of_day=True)) == (last or first)


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "2025",
        "2025-09",
        "20250901",
        "2025-9-1",
        "2025-02-29",
        "2025-13-01",
        "0000-01-01",
        "10000-01-01",
        "-0001-01-01",
        "2025-09-01T",
        "2025-09-01T24:00:00Z",
        "2025-09-01T23:60:00Z",
        "2025-09-01T23:59:60Z",
        "2025-09-01T00:00:00 02:00",
        "2025-09-01T00:00:00+24:00",
        "2025-09-01T00:00:00+02:60",
        "2025-09-01T00:00:00.Z",
        "2025-09-01Z",
        " 2025-09-01",
        "2025-09-01\n",
        "\u0662\u0660\u0662\u0665-09-01",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "1756684800000",
    ],
)
@pytest.mark.parametrize("name", ["from", "to"])
def test_times_that_are_refused(text: str, name: str) -> None:
    with pytest.raises(ApiError) as refusal:
        parse_range("month", text if name == "from" else None, text if name == "to" else None, NOW_MS)
    assert refusal.value.code is INVALID_RANGE
    assert f"`{name}`" in str(refusal.value)


instants = st.builds(
    "{:04}-{:02}-{:02}T{:02}:{:02}:00{}".format,
    st.sampled_from([1, 2, 3, 1969, 1970, 2025, 9998, 9999]) | st.integers(0, 9999),
    st.integers(1, 12),
    st.integers(1, 31),
    st.integers(0, 23),
    st.integers(0, 59),
    st.sampled_from(["Z", "", "+14:00", "-12:00", "+23:59", "-23:59"]),
)


def answer_or_refusal(period: str, from_: str | None, to: str | None) -> Range | ApiError:
    try:
        return parse_range(period, from_, to, NOW_MS)
    except ApiError as refusal:
        return refusal


@given(period_names, st.none() | instants, st.none() | instants)
@settings(deadline=None, max_examples=examples(300))
def test_every_query_has_an_answer_or_a_refusal(period: str, from_: str | None, to: str | None) -> None:
    """From the year 1 to 9999, nothing but ApiError is raised, and no answer has more points than allowed."""
    asked = answer_or_refusal(period, from_, to)
    if isinstance(asked, ApiError):
        assert asked.code in (INVALID_RANGE, RANGE_TOO_LARGE)
        return
    series = add_up(asked, NOTHING, FIELDS)
    assert 1 <= len(series.points) <= MAX_POINTS
    assert all(format_instant(start) for start, _ in series.points)
    assert asked.from_ms <= asked.to_ms


def test_unknown_periods_are_refused() -> None:
    for period in ("", "Day", "days", "year", "minute"):
        with pytest.raises(ApiError) as refusal:
            parse_range(period, None, None, NOW_MS)
        assert refusal.value.code is INVALID_PERIOD


def test_from_after_to_is_refused_by_a_millisecond() -> None:
    noon, before = "2025-09-01T12:00:00.000Z", "2025-09-01T11:59:59.999Z"
    assert len(parse_range("hour", noon, noon, NOW_MS).starts) == 1
    with pytest.raises(ApiError) as refusal:
        parse_range("hour", noon, before, NOW_MS)
    assert refusal.value.code is INVALID_RANGE
    with pytest.raises(ApiError) as refusal:
        parse_range("hour", model.text(NOW + timedelta(milliseconds=1)), None, NOW_MS)
    assert refusal.value.code is INVALID_RANGE


def test_ten_thousand_points_are_the_most() -> None:
    first = datetime(2024, 1, 1, tzinfo=UTC)
    last = first + timedelta(hours=9_999)
    asked = parse_range("hour", model.text(first), model.text(last), NOW_MS)
    assert len(asked.starts) == 10_000
    with pytest.raises(ApiError) as refusal:
        parse_range("hour", model.text(first), model.text(last + timedelta(hours=1)), NOW_MS)
    assert refusal.value.code is RANGE_TOO_LARGE


def test_months_reach_over_centuries() -> None:
    """833 years of months are 10,000 points or fewer, and each is the first of a month."""
    asked = parse_range("month", "1600-01-01", "2432-12-31", NOW_MS)
    starts = [format_instant(start) for start, _ in add_up(asked, NOTHING, FIELDS).points]
    assert len(starts) == 833 * 12
    assert all(start.endswith("-01T00:00:00.000Z") for start in starts)
