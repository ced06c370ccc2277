"""The audit ends well in the middle of an audit, wherever its thread is."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.pipeline.programs import CHECKOUT

pytestmark = pytest.mark.programs

IN_AN_AUDIT = """
import sys, threading, time
from aggregator.counting.rules import Rules
from aggregator.proof.audit_process import leave
from aggregator.proof.recount import Recount

recount = Recount(Rules(), 128)

def count_for_ever():
    while True:
        recount.count_below([("a", {0: 1})])
        recount.day("a", 1)

threading.Thread(target=count_for_ever, daemon=True).start()
time.sleep(0.2 + float(sys.argv[1]))
leave(3, recount.discard)
"""


def test_it_ends_with_its_status_and_without_a_word(tmp_path: Path) -> None:
    """Where the interpreter ends by itself, half of these abort. The files of the recount go."""

    def ended(number: int) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-c", IN_AN_AUDIT, str(0.05 * number)],
            cwd=CHECKOUT,
            env={"TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    with ThreadPoolExecutor(2) as threads:
        assert [*threads.map(ended, range(12))] == [(3, "")] * 12
    assert list(tmp_path.iterdir()) == []
