"""The version is said once and stands everywhere."""

import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest
import yaml

from api.app import create_app
from api.config import ApiSettings
from deploy.release import versions
from deploy.release.versions import REPEATED, SAID
from deploy.stack import CHECKOUT
from tests.api.conftest import FixedKeys

VERSION = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"]
FILES = sorted({place.path for place in (SAID, *REPEATED)})


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files in which the version stands."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, tmp_path / name)
    return tmp_path


def test_every_place_of_this_checkout_says_the_version() -> None:
    """Read by whoever reads the file, not by the place's own pattern."""
    assert versions.version(CHECKOUT) == VERSION
    assert versions.differing(CHECKOUT) == []
    client = CHECKOUT / "api" / "clients"
    chart = yaml.safe_load((CHECKOUT / "deploy" / "helm" / "ses-metrics" / "Chart.yaml").read_text())
    compose = yaml.safe_load((CHECKOUT / "deploy" / "compose.yaml").read_text())
    assert tomllib.loads((client / "python" / "pyproject.toml").read_text())["project"]["version"] == VERSION
    assert json.loads((client / "typescript" / "package.json").read_text())["version"] == VERSION
    assert (chart["version"], chart["appVersion"]) == (VERSION, VERSION)
    assert compose["services"]["topics"]["image"] == f"ses-metrics:{VERSION}"
    assert create_app(ApiSettings(), keys=FixedKeys()).openapi()["info"]["version"] == VERSION


@pytest.mark.parametrize("place", REPEATED, ids=lambda place: f"{place.path} {place.around[0]}")
def test_a_place_that_says_another_one_is_named_and_set(copy: Path, place: versions.Place) -> None:
    file = copy / place.path
    right = file.read_text()
    other, changed = place.pattern.subn(r"\g<1>7.8.9rc1\g<3>", right)
    assert changed
    file.write_text(other)
    assert versions.differing(copy) == [place.path]
    assert versions.carry(copy) == [place.path]
    assert file.read_text() == right


def test_a_new_version_comes_to_every_place(copy: Path) -> None:
    said = copy / "pyproject.toml"
    said.write_text(said.read_text().replace(f'version = "{VERSION}"', 'version = "10.20.30"', 1))
    assert versions.carry(copy) == sorted({place.path for place in REPEATED})
    for name in FILES:
        left = (copy / name).read_text()
        assert "10.20.30" in left
        assert not re.search(rf"(?<![\d.>=]){re.escape(VERSION)}(?![\d.])", left), name
