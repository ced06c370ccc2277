"""The health of tenants as metrics: of the largest, worked out beside the requests, on a port of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import ValidationError

from api.config import ApiSettings
from api.counters.connection import connect
from api.counters.reader import CounterReader
from api.errors import UNAVAILABLE, ApiError
from api.metrics import TenantMetrics
from api.senders import watch
from api.senders.watch import Watch
from deploy.processes import free_port
from schemas import redis_keys
from schemas.topics import API_KEYS, API_KEYS_TOPIC
from tests.api.conftest import NOW_MS
from tests.api.senders.conftest import BOUNCING, DISLIKED, HEALTHY, NOW, write
from tests.api.site import Site, until
from tests.api.writer import Counted, Writer
from tests.metrics_text import samples
from tests.services import create_topics

HEALTH = {
    ("bounce", HEALTHY): 0,
    ("complaint", HEALTHY): 0,
    ("bounce", BOUNCING): 1,
    ("complaint", BOUNCING): 0,
    ("bounce", DISLIKED): 0,
    ("complaint", DISLIKED): 2,
}


@asynccontextmanager
async def reading(redis_db: str) -> AsyncIterator[CounterReader]:
    reader = CounterReader(connect(ApiSettings(redis_url=redis_db)))
    try:
        yield reader
    finally:
        await reader.close()


class Shown:
    """A watch on a Redis, and what it shows."""

    def __init__(self, redis_db: str) -> None:
        self.registry = CollectorRegistry()
        self.metrics = TenantMetrics(self.registry)
        self.url = redis_db

    def survey(self) -> None:
        async def survey() -> None:
            async with reading(self.url) as reader:
                await Watch(reader, self.metrics, lambda: NOW_MS).survey()

        asyncio.run(survey())

    def __getitem__(self, name: str) -> dict[tuple[str, ...], float]:
        return samples(generate_latest(self.registry).decode(), f"api_tenant_{name}")


@pytest.fixture
def shown(redis_db: str) -> Shown:
    return Shown(redis_db)


def test_the_health_of_each_is_shown(writer: Writer, shown: Shown) -> None:
    """Of those of whom something can be said, with the rate that it goes by."""
    write(writer)
    shown.survey()
    assert shown["health"] == HEALTH
    assert shown["rate"]["bounce", BOUNCING] == 0.05
    assert shown["rate"]["complaint", DISLIKED] == 0.005
    assert shown["health_seen_timestamp_seconds"] == {(): NOW_MS / 1000}


def test_they_are_the_largest(writer: Writer, shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what they sent, over all lanes; who was shown before and is not among them is gone."""
    write(writer)
    shown.survey()
    assert len(shown["health"]) == len(shown["rate"]) == 6
    monkeypatch.setattr(watch, "LARGEST", 2)
    shown.survey()
    for name in ("health", "rate"):
        assert {tenant for _, tenant in shown[name]} == {HEALTHY, BOUNCING}


def test_what_cannot_be_read_leaves_what_was_seen(writer: Writer, shown: Shown) -> None:
    """One lane of many is enough: else its tenants would seem to be well."""
    write(writer)
    shown.survey()
    writer.write([Counted(NOW, "bounced_hard", 4_000, HEALTHY)])
    writer.client.delete(redis_keys.lane_key("g1", 1), redis_keys.lane_key("g1", 2))
    with pytest.raises(ApiError):
        shown.survey()
    assert shown["health"] == HEALTH


def test_a_survey_takes_a_small_part_of_the_time(
    writer: Writer, redis_db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each read it pauses for many times what that took."""
    write(writer)
    clock = count()
    paused: list[float] = []
    sleep = asyncio.sleep

    async def pause(seconds: float) -> None:
        paused.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", pause)

    async def survey() -> None:
        async with reading(redis_db) as reader:
            metrics = TenantMetrics(CollectorRegistry())
            await Watch(reader, metrics, lambda: NOW_MS, clock_s=lambda: float(next(clock))).survey()

    asyncio.run(survey())
    assert paused
    assert all(seconds == pytest.approx(19) for seconds in paused)


def test_it_goes_on_after_trouble(writer: Writer, redis_db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of whatever kind: an error that is foreseen, and a defect."""
    assert writer.generation.name == "g1"
    monkeypatch.setattr(watch, "EVERY_S", 0.0)
    troubles: list[Exception] = [ValueError("defect"), ApiError(UNAVAILABLE, "no Redis")]
    done = asyncio.Event()

    async def runs() -> None:
        async with reading(redis_db) as reader:
            watching = Watch(reader, TenantMetrics(CollectorRegistry()), lambda: NOW_MS)

            async def survey() -> None:
                if troubles:
                    raise troubles.pop()
                done.set()

            monkeypatch.setattr(watching, "survey", survey)
            task = asyncio.create_task(watching.run())
            await done.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(runs())
    assert troubles == []


def test_it_is_refused_without_a_port_of_its_own() -> None:
    with pytest.raises(ValidationError, match="HEALTH_METRICS=true takes METRICS_PORT"):
        ApiSettings(health_metrics=True)
    assert ApiSettings(health_metrics=True, metrics_port=0).health_metrics


def test_the_true_program_shows_them(
    tmp_path: Path, writer: Writer, redis_db: str, kafka_bootstrap: str
) -> None:
    """On METRICS_PORT, without anybody's asking; on the public port there is nothing of it."""
    create_topics(kafka_bootstrap, {API_KEYS_TOPIC: API_KEYS})
    writer.write([Counted(NOW, "sent", 1)])
    port = free_port()
    settings = {"KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap, "REDIS_URL": redis_db}
    site = Site(tmp_path, **settings, HEALTH_METRICS="true", METRICS_PORT=str(port))
    operators = Site(tmp_path)
    operators.port = port
    try:
        site.start()
        name = "api_tenant_health_seen_timestamp_seconds"
        until(lambda: samples(operators.get("/metrics").text, name)[()] > 0)
        assert site.get("/metrics").status_code == 404
    finally:
        site.kill()
