"""`python -m tests.attack`: attack the true programs on this machine, and say what held.

Everything is its own and on loopback: Kafka, Valkey, ingest, worker and API. It prints a line for each attack
and at the end the table; exit status 1 where anything broke. The report is kept under `.local/attack/`.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

from deploy.processes import say
from deploy.stack import LOCAL
from tests import services
from tests.attack import api, commands, records, webhook
from tests.attack.attack import Attack
from tests.attack.report import all_held, read, table, write
from tests.attack.runner import Runner

REPORT: Final = LOCAL / "attack" / "report.json"
FAMILIES: Final = {
    "records": records.ATTACKS,
    "webhook": webhook.ATTACKS,
    "api": api.ATTACKS,
    "commands": commands.ATTACKS,
}
EVERY: Final[tuple[Attack, ...]] = tuple(attack for family in FAMILIES.values() for attack in family)


def chosen(names: list[str]) -> list[Attack]:
    """The attacks of these families, or whose name has one of these words in it; all of them without any."""
    return [
        attack
        for family, attacks in FAMILIES.items()
        for attack in attacks
        if not names or any(name == family or name in attack.name for name in names)
    ]


def main() -> int:
    """Attack; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3600.0, help="after so many no attack is begun")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="a family, or part of a name")
    parser.add_argument("--short", action="store_true", help="few tries, and only of the quick attacks")
    parser.add_argument("--patience", type=float, default=1.0, help="how many times slower this machine is")
    parser.add_argument("--markdown", action="store_true", help="print the table of the last run, and end")
    given = parser.parse_args()
    if given.markdown:
        say(table(read(REPORT)))
        return 0
    attacks = chosen(given.only)
    if not attacks:
        parser.error(f"no attack is called {given.only}; families: {', '.join(FAMILIES)}")
    with (
        tempfile.TemporaryDirectory(prefix="ses-metrics-attack-") as directory,
        services.kafka_address(services.source_of("TEST_KAFKA_BOOTSTRAP_SERVERS")) as bootstrap,
    ):
        runner = Runner(bootstrap, Path(directory), short=given.short, patience=given.patience)
        rows = list(runner.run(attacks, given.seconds))
    write(rows, REPORT)
    say("\n" + table(rows))
    return 0 if all_held(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
