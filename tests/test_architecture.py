"""The checkout as a whole: names that are ours alone, nothing that ties it to a machine, small rooms."""

import ast
import importlib
import re
import shutil
import subprocess
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
PACKAGES = ("aggregator", "api", "ingest", "schemas")

LINES_MAX, MODULES_MAX = 300, 12
VENDORED = CHECKOUT / "api" / "vendor"
CLIENTS = CHECKOUT / "api" / "clients"

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


@pytest.mark.programs  # git says what is ours
def test_a_file_fits_the_head_or_says_in_its_first_lines_why_not() -> None:
    """At most 300 lines, or "Long because" in the first 15."""
    ours = [
        path for path in tree() if path.suffix in {".py", ".lua", ".js"} and not path.is_relative_to(VENDORED)
    ]
    assert ours
    texts = {path: path.read_text().splitlines() for path in ours}
    assert [
        f"{path.relative_to(CHECKOUT)}: {len(lines)} lines"
        for path, lines in texts.items()
        if len(lines) > LINES_MAX and "Long because" not in "\n".join(lines[:15])
    ] == []


def rooms() -> list[Path]:
    """The packages of the programs, themselves and within them."""
    folders = {folder for name in PACKAGES for folder in [CHECKOUT / name, *(CHECKOUT / name).rglob("*")]}
    return sorted(
        each for each in folders if (each / "__init__.py").exists() and not each.is_relative_to(CLIENTS)
    )


def test_a_room_has_few_modules() -> None:
    modules = {room: [each for each in room.glob("*.py") if each.name != "__init__.py"] for room in rooms()}
    assert [
        f"{room.relative_to(CHECKOUT)}: {len(found)} modules"
        for room, found in modules.items()
        if len(found) > MODULES_MAX
    ] == []


@pytest.mark.parametrize(
    "room",
    [room for room in rooms() if room.parent != CHECKOUT],
    ids=lambda room: f"{room.parent.name}.{room.name}",
)
def test_a_room_says_what_lives_in_it(room: Path) -> None:
    """What lives here, what does not, and which way the data goes through it."""
    text = ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or ""
    assert [said for said in ("Lives here:", "Does not:", "The way through:") if said not in text] == []


@pytest.mark.parametrize("name", ["aggregator", "api", "ingest"])
def test_a_program_names_its_rooms(name: str) -> None:
    """Its own docstring is the map: every room in it is named."""
    text = ast.get_docstring(ast.parse((CHECKOUT / name / "__init__.py").read_text())) or ""
    within = [room.name for room in rooms() if room.parent == CHECKOUT / name]
    assert within
    assert [room for room in within if f"`{room}`" not in text] == []
