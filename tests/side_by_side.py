"""`pytest -n auto`: how many processes, and in which order they are given the files.

Each process has a Kafka and a Redis of its own, so tests of two processes never meet. A file is not divided
(`--dist loadfile`), as its tests may share what a fixture of the module has started.
"""

import os
from typing import Final

import pytest

from deploy import processes
from deploy.kafka_jars import KAFKA
from tests import services
from tests.services import KAFKA_VARIABLE, REDIS_VARIABLE

FIRST: Final = (
    "tests/pipeline/test_secure.py",
    "tests/chaos/test_mutations.py",
    "tests/deploy/containers/",
    "tests/chaos/",
    "tests/pipeline/",
    "tests/attack/",
    "tests/deploy/",
    "tests/api/page/",
)
"""What takes longest comes first, so that no process has a long file left when the others are done."""


MOST_PROCESSES: Final = 8
"""As many as have ports of their own; more share them."""


def pytest_configure() -> None:
    """Give each process ports of its own: from the choice of one until a server has it takes seconds."""
    name = os.environ.get("PYTEST_XDIST_WORKER", "")
    if name.startswith("gw"):
        processes.PORTS = processes.PORTS[int(name[2:]) % MOST_PROCESSES :: MOST_PROCESSES]


@pytest.hookimpl(optionalhook=True)  # a run may go without the plugin that asks
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process more than processors, as most tests wait for others; unit tests wait for nobody.

    None beside this one where the servers are given: tests in one Redis empty databases that others may use.
    """
    processors = len(os.sched_getaffinity(0))
    if config.getoption("markexpr") == "unit":
        return processors
    given = (services.source_of(KAFKA_VARIABLE), services.source_of(REDIS_VARIABLE))
    return 0 if any(each.kind == "environment" for each in given) else processors + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Fetch Kafka's jars before any process asks for them, so that no two fetch into one cache of Maven's."""
    if config.getoption("markexpr") != "unit":
        KAFKA.fetch()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files in the order of `FIRST`, then others, and last those that need no server at all."""
    servers = {item.path for item in items if item.get_closest_marker("unit") is None}

    def rank(item: pytest.Item) -> tuple[bool, int]:
        first = (number for number, prefix in enumerate(FIRST) if item.nodeid.startswith(prefix))
        return item.path not in servers, next(first, len(FIRST))

    items.sort(key=rank)
