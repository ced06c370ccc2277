"""The mark `unit` says the truth: by what a test takes and where it lies, and by what it can't do."""

import socket
import subprocess
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from tests.side_by_side import pytest_collection_modifyitems as put_in_order
from tests.unit import GUARD, Guard, guarded, is_unit


@dataclass
class Item:
    """What is asked of a test."""

    nodeid: str
    fixturenames: tuple[str, ...] = ()
    marks: frozenset[str] = frozenset()

    @property
    def path(self) -> Path:
        return Path(self.nodeid.partition("::")[0])

    def get_closest_marker(self, name: str) -> bool | None:
        return name in self.marks or None


def items(those: Iterable[Item]) -> list[pytest.Item]:
    return cast("list[pytest.Item]", list(those))


@pytest.mark.parametrize(
    ("item", "unit"),
    [
        (Item("tests/api/test_x.py::test_x", ("tmp_path",)), True),
        (Item("tests/api/test_x.py::test_x", ("tmp_path", "redis_url")), False),
        (Item("tests/api/test_x.py::test_x", ("topic_prefix", "kafka_bootstrap")), False),
        (Item("tests/chaos/test_x.py::test_x"), False),
        (Item("tests/pipeline/test_x.py::test_x"), False),
        (Item("tests/api/test_x.py::test_x", marks=frozenset({"programs"})), False),
    ],
)
def test_the_mark_is_derived(item: Item, unit: bool) -> None:
    assert is_unit(items([item])[0]) is unit


def test_a_fixture_that_takes_a_server_counts(request: pytest.FixtureRequest, topic_prefix: str) -> None:
    """It is not named by the test, nor among the servers: pytest tells what it takes."""
    assert topic_prefix
    assert request.node.get_closest_marker("unit") is None


def start() -> None:
    subprocess.run(["true"], check=True)


def connect() -> None:
    with socket.socket() as reaching:
        reaching.connect(("127.0.0.1", 9))


@pytest.mark.parametrize(
    ("does", "reported"),
    [(start, "subprocess.Popen true"), (connect, "socket.connect ('127.0.0.1', 9)")],
)
def test_a_unit_test_can_do_no_such_thing(does: Any, reported: str) -> None:
    with pytest.raises(PermissionError, match="a unit test may not"):
        does()
    assert GUARD.end() == [reported]  # which forgives this very test


def test_who_tries_fails_even_where_nobody_notices(request: pytest.FixtureRequest) -> None:
    running = guarded(request.node)
    next(running)
    with suppress(PermissionError):
        start()
    with pytest.raises(pytest.fail.Exception, match=r"no unit test: subprocess\.Popen true"):
        running.send(None)


def test_a_server_of_other_tests_goes_on() -> None:
    """A thread that was there before is not the test's; one that the test starts is."""
    guard, go, refused = Guard(), threading.Event(), []

    def serve() -> None:
        go.wait()
        try:
            guard("subprocess.Popen", ("kafka",))
        except PermissionError:
            refused.append(threading.current_thread())

    before = threading.Thread(target=serve)
    before.start()
    guard.begin()
    own = threading.Thread(target=serve)
    own.start()
    go.set()
    for thread in (before, own):
        thread.join()
    assert refused == [own]
    assert guard.end() == ["subprocess.Popen kafka"]


def test_what_takes_long_comes_first_and_what_needs_no_server_last() -> None:
    """In files of both kinds, which may share a server, the tests keep their order."""
    unit = frozenset({"unit"})
    given = [
        Item("tests/aggregator/test_b.py::test_1", marks=unit),
        Item("tests/api/test_a.py::test_1", marks=unit),
        Item("tests/api/test_a.py::test_2"),
        Item("tests/pipeline/test_x.py::test_1"),
        Item("tests/pipeline/test_secure.py::test_1"),
    ]
    ordered = items(given)
    put_in_order(ordered)
    assert [item.nodeid for item in ordered] == [given[number].nodeid for number in (4, 3, 1, 2, 0)]
