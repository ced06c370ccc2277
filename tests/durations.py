"""How long each part of the tests took: a table at the end of every run of more than one file."""

from collections import Counter, defaultdict
from pathlib import PurePosixPath

import pytest

LONGEST = 10
"""So many files are named beside the folders."""


class Durations:
    """Adds up what each folder and each file took, in seconds of the process that ran it."""

    def __init__(self) -> None:
        self.folders: dict[str, float] = defaultdict(float)
        self.files: dict[str, float] = defaultdict(float)
        self.tests: Counter[str] = Counter()

    def add(self, report: pytest.TestReport) -> None:
        """Add a phase of a test: its setup, its call or its teardown."""
        path = PurePosixPath(report.nodeid.partition("::")[0])
        folder = "/".join(path.parts[:2]) if len(path.parts) > 2 else str(path.parent)
        self.folders[folder] += report.duration
        self.files[str(path)] += report.duration
        self.tests[folder] += report.when == "call"

    def lines(self) -> list[str]:
        """The table, the longest first."""
        rows = [f"{'tests':>6} {'time':>7}"]
        for folder, seconds in _longest(self.folders):
            rows.append(f"{self.tests[folder]:>6} {_minutes(seconds)}  {folder}")
        rows.append("the longest files:")
        rows += [f"{'':>6} {_minutes(seconds)}  {file}" for file, seconds in _longest(self.files)[:LONGEST]]
        return rows


def _longest(parts: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(parts.items(), key=lambda part: -part[1])


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60:>4}:{int(seconds) % 60:02}"


DURATIONS = Durations()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Take note of a phase; with `-n`, of all processes."""
    DURATIONS.add(report)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    if len(DURATIONS.files) > 1:
        terminalreporter.section("how long each part took, minutes of its process")
        for line in DURATIONS.lines():
            terminalreporter.line(line)
