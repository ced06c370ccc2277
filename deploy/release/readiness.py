"""What must hold before a release is built, and the commit that it is built of."""

import re
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Final

from deploy.release import versions

CHANGELOG: Final = "CHANGELOG.md"
GIT: Final = ("git", "-c", "core.quotePath=false")


class NoReleaseError(Exception):
    """A release cannot be built; the text says why."""


def refusals(checkout: Path) -> list[str]:
    """Why a checkout is not released as it is, and what to do; empty where it may be.

    Raises: NoReleaseError where it is no git checkout.
    """
    found = []
    changed = [line[3:] for line in git(checkout, "status", "--porcelain").decode().splitlines()]
    if changed:
        found.append(f"files differ from the last commit: {', '.join(changed[:5])}. Commit them")
    elsewhere = versions.differing(checkout)
    if elsewhere:
        found.append(f"another version stands in {', '.join(elsewhere)}. Run `make versions`")
    version = versions.version(checkout)
    if not has_entry((checkout / CHANGELOG).read_text("utf-8"), version):
        found.append(f"{CHANGELOG} has no entry of {version}. Write what changes for operators")
    return found


def has_entry(changelog: str, version: str) -> bool:
    """Whether a changelog has a section of the version, with its date and something in it."""
    heading = rf"^## {re.escape(version)} - \d{{4}}-\d\d-\d\d$"
    return re.search(rf"{heading}\n+([^\n#]|###)", changelog, re.MULTILINE) is not None


def committed_at(checkout: Path) -> int:
    """When the last commit was made, in s since 1970: the time of all that is built of it."""
    return int(git(checkout, "show", "--no-patch", "--format=%ct", "HEAD"))


def export(checkout: Path, folder: Path) -> None:
    """Copy the files of the last commit, and no others, into a folder."""
    with tarfile.open(fileobj=BytesIO(git(checkout, "archive", "HEAD"))) as archive:
        archive.extractall(folder, filter="data")


def git(checkout: Path, *arguments: str) -> bytes:
    """Run git in a checkout. Returns: its stdout. Raises: NoReleaseError with what it says."""
    try:
        return subprocess.run([*GIT, *arguments], cwd=checkout, capture_output=True, check=True).stdout
    except FileNotFoundError as error:
        raise NoReleaseError("there is no git here") from error
    except subprocess.CalledProcessError as error:
        raise NoReleaseError(f"git {arguments[0]}: {error.stderr.decode().strip()}") from error
