"""The command: what it prints, and with which status it ends."""

import json
import subprocess
import sys

import pytest

from tests.deploy.doctor.conftest import Plain
from tests.pipeline.programs import CHECKOUT, LIMIT_S

pytestmark = pytest.mark.programs


def test_the_command_says_it_in_a_table_and_in_json(plain: Plain) -> None:
    """And ends with 0, 1 or 2."""

    def doctor(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "deploy.doctor", *arguments],
            env=plain.environment | settings,
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    well = doctor("--json")
    assert (well.returncode, well.stderr) == (0, "")
    answer = json.loads(well.stdout)
    assert answer["healthy"] is True
    bad = doctor("ingest", SNS_TOPIC_ARNS="")
    assert (bad.returncode, bad.stderr) == (1, "")
    assert "every message is refused" in bad.stdout
    assert "list the ARN of your SNS topic" in bad.stdout
    assert doctor("postman").returncode == 2
    assert doctor("--key", "x").returncode == 2
