"""The commands `archive` and `verify` beside the others: what they cost those who do neither."""

import subprocess
import sys

import pytest


@pytest.mark.programs
def test_a_worker_starts_without_pyarrow_and_duckdb() -> None:
    """They take tens of megabytes, in each worker of a host."""
    asked = "import sys, aggregator.__main__; sys.exit(bool({'pyarrow', 'duckdb'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
