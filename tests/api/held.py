"""`python -m tests.api.held N ...` does what `python -m api keys ...` does, and holds still in the middle.

Before its Nth write to Kafka it says so on stderr and waits for a line on stdin: a moment for others to act.
"""

import sys
from typing import Any
from unittest.mock import patch

from api.keys import commands
from api.keys.topic import write_records

WRITES = "about to write"


def main() -> None:
    at = int(sys.argv.pop(1))
    done = 0

    def held(*arguments: Any) -> int:
        nonlocal done
        done += 1
        if done == at:
            sys.stderr.write(WRITES + "\n")
            sys.stderr.flush()
            sys.stdin.readline()
        return write_records(*arguments)

    with patch.object(commands, "write_records", held):
        commands.cli()


if __name__ == "__main__":
    main()
