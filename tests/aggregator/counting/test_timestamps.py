"""Timestamps of SES, against `datetime`."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aggregator.counting.timestamps import iso_ms, parse_ms
from tests.aggregator.law import instant
from tests.strategies import NO_TIMES, spelled, spellings

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MS = timedelta(milliseconds=1)
LAST = (datetime(9999, 12, 30, tzinfo=UTC) - EPOCH) // MS
FIRST = (datetime(1, 1, 2, tzinfo=UTC) - EPOCH) // MS


@given(st.integers(FIRST, LAST).flatmap(lambda ms: st.tuples(st.just(ms), spellings(ms))))
def test_every_format_names_its_instant(both: tuple[int, str]) -> None:
    """Whatever format an instant is spelled in, with whatever zone and digits, it is read back."""
    ms, text = both
    assert parse_ms(text) == ms


@given(
    st.datetimes(),
    st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    st.sampled_from(["milliseconds", "microseconds", "seconds"]),
)
def test_what_datetime_writes_is_read(naive: datetime, zone: timezone, precision: str) -> None:
    """Python's ISO format is one of ours; its microseconds are cut, not rounded, before and after 1970."""
    wall = naive.replace(tzinfo=zone)
    cut = wall.replace(microsecond=0 if precision == "seconds" else wall.microsecond // 1000 * 1000)
    expected = (cut.replace(tzinfo=UTC) - EPOCH - zone.utcoffset(None)) // MS
    assert parse_ms(wall.isoformat(timespec=precision)) == expected
    assert parse_ms(wall.isoformat(sep=" ", timespec=precision)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00.000Z", 0),
        ("1970-01-01T00:00:00.999999Z", 999),
        ("1969-12-31T23:59:59.999Z", -1),
        ("1969-12-31T23:59:59.9999Z", -1),
        ("1969-12-31T23:59:59.0009Z", -1000),
        ("1970-01-01 01:00:00+0100", 0),
        ("1969-12-31T16:00:00 -08:00", 0),
        ("1970-01-01T00:00:00-00:00", 0),
        ("1970-01-01T00:00:00.5 +0000", 500),
        ("1970-01-01T00:00:01." + "9" * 100_000 + "Z", 1999),
        ("2024-02-29T12:00:00Z", 1_709_208_000_000),
        ("0001-01-01T00:00:00.000Z", -62_135_596_800_000),
        ("0001-01-01T00:00:00.000+23:59", -62_135_596_800_000 - 86_340_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
        ("9999-12-31T23:59:59.999-2359", 253_402_300_799_999 + 86_340_000),
    ],
)
def test_times_at_the_edges(text: str, expected: int) -> None:
    """1970 is a time like any other, and so are all years from 1 to 9999 in any zone."""
    assert parse_ms(text) == instant(text) == expected


@pytest.mark.parametrize("text", ["1970-01-01T00:00:00.12 Z", "1970-01-01 00:00:00.12 Z"])
def test_a_space_before_the_zone_is_read_after_any_number_of_digits(text: str) -> None:
    """Two digits and a space make a text as long as three digits do; it is a time all the same."""
    assert instant(text) == 120
    assert parse_ms(text) == 120


@pytest.mark.parametrize("text", NO_TIMES)
def test_all_else_is_no_time(text: str) -> None:
    """No zone, no digits, digits of other scripts, leap seconds, 24:00, small letters: none is a time."""
    assert instant(text) is None
    assert parse_ms(text) is None


@pytest.mark.parametrize(
    "value", [None, True, 0, 1_772_533_230_000, 1.5, [], ["1970-01-01T00:00:00.000Z"], {}]
)
def test_what_is_no_text_is_no_time(value: object) -> None:
    assert parse_ms(value) is None


@given(
    st.integers(FIRST, LAST).map(spelled),
    st.integers(0, 23),
    st.sampled_from("0123456789 .:-+TtZz/;\u0663\u00b2\uff10\x00") | st.characters(),
)
@example("2026-03-03T10:20:30.123Z", 10, " ")
@example("2026-03-03T10:20:30.123Z", 17, "6")
@example("2026-03-03T10:20:30.123Z", 22, "\u0663")
def test_the_usual_format_is_read_like_all_others(text: str, at: int, character: str) -> None:
    """One character changed: the short way for the usual format and the long way for a space more agree."""
    changed = text[:at] + character + text[at + 1 :]
    assert parse_ms(changed) == instant(changed)
    longer = changed[:-1] + " Z"
    assert parse_ms(longer) == instant(longer)
    if changed[22:] != " Z" and changed.endswith("Z"):
        assert parse_ms(changed) == parse_ms(longer)


@given(st.integers(0, LAST))
def test_an_instant_is_told_to_the_millisecond(ms: int) -> None:
    """And is read again as the same."""
    assert parse_ms(iso_ms(ms)) == ms
