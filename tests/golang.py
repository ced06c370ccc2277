"""Programs that the tests build from Go modules: built once, kept in the user's cache."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ses-metrics" / "go"
BUILD_S: Final = 3600.0
"""The largest of them takes some ten minutes of two cores that have nothing else to do."""


class NoProgramError(Exception):
    """It is not there and cannot be had; the text says why."""


def installed(module: str) -> Path:
    """The program of a module, by `go install`.

    module: as `example.org/x/cmd/name@v1.2.3`.
    Raises: NoProgramError.
    """
    path, _, version = module.partition("@")
    name = re.sub(r"/v[0-9]+$", "", path).rpartition("/")[2]

    def build(folder: Path) -> None:
        go("install", module, cwd=folder, environment={"GOBIN": str(folder)})

    return built(f"{name}-{version}", name, build)


def built(directory: str, name: str, build: Callable[[Path], None]) -> Path:
    """A program of the cache, built if need be; of several processes that want it one builds.

    directory: of this version in the cache; name: the program's. build: puts it into the empty folder that
    it is given.
    Raises: NoProgramError.
    """
    binary = CACHE / directory / name
    if binary.exists():
        return binary
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{directory}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.exists():
            with tempfile.TemporaryDirectory(prefix="part-", dir=CACHE) as part:
                build(Path(part))
                binary.parent.mkdir(exist_ok=True)
                (Path(part) / name).replace(binary)
    return binary


def module(name: str) -> dict[str, str]:
    """A module's files, fetched if need be.

    name: as `example.org/x@v1.2.3`. Returns: what `go mod download -json` says, `Dir` and `Zip` among it.
    Raises: NoProgramError.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    told: dict[str, str] = json.loads(go("mod", "download", "-json", name, cwd=CACHE))
    return told


def go(*arguments: str, cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run `go`. Returns: its stdout. Raises: NoProgramError."""
    if shutil.which("go") is None:
        raise NoProgramError("no `go` here to build it with: install Go (1.24 or newer)")
    done = subprocess.run(
        ["go", *arguments],
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=BUILD_S,
        check=False,
    )
    if done.returncode:
        raise NoProgramError(f"go {arguments[0]} failed: {done.stderr[-1000:]}")
    return done.stdout
