"""`python -m tests.chaos.year`: a year in small, and every number compared; exit status 1 where one is wrong.

It takes a Kafka and a Valkey of its own in a directory of the machine's, some 1.5 GB for 3,000,000 events.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deploy.processes import say
from tests import services
from tests.chaos.year.run import SETTINGS, Size, Year
from tests.pipeline.place import open_place
from tests.s3 import LOGIN, s3_server

FAULTS: Final = 1 / 30
"""Of all requests to S3: a 500, a connection that is cut, and the like."""


@contextmanager
def archive_url(directory: Path, seed: int, *, on_s3: bool) -> Iterator[str]:
    """Where the year is archived. seed: of the faults that S3 has."""
    if not on_s3:
        yield (directory / "archive").as_uri()
        return
    os.environ.update(LOGIN)
    with s3_server() as store:
        store.by_chance(seed, FAULTS)
        yield store.url("archive")
        met = ", ".join(f"{number:,} {fault}" for fault, number in store.met.items())
        say(f"{len(store.asked):,} requests to S3, of which were {met}")


def main() -> int:
    """Run one year; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.year", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--events", type=int, default=3_000_000, help="of the whole year, about")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of mail and kills")
    parser.add_argument("--s3", action="store_true", help="archive to an S3 server that fails now and then")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="ses-metrics-year-") as name,
        services.kafka_server() as kafka,
        archive_url(Path(name), given.seed, on_s3=given.s3) as archive,
    ):
        directory = Path(name)
        say(f"a year of {given.events:,} events, seed {given.seed}, in {directory}")
        with open_place(kafka.bootstrap, directory, ARCHIVE_URL=archive, **SETTINGS) as place:
            wrong = Year(place, Size(given.events), given.seed).run()
        if wrong:
            say("\n".join(["WRONG:", *wrong]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
