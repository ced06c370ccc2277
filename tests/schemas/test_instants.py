"""ISO 8601 is read the same by the programs, and each of them keeps its own strictness."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.counting.timestamps import parse_ms
from api.query.instants import FIRST_MS, LAST_MS, parse_instant
from tests.strategies import NO_TIMES, spellings

LOOSE = (
    "2025-09-01",
    "2025-09-01T10:20",
    "2025-09-01 10:20Z",
    "2025-09-01T10:20:30",
    "2025-09-01 10:20:30.5",
)
"""What a parameter of the API may leave out, and a timestamp of SES may not."""


def asked(text: str) -> int | None:
    """The time that a parameter names, none where it is refused."""
    try:
        return parse_instant(text, end_of_day=False)
    except ValueError:
        return None


@given(st.integers(FIRST_MS, LAST_MS).flatmap(spellings))
def test_a_time_is_the_same_one_in_an_event_and_in_a_parameter(text: str) -> None:
    """But for the space before the zone, which SES has been seen to write and the API refuses."""
    assert parse_ms(text) is not None
    assert asked(text) == (None if " " in text[11:] else parse_ms(text))


@pytest.mark.parametrize("text", LOOSE)
def test_what_an_event_must_say_a_parameter_may_leave_out(text: str) -> None:
    assert asked(text) is not None
    assert parse_ms(text) is None


def test_nothing_else_is_a_time_of_a_parameter() -> None:
    """The API takes what lacks the time of day, the seconds or the zone, and no more than that."""
    assert all(parse_ms(text) is None for text in NO_TIMES)
    assert {text for text in NO_TIMES if asked(text) is not None} == {
        "2026-03-03",
        "2026-03-03T10:20Z",
        "2026-03-03T10:20:30",
        "2026-03-03T10:20:30.123",
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2025-09-01T24:00:00Z", "no such time of day"),
        ("2025-09-01T23:60Z", "no such time of day"),
        ("2025-09-01T23:59:60Z", "no such time of day"),
        ("2025-13-01T25:00:00Z", "no such time of day"),
        ("2025-13-01", "month must be in 1..12"),
        ("2025-02-29", "day is out of range for month"),
        ("0000-01-01", "year 0 is out of range"),
        ("2025-02-29T10:00:00+24:00", "day is out of range for month"),
        ("2025-09-01T10:00:00+24:00", "no such offset"),
        ("2025-09-01T10:00:00-00:60", "no such offset"),
        ("2025-09-01T25:00:00 Z", "not a time"),
        ("0001-01-01T00:00+00:01", "outside the years 1 to 9999"),
    ],
)
def test_why_a_parameter_is_no_time(text: str, why: str) -> None:
    """The first that is wrong, in this order: the form, the time of day, the date, the offset."""
    with pytest.raises(ValueError, match=why):
        parse_instant(text, end_of_day=False)
