"""The command `archive` beside the others: what it costs those who do not archive."""

import subprocess
import sys

import pytest


@pytest.mark.programs
def test_a_worker_starts_without_pyarrow() -> None:
    """It takes tens of megabytes, in each worker of a host."""
    asked = "import sys, aggregator.__main__; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
