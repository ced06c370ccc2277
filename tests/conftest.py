"""Fixtures that all tests share: a Kafka, a Redis, names and servers of a test's own.

`kafka_bootstrap` and `redis_url` are shared by the whole session, so a test keeps to topics, tenants and
generations of its own. A test that kills or restarts a server takes one from a factory.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from uuid import uuid4

import pytest
from hypothesis import Phase, settings

from deploy.kafka import Kafka
from deploy.valkey import Valkey
from tests import services
from tests.services import KAFKA_VARIABLE, REDIS_VARIABLE

pytest_plugins = ("tests.unit", "tests.side_by_side", "tests.durations")

# no test is judged by the clock: a busy machine is no fault of the code
settings.register_profile("ses-metrics", deadline=None, print_blob=True, max_examples=100)
settings.register_profile("unit", settings.get_profile("ses-metrics"), max_examples=20)
# what turns a test red is all that is wanted of a planted fault, not the least example of it
settings.register_profile(
    "planted",
    settings.get_profile("ses-metrics"),
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)
settings.load_profile(os.environ.get("TEST_PROFILE", "ses-metrics"))


def pytest_report_header() -> list[str]:
    return [
        f"kafka: {services.source_of(KAFKA_VARIABLE)}",
        f"redis: {services.source_of(REDIS_VARIABLE)}",
    ]


@pytest.fixture(scope="session")
def kafka_bootstrap() -> Iterator[str]:
    """The `host:port` of the session's Kafka, started when the first test asks."""
    with services.kafka_address(services.source_of(KAFKA_VARIABLE)) as bootstrap:
        yield bootstrap


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The `redis://` URL of the session's Redis, started when the first test asks."""
    with services.redis_address(services.source_of(REDIS_VARIABLE)) as url:
        yield url


@pytest.fixture
def kafka_factory() -> Iterator[Callable[[], Kafka]]:
    """Makes running embedded Kafkas that a test may stop, kill and start again; gone after the test."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(services.kafka_server())


@pytest.fixture
def valkey_factory() -> Iterator[Callable[[], Valkey]]:
    """Makes running embedded Valkeys that a test may stop, kill and start again; gone after the test."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(services.valkey_server())


@pytest.fixture
def topic_prefix(kafka_bootstrap: str) -> Iterator[str]:
    """A prefix for names of topics and groups that no other test has; its topics are deleted afterwards."""
    prefix = f"t{uuid4().hex[:10]}-"
    yield prefix
    services.delete_topics(kafka_bootstrap, prefix)
