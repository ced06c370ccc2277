"""What is declared is used, and what is used is declared: nothing hangs on what others happen to bring."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import files, packages_distributions
from pathlib import Path
from typing import Any

import pytest

from deploy.stack import CHECKOUT

PYPROJECT = (CHECKOUT / "pyproject.toml").read_text()
DECLARED: dict[str, Any] = tomllib.loads(PYPROJECT)
PROGRAMS = ("ingest", "aggregator", "api", "schemas")
OURS = {*PROGRAMS, "deploy", "tests", "kraiter"}
ELSEWHERE = {CHECKOUT / "api" / "clients", CHECKOUT / "tests" / "benchmarks" / "peers"}
"""A package of its own, and programs that run in environments of their own: both say what they need."""

STANDARD = {*sys.stdlib_module_names, "compression"}  # the last since Python 3.14


def normal(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    """The distributions that requirements are about."""
    return {normal(re.split(r"[\[<>=!~; ]", requirement)[0]) for requirement in requirements}


RUNTIME = names(DECLARED["project"]["dependencies"])
EXTRAS = DECLARED["project"]["optional-dependencies"]
GROUPS = {group: names(needed) for group, needed in (DECLARED["dependency-groups"] | EXTRAS).items()}
"""Of a checkout, and the extras of the project."""


def modules(folder: str) -> Iterator[Path]:
    """Our Python files below a folder, without those that have an environment of their own."""
    for path in (CHECKOUT / folder).rglob("*.py"):
        if ELSEWHERE.isdisjoint(path.parents):
            yield path


@cache
def files_of(distribution: str) -> frozenset[str]:
    """The files that a distribution brings."""
    return frozenset(str(file) for file in files(distribution) or ())


def bringing(module: str, of_module: Mapping[str, list[str]]) -> list[str]:
    """The distributions that bring a module, or a name in it; of a namespace that several share, the one.

    of_module: distributions by the names that they bring at the top.
    """
    parts = module.split(".")
    found = of_module.get(parts[0], parts[:1])
    while len(set(found)) > 1 and parts:
        path = "/".join(parts)
        one = [each for each in found if {f"{path}.py", f"{path}/__init__.py"} & files_of(each)]
        if one:
            return one
        parts.pop()
    return found


@cache
def imported(folder: str) -> dict[str, str]:
    """Each distribution of others that is imported below a folder, and a file that does so."""
    of_module = packages_distributions()
    found = {}
    for path in modules(folder):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Import(names=aliases):
                    wanted = [alias.name for alias in aliases]
                case ast.ImportFrom(module=str(module), names=aliases, level=0):
                    wanted = [f"{module}.{alias.name}" for alias in aliases]
                case _:
                    continue
            for name in wanted:
                if name.partition(".")[0] not in STANDARD | OURS:
                    for distribution in bringing(name, of_module):
                        found[normal(distribution)] = f"{path.relative_to(CHECKOUT)} imports {name}"
    return found


def test_every_dependency_is_imported_or_says_why_it_is_here() -> None:
    """The reason is a comment on the line of the dependency."""
    explained = names(re.findall(r'^  "(.+)",  # \w.+$', PYPROJECT, re.MULTILINE))
    used = {name for folder in PROGRAMS for name in imported(folder)}
    assert sorted(RUNTIME - used - explained) == []
    assert sorted(RUNTIME & used & explained) == [], "a reason for what needs none"


@pytest.mark.parametrize(
    ("folder", "groups"),
    [
        *((program, ()) for program in PROGRAMS if program != "schemas"),
        ("schemas", ("otel",)),
        ("deploy", ("stack", "build", "aws")),
        ("tests", ("stack", "test", "bench")),
    ],
)
def test_whatever_is_imported_is_declared(folder: str, groups: tuple[str, ...]) -> None:
    declared = RUNTIME.union(*(GROUPS[group] for group in groups))
    assert {name: where for name, where in imported(folder).items() if name not in declared} == {}
