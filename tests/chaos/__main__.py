"""`python -m tests.chaos`: break things for a while, and prove every number.

It prints each fault as it is injected and at the end a table over all seeds; exit status 1 where any number
is wrong. Each seed's report, and that of the targeted cases, is kept under `.local/chaos/`.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from deploy.processes import say
from deploy.stack import LOCAL
from tests.chaos.cases import run_cases
from tests.chaos.faults import BY_NAME
from tests.chaos.harness import open_run
from tests.chaos.report import Report, table, write

REPORTS = LOCAL / "chaos"


def seeds(text: str) -> list[int]:
    """`21,22` as numbers."""
    return [int(each) for each in text.split(",")]


def main() -> int:
    """Run once for each seed; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--seed",
        type=seeds,
        default=[int(time.time())],
        help="of events and faults (their timing is chance), or several: 21,22; none: the clock's",
    )
    parser.add_argument(
        "--seconds", type=float, default=180.0, help="how long faults are injected, over all seeds"
    )
    parser.add_argument("--rate", type=float, default=600.0, help="events a second")
    parser.add_argument("--workers", type=int, default=3, help="how many workers")
    parser.add_argument("--pause", type=float, default=3.0, help="seconds between two faults, on average")
    parser.add_argument("--faults", nargs="+", choices=[*BY_NAME], default=[*BY_NAME], help="only these")
    parser.add_argument("--cases", action="store_true", help="the targeted cases too, one after the other")
    given = parser.parse_args()
    faults = tuple(BY_NAME[name] for name in given.faults)
    reports: list[Report] = []
    for seed in given.seed:
        with (
            tempfile.TemporaryDirectory(prefix="ses-metrics-chaos-") as directory,
            open_run(Path(directory), seed=seed, rate=given.rate, workers=given.workers) as run,
        ):
            reports.append(run.run(given.seconds / len(given.seed), faults, given.pause))
        write(reports[-1], REPORTS, str(seed))
    if given.cases:
        reports.append(run_cases())
        write(reports[-1], REPORTS, "cases")
    say("\n" + table(reports))
    return 0 if all(report.exact for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
