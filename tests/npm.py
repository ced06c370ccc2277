"""Packages of npm that tests use as they are: fetched by the npm that is here, part of nothing of ours."""

import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.debian import installed


def packed(name: str, version: str, directory: Path) -> Path:
    """The folder of a package's files, without those that it depends on.

    directory: an empty one, where they go. Fails the test where there is no npm, or no such package.
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
    if done.returncode:
        pytest.fail(f"npm has no {name}@{version}: {done.stderr[-2000:]}")
    with tarfile.open(directory / done.stdout.strip()) as archive:
        archive.extractall(directory, filter="data")
    return directory / "package"
