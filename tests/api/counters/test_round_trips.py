"""Reads that share a round trip to one real Redis."""

import asyncio

import pytest
import redis

from api.config import ApiSettings
from api.counters import round_trips
from api.counters.connection import connect
from api.counters.round_trips import AT_ONCE, Reply, RoundTrips

TOGETHER = 3


def test_of_many_who_ask_at_once_few_go_together(redis_db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has its own reply, and no trip takes more than it may: they have one time limit together."""
    monkeypatch.setattr(round_trips, "TOGETHER", TOGETHER)
    number = 100

    async def ask() -> list[Reply]:
        client = connect(ApiSettings(redis_url=redis_db))
        trips = RoundTrips(client)
        try:
            return await asyncio.gather(*(trips.ask(("ECHO", str(each))) for each in range(number)))
        finally:
            await trips.close()
            await client.aclose()

    with redis.Redis.from_url(redis_db) as server:
        server.config_resetstat()
        found = asyncio.run(ask())
        calls = server.info("commandstats")["cmdstat_mget"]["calls"]
    assert [answer for _, answer in found] == [str(each).encode() for each in range(number)]
    assert number / TOGETHER <= calls <= number / TOGETHER + AT_ONCE
