"""The clients as their users get them: built, and installed where nothing else is."""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.api.clients.callers import CLIENTS
from tests.debian import installed, skip_but_not_in_ci

CHECKOUT = CLIENTS.parents[1]
PINNED = CHECKOUT / "deploy" / "requirements.txt"
COMPILER = Path(__file__).parent / "tsc"


def run(command: Sequence[str | Path], directory: Path) -> str:
    """Run a program to its good end; returns what it printed."""
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def wheel(project: Path, directory: Path) -> Path:
    """Build the wheel of a project."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory)]
    run(build, project)
    (built,) = directory.glob("*.whl")
    return built


def tarball(directory: Path) -> Path:
    """Pack the TypeScript client."""
    directory.mkdir()
    packed = run([npm(), "pack", "--silent", "--pack-destination", directory], CLIENTS / "typescript")
    return directory / packed.strip()


def python_environment(directory: Path) -> Path:
    """An environment that holds the wheel of the client and what the wheel asks for; returns its Python."""
    built = wheel(CLIENTS / "python", directory / "wheel")
    run([sys.executable, "-m", "venv", directory / "environment"], directory)
    constraints = directory / "constraints.txt"
    pins = re.findall(r"^[\w.-]+==[\w.]+(?: ;[^\\]*)?", PINNED.read_text(), re.MULTILINE)
    constraints.write_text("\n".join(pins))
    python = directory / "environment" / "bin" / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    run([*pip, "--constraint", constraints, built], directory)
    return python


def node_project(directory: Path) -> Path:
    """A folder in which the packed client is installed and nothing else."""
    packed = tarball(directory / "packed")
    project = directory / "project"
    project.mkdir()
    (project / "package.json").write_text('{"private": true, "type": "module"}')
    run([npm(), "install", "--offline", "--no-audit", "--no-fund", packed], project)
    return project


def typescript_compiler(directory: Path) -> Path:
    """The compiler, pinned with its hashes in the folder `tsc`."""
    for name in ("package.json", "package-lock.json"):
        (directory / name).write_bytes((COMPILER / name).read_bytes())
    done = subprocess.run(
        [npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        skip_but_not_in_ci(f"npm cannot install the TypeScript compiler: {done.stderr[-1000:]}")
    return directory / "node_modules" / ".bin" / "tsc"


def npm() -> str:
    """The path of npm."""
    found = installed(("npm",), "npm")
    if found is None:
        skip_but_not_in_ci("no `npm` on the PATH: the TypeScript client cannot be packed")
    return found


def blocks(client: str) -> list[str]:
    """The examples of a client's README."""
    text = (CLIENTS / client / "README.md").read_text()
    found = re.findall(r"^```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    if not found:
        pytest.fail(f"the README of {client} has no example")
    return found
