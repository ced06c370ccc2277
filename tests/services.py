"""The Kafka and the Redis that tests talk to: where they come from, and topics of a test's own.

The first that fits gives both or either:
1. addresses in the environment: `TEST_KAFKA_BOOTSTRAP_SERVERS`, `TEST_REDIS_URL`. (Not the names that the
   programs read: a shell that knows production's addresses must not run tests against it.)
2. containers of the images that `deploy/compose.yaml` names, where `TEST_CONTAINERS=1` asks for them and an
   engine answers.
3. the embedded stack of `deploy`.
"""

import gc
import os
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from deploy.kafka import Kafka
from deploy.kafka_jars import KAFKA
from deploy.processes import Waiting, free_port
from deploy.stack import CHECKOUT
from deploy.valkey import Valkey
from schemas.shared import create_topics as topics
from schemas.topics import TopicConfig

KAFKA_VARIABLE = "TEST_KAFKA_BOOTSTRAP_SERVERS"
REDIS_VARIABLE = "TEST_REDIS_URL"

LIMIT_S = 180.0
"""A server that is not ready by then fails the tests; only a broken one takes so long."""


@dataclass(frozen=True)
class Source:
    """Where a service comes from, and its address where that is known beforehand."""

    kind: Literal["environment", "containers", "embedded"]
    address: str = ""
    why: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.kind, self.address, self.why) if part)


def source_of(variable: str) -> Source:
    """Choose the source of the service whose address `variable` may name."""
    address = os.environ.get(variable)
    if address:
        return Source("environment", address, f"({variable})")
    if os.environ.get("TEST_CONTAINERS") != "1":
        return Source("embedded")
    trouble = engine_trouble()
    return Source("embedded", why=f"(no engine: {trouble})") if trouble else Source("containers")


@cache
def engine_trouble() -> str | None:
    """Why no container engine can be used; none: one answers."""
    import docker  # noqa: PLC0415  # only where containers are asked for

    trouble = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the client forgets its socket where it fails
        try:
            with closing(docker.from_env(timeout=10)) as engine:
                engine.ping()
        except docker.errors.DockerException as error:
            trouble = str(error)
        gc.collect()
    return trouble


def image_of(service: str) -> str:
    """The image of a service, as an operator runs it."""
    compose = yaml.safe_load((CHECKOUT / "deploy" / "compose.yaml").read_text())
    return str(compose["services"][service]["image"])


@contextmanager
def kafka_server() -> Iterator[Kafka]:
    """A running embedded Kafka with new data, stopped at the end."""
    KAFKA.fetch()
    with tempfile.TemporaryDirectory(prefix="ses-metrics-kafka-") as directory:
        kafka = Kafka(Path(directory), port=free_port(), controller_port=free_port())
        try:
            kafka.start(Waiting(limit_s=LIMIT_S))
            yield kafka
        finally:
            kafka.kill()


@contextmanager
def valkey_server() -> Iterator[Valkey]:
    """A running embedded Valkey with no data, stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="ses-metrics-valkey-") as directory:
        valkey = Valkey(Path(directory), port=free_port())
        try:
            valkey.start(Waiting(limit_s=LIMIT_S))
            yield valkey
        finally:
            valkey.kill()


@contextmanager
def kafka_address(source: Source) -> Iterator[str]:
    """The `host:port` of a Kafka from that source."""
    match source.kind:
        case "environment":
            yield source.address
        case "containers":
            from testcontainers.core.container import DockerContainer  # noqa: PLC0415  # as above
            from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: PLC0415

            port = free_port()
            container = (
                DockerContainer(image_of("kafka"))
                .with_bind_ports(9092, port)
                .with_env("KAFKA_PROCESS_ROLES", "broker,controller")
                .with_env("KAFKA_NODE_ID", "1")
                .with_env("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@localhost:9093")
                .with_env("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER")
                .with_env("KAFKA_LISTENERS", "PLAINTEXT://:9092,CONTROLLER://:9093")
                .with_env("KAFKA_ADVERTISED_LISTENERS", f"PLAINTEXT://127.0.0.1:{port}")
                .with_env("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1")
                .with_env("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0")
                .waiting_for(LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(180))
            )
            with container:
                yield f"127.0.0.1:{port}"
        case "embedded":
            with kafka_server() as kafka:
                yield kafka.bootstrap


@contextmanager
def redis_address(source: Source) -> Iterator[str]:
    """The `redis://` URL of a Redis or Valkey from that source."""
    match source.kind:
        case "environment":
            yield source.address
        case "containers":
            from testcontainers.core.container import DockerContainer  # noqa: PLC0415  # as above
            from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: PLC0415

            port = free_port()
            container = (
                DockerContainer(image_of("valkey"))
                .with_command("valkey-server --appendonly yes --save ''")
                .with_bind_ports(6379, port)
                .waiting_for(LogMessageWaitStrategy("Ready to accept connections"))
            )
            with container:
                yield f"redis://127.0.0.1:{port}/0"
        case "embedded":
            with valkey_server() as valkey:
                yield valkey.url


def create_topics(bootstrap: str, wanted: Mapping[str, TopicConfig]) -> None:
    """Create topics on a test's Kafka; those that exist are left.

    They can be read and written then: the leader of a new partition may say for seconds that it is none.
    """
    topics.create({"bootstrap.servers": bootstrap}, wanted)
    admin = AdminClient({"bootstrap.servers": bootstrap})
    latest = {
        TopicPartition(name, number): OffsetSpec.latest()  # type: ignore[no-untyped-call]
        for name, topic in wanted.items()
        for number in range(topic.partitions)
    }
    until = time.monotonic() + LIMIT_S
    has_leaders = False
    while not has_leaders:
        assert time.monotonic() < until, f"a partition of {', '.join(wanted)} has no leader"
        for name in wanted:
            admin.list_topics(name, timeout=LIMIT_S)  # or librdkafka goes on asking whom it knows
        answers = admin.list_offsets(latest, request_timeout=30).values()
        has_leaders = not any(answer.exception() for answer in answers)


def delete_topics(bootstrap: str, prefix: str) -> None:
    """Delete every topic whose name begins with `prefix`, so that a shared Kafka stays small."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    names = [name for name in admin.list_topics(timeout=30).topics if name.startswith(prefix)]
    if names:
        for answer in admin.delete_topics(names, operation_timeout=30).values():
            answer.result()
