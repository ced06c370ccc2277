"""The checkout as a whole: names that are ours alone, and nothing that ties it to one machine."""

import importlib
import re
import shutil
import subprocess
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
PACKAGES = ("aggregator", "api", "ingest", "schemas")

FORBIDDEN = re.compile(
    r"""
    pypi\.org | pythonhosted\.org | npmjs\.(?:org|com) | maven\.(?:org|apache\.org) | (?:extra-)?index-url
    | (?<![\w.<}/-]) / (?:home|root|Users|work|tmp/v) / \w
    """,
    re.VERBOSE,
)
"""Hosts of package registries, and absolute paths of somebody's machine."""


@pytest.mark.parametrize("name", PACKAGES)
def test_our_import_names_are_ours_alone(name: str) -> None:
    """No installed distribution but our own ships a package of this name, and ours is what is imported."""
    assert set(packages_distributions().get(name, [])) <= {"ses-metrics"}
    module = importlib.import_module(name)
    assert module.__file__ is not None
    assert Path(module.__file__).is_relative_to(CHECKOUT)


def tree() -> list[Path]:
    """The files of the checkout that git knows or would add."""
    git = shutil.which("git")
    if git is None or not (CHECKOUT / ".git").exists():
        pytest.skip("no git checkout: cannot tell our files from others")
    listed = subprocess.run(
        [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    return [CHECKOUT / name for name in listed.split("\0") if name and (CHECKOUT / name).is_file()]


@pytest.mark.programs
def test_nothing_names_a_registry_or_a_machine() -> None:
    files = [path for path in tree() if path != Path(__file__)]
    assert files
    found = [
        f"{path.relative_to(CHECKOUT)}:{number}: {line.strip()[:120]}"
        for path in files
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if FORBIDDEN.search(line)
    ]
    assert found == []


def test_every_folder_of_tests_is_a_package() -> None:
    """Else pytest could take `tests/api` for `api`."""
    folders = {path.parent for path in (CHECKOUT / "tests").rglob("test_*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_ci_runs_make_test_and_nothing_else() -> None:
    lines = (CHECKOUT / ".ci" / "run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]
    assert commands == ["exec make test"]
