"""A stack that the doctor looks at, and how a fault is planted and taken away again."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource

from api.clock import now_ms
from deploy.doctor import site
from deploy.doctor.__main__ import addresses
from deploy.doctor.check import Row, State
from deploy.doctor.examination import examination
from deploy.doctor.send import Sending
from tests.pipeline.programs import LIMIT_S, wait_until


class Seen(NamedTuple):
    """Where a problem must be seen, in which words, and with which fix."""

    check: str
    what: str
    fix: str


def look(
    environment: Mapping[str, str],
    programs: Sequence[str] = tuple(site.PROGRAMS),
    *,
    clock_ms: Callable[[], int] = now_ms,
    sending: Sending | None = None,
    heard: Callable[[Row], None] = lambda _: None,
) -> list[Row]:
    """What the doctor finds with these settings and no others. heard: called with each row as it comes."""
    with mock.patch.dict(os.environ, environment, clear=True):
        found = site.read(programs, None)
        rows = []
        for row in examination(found, addresses(found, {}), clock_ms, sending):
            rows.append(row)
            heard(row)
        return rows


def problems(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.finding.state is State.PROBLEM]


def check_names(rows: Sequence[Row], *seen: Seen) -> None:
    """Each problem is one that must be seen, in its words and with its fix, and each of these is there."""
    found = problems(rows)
    assert [row.check for row in found] == [each.check for each in seen], found
    for row, each in zip(found, seen, strict=True):
        assert each.what in row.finding.what, row
        assert each.fix in row.finding.fix, row


@contextmanager
def topic_setting(bootstrap: str, topic: str, name: str, value: str) -> Iterator[None]:
    """A setting of a topic is another one meanwhile."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)

    def stands() -> Any:
        return admin.describe_configs([resource])[resource].result(LIMIT_S)[name].value

    def put(new: str) -> None:
        entry = ConfigEntry(name, new, incremental_operation=AlterConfigOpType.SET)
        changed = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
        admin.incremental_alter_configs([changed])[changed].result(LIMIT_S)
        wait_until(lambda: stands() == new, f"{topic} has {name}={new}")

    before = stands()
    put(value)
    try:
        yield
    finally:
        put(before)


@contextmanager
def redis_setting(client: Any, name: str, value: str) -> Iterator[None]:
    """A setting of a Redis is another one meanwhile."""
    before = client.config_get(name)[name]
    client.config_set(name, value)
    try:
        yield
    finally:
        client.config_set(name, before)
