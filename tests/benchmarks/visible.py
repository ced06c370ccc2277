"""From the webhook's answer to the API's: when an event that was taken is seen, at 1,000 events a second.

Vegeta posts signed events at a steady rate. Beside it, probes are posted one after another: the n-th is a
Send in the n-th hour of a tenant of the round's own, so that one query by hour shows which are counted. A
probe's time runs from the webhook's 200 to the first answer of the API that counts it; the API is asked every
20 ms, which is the error, to the long side.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

import aiohttp

from deploy.signing import Signer
from schemas.kinds import SHORT
from tests.benchmarks.counting import Table
from tests.benchmarks.events import Record, records
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.runs import Bench
from tests.benchmarks.vegeta import Attack, Target, find
from tests.benchmarks.webhook import LOADED, POSTED, signed
from tests.benchmarks.workload import DAY, HOUR, REFERENCE, SENT, Happening, Mail, happenings, tenant_name
from tests.pipeline.webhook import TOPIC_ARN

RATE: Final = 1_000
SECONDS: Final = 10
PROBES_A_SECOND: Final = 30
POLL_S: Final = 0.02
PROBER: Final = 99_999
"""The number of the first round's tenant, which the workload has not, nor the numbers above."""
LATEST_S: Final = 30.0


@dataclass
class Probes:
    """Probes under way: when each was taken and when it was seen (`time.monotonic`), by its hour."""

    taken: dict[int, float] = field(default_factory=dict)
    seen: dict[int, float] = field(default_factory=dict)

    @property
    def waiting(self) -> list[int]:
        return sorted(self.taken.keys() - self.seen.keys())


def visible(bench: Bench) -> list[Figure]:
    """All rounds on one stage; every round has events and probes of its own. Raises: NoProgramError."""
    find()
    table = Table()
    topic = bench.scene.topic(POSTED, LOADED)
    now_ms = time.time_ns() // 1_000_000
    first_hour = (now_ms - SHORT.stale_ms) // HOUR + 24  # a Send that is told later states nothing
    shape = replace(REFERENCE, name="visible", days=1, start_ms=now_ms - 3 * DAY)
    posted = records(happenings(shape, RATE * SECONDS * bench.rounds))
    with bench.scene.stage(topic) as stage, tempfile.TemporaryDirectory() as folder:
        signer = Signer.create(Path(folder))
        stage.catch_up([stage.worker()])  # the API is ready once there is a generation
        ingest, api = stage.ingest(TOPIC_ARN, Path(folder)), stage.api()
        wanted = list(islice(range(first_hour, now_ms // HOUR - 24), PROBES_A_SECOND * (SECONDS - 1)))
        assert len(wanted) == PROBES_A_SECOND * (SECONDS - 1), "there are hours enough"
        for number in range(bench.rounds):
            bench.say(f"from webhook to API, round {number + 1} of {bench.rounds}: signing")
            posts = signed(ingest.url, signer, islice(posted, RATE * SECONDS))
            key = stage.programs.new_key(tenant_name(PROBER + number))
            probes = _probes(wanted, PROBER + number)
            probing = list(zip(wanted, signed(ingest.url, signer, probes), strict=True))
            with Attack(posts, rate=RATE, seconds=SECONDS) as load:
                waits = asyncio.run(_probe(api.url, key, probing))
                answers = load.answers()
            for name, share in (("p50", 0.5), ("p99", 0.99)):
                what = f"webhook answered to visible, {name} at {RATE:,} events/s"
                table.add(
                    f"visible.{name}", what, "s", percentile(waits, share), f"{len(waits)} probes a run"
                )
            table.add("visible.rate", "events posted and taken", "events/s", answers.rate)
            table.add("visible.refused", "events not answered with 200", "share", answers.refused)
            what = f"webhook, p99 at {RATE:,}/s"
            table.add("visible.webhook.p99", what, "ms", answers.percentile(0.99))
    return table.figures()


def _probes(hours: list[int], tenant: int) -> Iterator[Record]:
    """A Send of a tenant in each of the hours."""
    return records(
        Happening(hour * HOUR, hour, SENT, 0, Mail(hour * HOUR, tenant, 0, 0, hour << 64, (hour,)))
        for hour in hours
    )


async def _probe(api_url: str, key: str, probing: list[tuple[int, Target]]) -> list[float]:
    """Post the probes and watch for them; returns how long each took to be seen, in seconds.

    Raises: TimeoutError where one is not seen for long.
    """
    probes = Probes()
    async with aiohttp.ClientSession(raise_for_status=True) as session, asyncio.timeout(LATEST_S + SECONDS):
        watching = asyncio.create_task(_watch(session, api_url, key, probes, len(probing)))
        began = time.monotonic()
        for number, (hour, target) in enumerate(probing):
            await asyncio.sleep(max(0.0, began + number / PROBES_A_SECOND - time.monotonic()))
            async with session.post(target.url, data=target.body, headers=target.headers):
                probes.taken[hour] = time.monotonic()
        await watching
    return [probes.seen[hour] - taken for hour, taken in probes.taken.items()]


async def _watch(session: aiohttp.ClientSession, url: str, key: str, probes: Probes, expected: int) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    while len(probes.seen) < expected:
        await asyncio.sleep(POLL_S)
        waiting = probes.waiting
        if not waiting:
            continue
        asked = {"period": "hour", "from": _iso(waiting[0]), "to": _iso(waiting[-1])}
        async with session.get(f"{url}/api/metrics", params=asked, headers=headers) as response:
            body = json.loads(await response.read())
        now = time.monotonic()
        points = zip(range(waiting[0], waiting[-1] + 1), body["timeseries"], strict=True)
        counted = {hour for hour, point in points if point["sent"]}
        probes.seen.update({hour: now for hour in waiting if hour in counted})


def _iso(hour: int) -> str:
    return datetime.fromtimestamp(hour * 3_600, UTC).isoformat()
