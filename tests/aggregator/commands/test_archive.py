"""What the commands cost who does something else: modules that are not used are not imported."""

import subprocess
import sys

import pytest


@pytest.mark.programs
@pytest.mark.parametrize(
    ("started", "without"),
    [
        ("aggregator.__main__, aggregator.worker.process", {"pyarrow", "duckdb"}),
        ("aggregator.__main__, aggregator.proof.verify", {"faust"}),
    ],
    ids=["a worker takes tens of megabytes less", "a command starts in two thirds of the time"],
)
def test_what_is_not_used_is_not_imported(started: str, without: set[str]) -> None:
    asked = f"import sys, {started}; sys.exit(bool({without} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
