"""The short form of `make attack`: few tries of each attack that is quick, on one stack."""

from pathlib import Path

from tests.attack.__main__ import EVERY
from tests.attack.report import all_held, table
from tests.attack.runner import Runner

PATIENCE = 6.0
"""No limit of time counts here: a test machine may be this many times slower, and busy."""


def test_nothing_hostile_gets_through(kafka_bootstrap: str, tmp_path: Path) -> None:
    """Whoever writes nonsense on purpose harms nobody: numbers, dead letters, memory and the innocent."""
    runner = Runner(kafka_bootstrap, tmp_path, short=True, patience=PATIENCE)
    rows = list(runner.run(EVERY, seconds=600))
    assert all_held(rows), table(rows)
    assert [row.name for row in rows] == [attack.name for attack in EVERY if attack.short]
