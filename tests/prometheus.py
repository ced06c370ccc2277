"""Debian's Prometheus for the tests: `promtool`, which proves rules, and the server.

Nothing is fetched but Debian's package, and that only where it is not found and we may install it (root, as
in CI). Elsewhere the tests are skipped, and say what to do; in CI (`CI=true`) they fail instead.
"""

import os
import shutil
import subprocess

import pytest

INSTALL = (
    ("apt-get", "update", "-qq"),
    ("apt-get", "install", "-y", "-qq", "--no-install-recommends", "prometheus"),
)


def program(name: str) -> str:
    """The path of `promtool` or `prometheus`; installs Debian's where it is missing and we may."""
    found = shutil.which(name)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in INSTALL:
            done = subprocess.run(
                command,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                pytest.fail(f"`{' '.join(command)}` failed: {done.stderr[-2000:]}")
        found = shutil.which(name)
    if found is None:
        missing = f"no {name}: install Prometheus to prove the alarms (Debian: apt-get install prometheus)"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return found
