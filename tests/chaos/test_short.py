"""The short form of `make chaos`: every fault of the table at least once in a minute or two, seeded."""

from pathlib import Path

from tests.chaos.faults import FAULTS
from tests.chaos.harness import open_run
from tests.chaos.report import table

SEED = 20_260
SECONDS = 60.0
RATE = 400.0
WORKERS = 2
PAUSE_S = 2.5


def test_every_number_after_every_fault(tmp_path: Path) -> None:
    """Whatever breaks: no event is lost, none counts twice, and at any instant the checkpoints are true."""
    with open_run(tmp_path, seed=SEED, rate=RATE, workers=WORKERS) as run:
        result = run.run(SECONDS, FAULTS, PAUSE_S)
    assert result.exact, table([result])
    assert result.events > 0
    assert result.looks > 0
    assert set(result.rows) == {fault.name for fault in FAULTS}, table([result])
