"""A Redis database of these tests' own, and the application behind its real door."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Protocol

import httpx
import msgspec
import pytest
import redis
from fastapi import FastAPI

from api.app import create_app
from api.config import ApiSettings
from api.keys.form import ENTROPY_BYTES, new_key
from api.keys.table import KeyTable
from tests.api.writer import Writer

NOW_MS = 1_758_116_712_345
"""2025-09-17T13:45:12.345Z"""


@pytest.fixture
def redis_db(redis_url: str) -> Iterator[str]:
    """The URL of an empty database that no other package's tests use."""
    url = f"{redis_url.rpartition('/')[0]}/9"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()


@pytest.fixture
def writer(redis_db: str) -> Iterator[Writer]:
    """A live generation without any counters."""
    with redis.Redis.from_url(redis_db) as client:
        writer = Writer(client)
        writer.go_live()
        yield writer


class FixedKeys:
    """A table of keys that is simply there: the twin of `KeyFollower` without Kafka."""

    def __init__(self) -> None:
        self.table = KeyTable()
        self.loaded = True
        self.next_offset = 0
        self.unread = 0
        self.heard_ms = 0
        self.trouble: str | None = None
        self.unreadable = 0
        self.made = 0
        self.texts: dict[str, str] = {}
        self.uses: list[tuple[str, int]] = []

    def add(self, tenant: str, *, revoked: bool = False) -> str:
        """Make a key, and return its text."""
        self.made += 1
        key = new_key(self.made.to_bytes(ENTROPY_BYTES, "little"))
        record = msgspec.structs.replace(key.record(tenant, 0), revoked_ms=1 if revoked else None)
        assert self.table.apply(key.id.encode(), msgspec.json.encode(record))
        self.texts[tenant] = key.text
        return key.text

    def start(self) -> None:
        """Nothing to begin."""

    def stop(self) -> None:
        """Nothing to end."""

    def note_use(self, key_id: str, now_ms: int) -> None:
        """Kept for the tests to see."""
        self.uses.append((key_id, now_ms))


@dataclass
class Door:
    """The application as a client sees it; without a key of one's own, as tenant `acme`."""

    app: FastAPI
    keys: FixedKeys
    loop: asyncio.AbstractEventLoop
    client: httpx.AsyncClient

    def get(self, path: str, key: str | None = None, **headers: str) -> httpx.Response:
        """GET with a key; with the headers given instead where there are any."""
        sent = headers or {"Authorization": f"Bearer {key or self.keys.texts['acme']}"}
        encoded = {name.encode(): value.encode() for name, value in sent.items()}
        return self.loop.run_until_complete(self.client.get(path, headers=encoded))

    def send(self, method: str, path: str) -> httpx.Response:
        """Any method, without a key."""
        return self.loop.run_until_complete(self.client.request(method, path))


class OpenDoor(Protocol):
    """Makes an application on the Redis of a URL; closed after the test."""

    def __call__(self, url: str, *, cluster: bool = False, rate_limit: str = "1000000/second") -> Door: ...


@pytest.fixture
def open_door() -> Iterator[OpenDoor]:
    """See `OpenDoor`."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        def make(url: str, *, cluster: bool = False, rate_limit: str = "1000000/second") -> Door:
            keys = FixedKeys()
            keys.add("acme")
            settings = ApiSettings(redis_url=url, redis_cluster=cluster, rate_limit=rate_limit)
            app = create_app(settings, clock=lambda: NOW_MS, keys=keys)
            runner.run(stack.enter_async_context(app.router.lifespan_context(app)))
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            client = httpx.AsyncClient(transport=transport, base_url="http://api")
            return Door(app, keys, runner.get_loop(), client)

        yield make
        runner.run(stack.aclose())


@pytest.fixture
def door(open_door: OpenDoor, redis_db: str) -> Door:
    """The application on the database of these tests."""
    return open_door(redis_db)
