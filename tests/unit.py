"""Unit tests: what needs this process and nothing else. `pytest -m unit` runs them, and they can do no more.

The mark is derived, never written: a test is a unit test unless it takes a fixture that starts a server, lies
in a folder whose tests start the programs, or is marked `programs`. The mark cannot lie: a test that carries
it and starts a program, or reaches for an address, fails.
"""

import sys
import threading
from collections.abc import Generator
from socket import AF_INET, AF_INET6
from typing import Any, Final

import pytest

SERVERS: Final = {"kafka_bootstrap", "redis_url", "kafka_factory", "valkey_factory", "sns_stand_in", "s3"}
"""The fixtures that start a server. Others are known because they take one of these."""

FOLDERS: Final = ("tests/chaos/", "tests/pipeline/")
"""Where every test starts the true programs."""

STARTS: Final = frozenset(
    {"subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"}
)
"""The interpreter's audit events of a program that is started."""

REACHES: Final = frozenset({"socket.bind", "socket.connect"})
"""Its audit events of a socket that gets an address; arguments: the socket, the address."""


def is_unit(item: pytest.Item) -> bool:
    """Whether a test needs nothing but this process."""
    fixtures = getattr(item, "fixturenames", ())
    return not (
        SERVERS & set(fixtures) or item.nodeid.startswith(FOLDERS) or item.get_closest_marker("programs")
    )


class Guard:
    """Sees to it that the unit test that runs now stays in this process.

    What threads do that were there before the test is not the test's doing: a server of other tests of the
    same module may be among them.
    """

    def __init__(self) -> None:
        self._others: set[threading.Thread] | None = None
        self._did: list[str] = []

    def begin(self) -> None:
        """From now on nothing may be started or reached."""
        self._others = set(threading.enumerate()) - {threading.current_thread()}

    def end(self) -> list[str]:
        """All is allowed again. Returns: what was tried."""
        self._others = None
        did, self._did = self._did, []
        return did

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook of the interpreter; such a hook stays until the process ends.

        Raises: PermissionError where the unit test that runs may not do that.
        """
        if self._others is None or not (event in STARTS or event in REACHES):
            return
        if event in REACHES and arguments[0].family not in (AF_INET, AF_INET6):
            return  # an event loop wakes itself by a pair of sockets without addresses
        if threading.current_thread() in self._others:
            return
        self._did.append(f"{event} {arguments[1] if event in REACHES else arguments[0]}")
        raise PermissionError(f"a unit test may not do this: {self._did[-1]}")


GUARD: Final = Guard()
sys.addaudithook(GUARD)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the unit tests."""
    for item in items:
        if is_unit(item):
            item.add_marker("unit")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """Guard what the fixtures of a unit test do."""
    return (yield from guarded(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Guard what a unit test does."""
    return (yield from guarded(item))


def guarded(item: pytest.Item) -> Generator[None]:
    """Fail a unit test that did not stay in this process, even where what it calls took no notice."""
    if item.get_closest_marker("unit") is None:
        return (yield)
    GUARD.begin()
    try:
        result = yield
    finally:
        did = GUARD.end()
        if did:
            pytest.fail(
                f"no unit test: {', '.join(did)}. Take a fixture that starts a server, or mark it `programs`"
            )
    return result
