"""The clients on loopback, and the true API with counters for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
import redis

from schemas.topics import API_KEYS, API_KEYS_TOPIC
from tests.api.clients.callers import CALLERS, Caller
from tests.api.model import FIELDS
from tests.api.site import Site, until
from tests.api.writer import Counted, Writer
from tests.services import create_topics

TOTALS = {
    "sent": 12500,
    "delivered": 12100,
    "opened": 4800,
    "clicked": 1200,
    "bounced": 350,
    "complained": 50,
}
"""What the API's documentation gives as the totals of its example."""

DETAILS = {"bounced_hard": 200, "opened_human": 2400, "clicked_human": 900, "unsubscribed": 3}
YEAR_BEFORE = {"sent": 5000, "bounced_hard": 50}
ODD = "a/b.c ü?#%"
"""An id of any letters."""


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment has no business with loopback."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(params=CALLERS, ids=lambda caller: caller.__name__)
def ask(request: pytest.FixtureRequest) -> Caller:
    """Each of the clients."""
    caller: Caller = request.param
    return caller


@dataclass(frozen=True)
class Running:
    """The true API, and a key of the tenant that has numbers."""

    url: str
    key: str


@pytest.fixture(scope="package")
def running(
    redis_url: str, kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """`python -m api` with the session's Kafka, and a Redis database that no other package's tests use."""
    create_topics(kafka_bootstrap, {API_KEYS_TOPIC: API_KEYS})
    url = f"{redis_url.rpartition('/')[0]}/10"
    site = Site(tmp_path_factory.mktemp("api"), KAFKA_BOOTSTRAP_SERVERS=kafka_bootstrap, REDIS_URL=url)
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        writer = Writer(client)
        hour = datetime(2025, 9, 3, 7, tzinfo=UTC)
        scopes = "clients", "onboarding", "welcome-email", ("launch", None)
        facts = [Counted(hour, name, TOTALS[name] - 1, *scopes) for name in FIELDS]
        details = [Counted(hour, name, count, *scopes) for name, count in DETAILS.items()]
        earlier = hour.replace(year=2024)
        before = [Counted(earlier, name, count, *scopes) for name, count in YEAR_BEFORE.items()]
        odd = [Counted(hour, name, 1, "clients", sequence=ODD, more=(ODD, None)) for name in FIELDS]
        writer.write([*facts, *details, *before, *odd])
        writer.go_live()
        try:
            site.start()
            until(site.ready)
            yield Running(f"http://127.0.0.1:{site.port}", site.create("clients"))
        finally:
            site.kill()
            client.flushdb()
