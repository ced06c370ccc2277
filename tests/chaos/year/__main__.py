"""`python -m tests.chaos.year`: a year in small, and every number compared; exit status 1 where one is wrong.

It takes a Kafka and a Valkey of its own in a directory of the machine's, some 1.5 GB for 3,000,000 events.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from deploy.processes import say
from tests import services
from tests.chaos.year.run import SETTINGS, Size, Year
from tests.pipeline.place import open_place


def main() -> int:
    """Run one year; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.year", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--events", type=int, default=3_000_000, help="of the whole year, about")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of mail and kills")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="ses-metrics-year-") as name,
        services.kafka_server() as kafka,
    ):
        directory = Path(name)
        say(f"a year of {given.events:,} events, seed {given.seed}, in {directory}")
        archive = (directory / "archive").as_uri()
        with open_place(kafka.bootstrap, directory, ARCHIVE_URL=archive, **SETTINGS) as place:
            wrong = Year(place, Size(given.events), given.seed).run()
        if wrong:
            say("\n".join(["WRONG:", *wrong]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
