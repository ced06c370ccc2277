"""What is shipped: the clients are packages of their own, and no part of the service's."""

import json
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.api.clients.built import CHECKOUT, wheel
from tests.api.clients.callers import CLIENTS

pytestmark = pytest.mark.programs


def names_in(project: Path, directory: Path) -> list[str]:
    """What is in the wheel of a project."""
    with ZipFile(wheel(project, directory)) as archive:
        return archive.namelist()


def test_the_service_ships_no_client(tmp_path: Path) -> None:
    names = names_in(CHECKOUT, tmp_path)
    assert "api/app.py" in names
    assert [name for name in names if "clients" in name or "kraiter" in name] == []


def test_the_service_ships_what_a_browser_loads(tmp_path: Path) -> None:
    names = names_in(CHECKOUT, tmp_path)
    for folder in ("api/page/static", "api/vendor/uplot", "api/vendor/swagger-ui"):
        kept = {str(file.relative_to(CHECKOUT)) for file in (CHECKOUT / folder).rglob("*.*")}
        assert kept
        assert kept <= set(names)


def test_the_python_client_ships_itself_and_its_types(tmp_path: Path) -> None:
    names = names_in(CLIENTS / "python", tmp_path)
    assert "kraiter/py.typed" in names
    modules = {f"kraiter/{path.name}" for path in (CLIENTS / "python" / "kraiter").glob("*.py")}
    assert {name for name in names if name.endswith(".py")} == modules


@pytest.mark.parametrize("field", ["types", "default"])
def test_the_javascript_client_ships_what_its_exports_name(field: str) -> None:
    """And needs no other package at run time."""
    package = json.loads((CLIENTS / "typescript" / "package.json").read_text())
    assert (CLIENTS / "typescript" / package["exports"]["."][field]).is_file()
    assert package["files"] == ["src"]
    assert "dependencies" not in package
