"""The innocent, who go on while an attack lasts: mail that comes by the webhook, queries, a look at Valkey.

In a process of their own, so that an attacker's work is not taken for a delay. Posts and queries are an
open model (see `tests.pipeline.beside`): each leaves when it is due, and its time counts from then. A post
that is not taken is sent again, as SNS does, and is taken when it is answered 200. Each comes over
a connection of its own, so that it stands in the same queue as the attacker's.
"""

import asyncio
import json
import multiprocessing
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
import redis.asyncio

from deploy.signing import Signer
from deploy.traffic import HOUR, iso
from tests.pipeline.beside import Asked, percentile
from tests.pipeline.webhook import HEADERS, TOPIC_ARN

TENANT: Final = "innocent"
POSTS_PER_S: Final = 5
ASKS_PER_S: Final = 10
LOOK_EVERY_S: Final = 0.02
AGAIN_S: Final = 0.25
GIVE_UP_S: Final = 45.0
OK: Final = 200


class Where(NamedTuple):
    """What the innocent know: URLs, the folder of pinned certificates, the API key of `TENANT`."""

    webhook: str
    api: str
    redis: str
    certificates: str
    key: str


class Posted(NamedTuple):
    """A message: how long until it was taken (ms), how often it was refused before, whether it was taken."""

    value: bytes
    took_ms: float
    refused: int
    taken: bool


@dataclass(slots=True)
class Honest:
    """What they saw, complete once it has ended. looks_ms: how long each look at Valkey took."""

    posted: list[Posted] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    looks_ms: list[float] = field(default_factory=list)

    def api_ms(self, share: float) -> float:
        """A percentile of the API's times, 1 for the worst."""
        return percentile(self.asked, share) if self.asked else 0.0


@contextmanager
def honest(where: Where, round_number: int) -> Iterator[Honest]:
    """Go on until the block ends; the result is filled in then. round_number: no message is sent twice."""
    context = multiprocessing.get_context("spawn")
    begun, done = context.Event(), context.Event()
    reported: Any = context.SimpleQueue()
    child = context.Process(target=_main, args=(where, round_number, begun, done, reported), daemon=True)
    seen = Honest()
    child.start()
    try:
        assert begun.wait(60), "the innocent did not begin"
        yield seen
        assert child.is_alive(), "the innocent have ended too early"
    finally:
        done.set()
    posted, asked, seen.looks_ms = reported.get()
    seen.posted = [Posted(*row) for row in posted]
    seen.asked = [Asked(*row) for row in asked]
    child.join()


def _main(where: Where, round_number: int, begun: Any, done: Any, reported: Any) -> None:
    reported.put(asyncio.run(_all(where, round_number, begun, done)))


async def _all(where: Where, round_number: int, begun: Any, done: Any) -> tuple[Any, Any, Any]:
    signer = Signer.create(Path(where.certificates))
    posted: list[Posted] = []
    asked: list[Asked] = []
    looks: list[float] = []
    timeout = aiohttp.ClientTimeout(total=GIVE_UP_S)
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
        redis.asyncio.Redis.from_url(where.redis, socket_timeout=2 * GIVE_UP_S) as valkey,
    ):

        async def post(number: int, due: float) -> None:
            posted.append(await _post(session, where.webhook, signer, (round_number, number), due))

        async def ask(_: int, due: float) -> None:
            asked.append(await _ask(session, where, due))

        begun.set()
        await asyncio.gather(
            _each(POSTS_PER_S, post, done), _each(ASKS_PER_S, ask, done), _look(valkey, looks, done)
        )
    return posted, asked, looks


async def _each(per_s: int, what: Callable[[int, float], Awaitable[None]], done: Any) -> None:
    """An open model: one each time that it is due."""
    async with asyncio.TaskGroup() as group:
        number, due = 0, time.monotonic()
        while not done.is_set():
            group.create_task(_run(what, number, due))
            number += 1
            due += 1 / per_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))


async def _run(what: Callable[[int, float], Awaitable[None]], number: int, due: float) -> None:
    await what(number, due)


def message(round_number: int, number: int) -> bytes:
    """An honest Send, an hour old."""
    sent = iso(time.time_ns() // 1_000_000 - HOUR)
    mail = {
        "timestamp": sent,
        "messageId": f"innocent-{round_number}-{number}",
        "destination": [f"reader-{number}@mailbox.example"],
        "tags": {"tenant": [TENANT], "sequence": [f"s{number % 3}"], "template": [f"t{number % 2}"]},
    }
    return json.dumps({"eventType": "Send", "mail": mail, "send": {}}).encode()


async def _post(
    session: aiohttp.ClientSession, url: str, signer: Signer, number: tuple[int, int], due: float
) -> Posted:
    value = message(*number)
    body = json.dumps(signer.notification(TOPIC_ARN, value.decode()))
    refused = 0
    while time.monotonic() - due < GIVE_UP_S:
        try:
            async with session.post(url, data=body, headers=HEADERS, allow_redirects=False) as answer:
                await answer.read()
                if answer.status == OK:
                    return Posted(value, (time.monotonic() - due) * 1000, refused, taken=True)
        except (aiohttp.ClientError, TimeoutError):
            pass  # counted as a refusal below, and tried again
        refused += 1
        await asyncio.sleep(AGAIN_S)
    return Posted(value, (time.monotonic() - due) * 1000, refused, taken=False)


async def _ask(session: aiohttp.ClientSession, where: Where, due: float) -> Asked:
    status, began = 0, time.time()
    headers = {"Authorization": f"Bearer {where.key}"}
    try:
        async with session.get(f"{where.api}/api/metrics?period=day", headers=headers) as answer:
            await answer.read()
            status = answer.status
    except (aiohttp.ClientError, TimeoutError):
        pass  # the status says that there was no answer
    return Asked(began, (time.monotonic() - due) * 1000, status)


async def _look(valkey: Any, looks: list[float], done: Any) -> None:
    since: float | None = None
    while not done.is_set():
        since = since or time.monotonic()
        try:
            await valkey.ping()
        except redis.ResponseError:  # BUSY: a script holds it up, and the wait goes on
            await asyncio.sleep(LOOK_EVERY_S)
        except redis.RedisError:  # it is down on purpose: no look
            since = None
            await asyncio.sleep(AGAIN_S)
        else:
            looks.append((time.monotonic() - since) * 1000)
            since = None
            await asyncio.sleep(LOOK_EVERY_S)
