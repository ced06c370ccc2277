"""Debian's Prometheus for the tests: `promtool`, which proves rules, and the server.

Where it is not there and may not be installed the tests are skipped, and say what to do; in CI they fail.
"""

import re

from tests.debian import installed, skip_but_not_in_ci


def with_archive(configuration: str) -> str:
    """The text of `prometheus.yaml` for those who have an archive: its job stands there as a comment."""
    return re.sub(r"^  # (?=(?:-| ) )", "  ", configuration, flags=re.MULTILINE)


def program(name: str) -> str:
    """The path of `promtool` or `prometheus`."""
    found = installed((name,), "--no-install-recommends", "prometheus")
    if found is None:
        skip_but_not_in_ci(
            f"no {name}: install Prometheus to prove the alarms (Debian: apt-get install prometheus)"
        )
    return found
