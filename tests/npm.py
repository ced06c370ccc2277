"""Packages of npm that tests use as they are: fetched by the npm that is here, part of nothing of ours."""

import re
import subprocess
import tarfile
from pathlib import Path
from typing import Final

import pytest

from tests.debian import installed, skip_but_not_in_ci

OFFLINE: Final = re.compile(r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT)\b")
"""What npm says where there is no way out."""


def tarball(name: str, version: str, directory: Path) -> Path:
    """A package as it was published. npm has compared it with what the registry says of it.

    directory: where it goes. Skips the test where no registry can be reached, but not in CI; fails it where
    there is no npm, or no such package.
    """
    npm = installed(("npm",), "npm")
    if npm is None:
        pytest.fail("no npm for the tests: install one (Debian: apt-get install npm)")
    done = subprocess.run(
        [npm, "pack", f"{name}@{version}", "--silent"],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    said = f"{done.stdout}{done.stderr}"[-2000:]
    if done.returncode and OFFLINE.search(said):
        skip_but_not_in_ci(f"npm reaches no registry to fetch {name}@{version}: {said}")
    if done.returncode:
        pytest.fail(f"npm has no {name}@{version}: {said}")
    return directory / done.stdout.strip()


def packed(name: str, version: str, directory: Path) -> Path:
    """The folder of a package's files, without those that it depends on. As `tarball`.

    directory: an empty one, where they go.
    """
    with tarfile.open(tarball(name, version, directory)) as archive:
        archive.extractall(directory, filter="data")
    return directory / "package"
