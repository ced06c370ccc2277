"""`python -m tests.chaos`: break things for a while, and prove every number.

It prints each fault as it is injected and at the end a table; exit status 1 where any number is wrong.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from deploy.processes import say
from tests.chaos.faults import BY_NAME
from tests.chaos.harness import open_run


def main() -> int:
    """Run once; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--seed", type=int, help="of events and faults (their timing is chance); none: the clock's"
    )
    parser.add_argument("--seconds", type=float, default=180.0, help="how long faults are injected")
    parser.add_argument("--rate", type=float, default=600.0, help="events a second")
    parser.add_argument("--workers", type=int, default=3, help="how many workers")
    parser.add_argument("--pause", type=float, default=3.0, help="seconds between two faults, on average")
    parser.add_argument("--faults", nargs="+", choices=[*BY_NAME], default=[*BY_NAME], help="only these")
    given = parser.parse_args()
    seed = int(time.time()) if given.seed is None else given.seed
    with (
        tempfile.TemporaryDirectory(prefix="ses-metrics-chaos-") as directory,
        open_run(Path(directory), seed=seed, rate=given.rate, workers=given.workers) as run,
    ):
        result = run.run(given.seconds, tuple(BY_NAME[name] for name in given.faults), given.pause)
        say(result.table())
        return 0 if result.exact else 1


if __name__ == "__main__":
    sys.exit(main())
