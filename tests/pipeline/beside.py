"""What goes on beside an operator's command while it is watched: live records, and queries to the API.

Each runs in a process of its own, so that neither waits for the other or for who measures. The queries are
an open model: each leaves when it is due, whether the ones before are answered or not, and its time counts
from when it was due; so a slow API cannot hide behind fewer queries.
"""

import asyncio
import multiprocessing
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import aiohttp

from tests.pipeline import events, log

ROUND_S: Final = 0.2
"""Live records are sent so often, a round's share at a time."""

PERIODS: Final = ("hour", "day", "week", "month")
NO_ANSWER: Final = 0
LIMIT_S: Final = 60.0


class Asked(NamedTuple):
    """A query: when it was due (s since 1970), how long the answer took, its status or `NO_ANSWER`."""

    at_s: float
    took_ms: float
    status: int


class Sent(NamedTuple):
    """Arguments of `events.records` that make again what was sent."""

    seed: int
    now_ms: int
    number: int
    tenants: int


@dataclass(slots=True)
class Beside:
    """What went on, complete once it has ended."""

    asked: list[Asked] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)


@contextmanager
def beside(
    bootstrap: str,
    topic: str,
    url: str,
    keys: Mapping[str, str],
    *,
    sends_per_s: int,
    asks_per_s: int,
    tenants: int,
    first_seed: int,
) -> Iterator[Beside]:
    """Send and ask until the block ends; the result is filled in then.

    url: the API's base. keys: API key by tenant, which are asked about. tenants: how many of
    `events.TENANTS` send. first_seed: of the records of the first round; each has the next one.
    """
    context = multiprocessing.get_context("spawn")
    done = context.Event()
    reported: Any = context.SimpleQueue()
    made = Beside()
    children = [
        context.Process(
            target=_send,
            args=(bootstrap, topic, (sends_per_s, tenants, first_seed), done, reported),
            daemon=True,
        ),
        context.Process(
            target=_ask, args=(url, list(keys.values()), asks_per_s, done, reported), daemon=True
        ),
    ]
    for child in children:
        child.start()
    try:
        yield made
        assert all(child.is_alive() for child in children), "what goes on beside has ended too early"
    finally:
        done.set()
    for _ in children:
        name, rows = reported.get()
        if name == "sent":
            made.sent += [Sent(*row) for row in rows]
        else:
            made.asked += [Asked(*row) for row in rows]
    for child in children:
        child.join()


def percentile(asked: Sequence[Asked], share: float) -> float:
    """A percentile of the times in ms (the nearest rank). share: 0 to 1."""
    times = sorted(each.took_ms for each in asked)
    return times[min(len(times) - 1, int(len(times) * share))]


def _send(bootstrap: str, topic: str, what: tuple[int, int, int], done: Any, reported: Any) -> None:
    per_s, tenants, seed = what
    rows: list[Sent] = []
    number = int(per_s * ROUND_S)
    due = time.monotonic()
    with log.sending(bootstrap, topic) as send:
        while not done.is_set():
            row = Sent(seed + len(rows), time.time_ns() // 1_000_000, number, tenants)
            send(events.records(*row))
            rows.append(row)
            due += ROUND_S
            done.wait(max(0.0, due - time.monotonic()))
    reported.put(("sent", rows))


def _ask(url: str, keys: list[str], per_s: int, done: Any, reported: Any) -> None:
    reported.put(("asked", asyncio.run(_asked(url, keys, per_s, done))))


async def _asked(url: str, keys: list[str], per_s: int, done: Any) -> list[Asked]:
    rows: list[Asked] = []
    rng = random.Random(1)
    started = time.time()
    offset = started - time.monotonic()

    async def ask(session: aiohttp.ClientSession, due: float) -> None:
        query = urlencode({"period": rng.choice(PERIODS)})
        headers = {"Authorization": f"Bearer {rng.choice(keys)}"}
        try:
            async with session.get(f"{url}/api/metrics?{query}", headers=headers) as answer:
                await answer.read()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError):
            status = NO_ANSWER
        rows.append(Asked(due + offset, (time.monotonic() - due) * 1000, status))

    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=LIMIT_S)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
        asyncio.TaskGroup() as group,
    ):
        due = time.monotonic()
        while not done.is_set():
            group.create_task(ask(session, due))
            due += 1 / per_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))
    return rows
