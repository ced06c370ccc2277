"""One tenant asks for as much as it can, and another notices nothing of it: the true program, on the wire."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.counters.long.asked import AT_ONCE
from api.sharing.costs import HEADER, MOST, UNDER_WAY
from schemas.topics import API_KEYS, API_KEYS_TOPIC
from tests.api.site import Site, until
from tests.api.writer import Counted, Writer
from tests.services import LIMIT_S, create_topics

HOUR = datetime(2025, 9, 3, 7, tzinfo=UTC)
CONNECTIONS = 32
ANSWERS = 50
# The first two take longest, whatever was counted: so they are what hammers.
COSTLY = (
    "period=hour&from=2024-07-16&timezone=Europe/Berlin&include=rates,status&compare=previous",
    "period=day&from=1998-06-01&timezone=Asia/Kathmandu&fields=all&include=rates,status&compare=previous",
    "period=month&from=1970-01-01&fields=all",
    "period=week&from=2020-01-01&group_by=sequence&limit=1000",
)


def costly(number: int) -> str:
    """The path of one of them."""
    return f"/api/metrics?{COSTLY[number % len(COSTLY)]}&to=2025-09-03"


@pytest.fixture
def site(tmp_path: Path, writer: Writer, redis_db: str, kafka_bootstrap: str) -> Iterator[Site]:
    """A host whose API is ready, and what two tenants sent."""
    create_topics(kafka_bootstrap, {API_KEYS_TOPIC: API_KEYS})
    writer.write(
        Counted(HOUR - number * timedelta(days=1), "sent", 3, tenant=tenant, sequence=f"{number % 50}")
        for tenant, days in (("greedy", 1000), ("modest", 10))
        for number in range(days)
    )
    site = Site(tmp_path, KAFKA_BOOTSTRAP_SERVERS=kafka_bootstrap, REDIS_URL=redis_db)
    site.start()
    until(site.ready)
    yield site
    site.kill()


@contextmanager
def calls_of(client: Any) -> Iterator[list[list[bytes]]]:
    """The commands that Redis was given in the block, and their arguments."""
    calls: list[list[bytes]] = []
    limit = client.config_get("slowlog-log-slower-than"), client.config_get("slowlog-max-len")
    client.config_set("slowlog-max-len", 100_000)
    client.config_set("slowlog-log-slower-than", 0)
    client.slowlog_reset()
    try:
        yield calls
        calls.extend(each["command"].split(b" ") for each in client.slowlog_get(100_000))
    finally:
        for each in limit:
            for name, value in each.items():
                client.config_set(name, value)


def is_of_the_tenant(answer: httpx.Response) -> bool:
    return answer.headers["RateLimit"].startswith('"tenant";')


def test_nobody_is_held_up_or_refused_for_another(site: Site, writer: Writer) -> None:
    """Beside 32 connections of two keys of one tenant with the costliest queries another has every answer.

    The one that asks so much is told what was too much; asking one thing after the other it never is. No
    call has Redis look at more than it may, however much is asked.
    """
    greedy, modest = [site.create("greedy") for _ in range(3)], site.create("modest")
    refused: list[httpx.Response] = []
    costs: set[str] = set()

    async def beside() -> list[httpx.Response]:
        done, both = asyncio.Event(), asyncio.Event()
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{site.port}",
            timeout=LIMIT_S,
            trust_env=False,
            limits=httpx.Limits(max_connections=CONNECTIONS + 1),
        ) as client:

            async def hammer(number: int) -> None:
                headers = {"Authorization": f"Bearer {greedy[number % 2]}"}
                while not done.is_set():
                    answer = await client.get(costly(number // 2 % 2), headers=headers)
                    if answer.status_code == 200:
                        costs.add(answer.headers[HEADER])
                    else:
                        refused.append(answer)
                    if costs and any(map(is_of_the_tenant, refused)):
                        both.set()
                    await asyncio.sleep(0.01)  # the tests' own processor is wanted by others too

            async with asyncio.TaskGroup() as group:
                for number in range(CONNECTIONS):
                    group.create_task(hammer(number))
                await asyncio.wait_for(both.wait(), LIMIT_S)
                headers = {"Authorization": f"Bearer {modest}"}
                answers = [await client.get("/api/metrics", headers=headers) for _ in range(ANSWERS)]
                done.set()
        return answers

    answers = asyncio.run(beside())
    assert [answer.status_code for answer in answers] == [200] * ANSWERS
    assert {answer.headers[HEADER] for answer in answers} == {"1"}
    assert costs == {str(MOST)}
    for answer in refused:
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (429, "RATE_LIMITED")
        words = {"tenant": f"at most {UNDER_WAY} together", "key": "cost 1,000 in 1 s"}
        policy = answer.headers["RateLimit"].split('"')[1]
        assert words[policy] in problem["detail"]
        assert int(answer.headers["Retry-After"]) >= 1
    assert any(map(is_of_the_tenant, refused))

    with calls_of(writer.client) as calls:
        for number in range(2 * len(COSTLY)):
            answer = site.get(costly(number), greedy[2])
            assert answer.status_code == 200, answer.text
    reads = [call for call in calls if call[0] in {b"EVAL_RO", b"EVALSHA_RO"}]
    assert len(reads) > 4 * len(COSTLY)
    assert {int(call[-2] or 1_000_000) for call in reads} == {AT_ONCE}
