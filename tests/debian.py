"""Programs that the tests need and Debian has: found, or installed where we may (root, as in CI)."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

import pytest

LOCK: Final = Path(tempfile.gettempdir()) / "ses-metrics-apt.lock"
"""Held while a package is installed: apt itself does not wait for another one."""


def installed(names: Sequence[str], *install: str) -> str | None:
    """The path of a program, none where there is none and we may not install it.

    names: that it may have. install: what `apt-get install` is told, Debian's package of the first of them.
    Fails the test where the package should be installed and cannot be.
    """
    found = next(filter(None, map(shutil.which, names)), None)
    if found is not None or os.geteuid() != 0 or not shutil.which("apt-get"):
        return found
    with LOCK.open("w") as lock:  # two test processes may lack something at the same time
        fcntl.flock(lock, fcntl.LOCK_EX)
        return next(filter(None, map(shutil.which, names)), None) or _install(names[0], install)


def _install(name: str, install: Sequence[str]) -> str | None:
    for command in (
        ("apt-get", "update", "-qq"),
        ("apt-get", "install", "-y", "-qq", *install),
    ):
        done = subprocess.run(
            command,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"`{' '.join(command)}` failed: {done.stderr[-2000:]}")
    return shutil.which(name)


def skip_but_not_in_ci(words: str) -> NoReturn:
    """What a test lacks here and must have in CI. words: what it is, and how to get it."""
    if os.environ.get("CI"):
        pytest.fail(words)
    pytest.skip(words)
