"""The table of what each part took."""

from typing import Literal

import pytest

from tests.durations import Durations

Phase = Literal["setup", "call", "teardown"]


def phase(test: str, when: Phase, seconds: float) -> pytest.TestReport:
    return pytest.TestReport(
        test,
        ("", 0, ""),
        {},
        "passed",
        None,
        when,
        duration=seconds,
    )


def test_all_phases_count_and_the_longest_comes_first() -> None:
    durations = Durations()
    phases: list[tuple[str, Phase, float]] = [
        ("tests/api/http/test_a.py::test_1", "setup", 50.0),
        ("tests/api/http/test_a.py::test_1", "call", 11.0),
        ("tests/api/http/test_a.py::test_1", "teardown", 1.0),
        ("tests/api/test_b.py::test_2[a/b::c]", "call", 2.0),
        ("tests/chaos/test_c.py::test_3", "call", 600.0),
        ("tests/test_d.py::test_4", "call", 0.2),
    ]
    for test, when, seconds in phases:
        durations.add(phase(test, when, seconds))
    assert [line.split() for line in durations.lines()] == [
        ["tests", "time"],
        ["1", "10:00", "tests/chaos"],
        ["2", "1:04", "tests/api"],
        ["1", "0:00", "tests"],
        ["the", "longest", "files:"],
        ["10:00", "tests/chaos/test_c.py"],
        ["1:02", "tests/api/http/test_a.py"],
        ["0:02", "tests/api/test_b.py"],
        ["0:00", "tests/test_d.py"],
    ]
