"""The API under load: latency of the usual queries, throughput beside an empty route, latency by range.

A year of counters of five tenants, every hour with counts, is asked in an open model at 300 requests a
second; throughput is what 16 connections get in a closed model, by turns from the API and from an empty
FastAPI route on the same server. The worker of those counters runs on, idle, as it would.

A server that was asked more than it can do goes on with requests that nobody waits for any more; so every
measure begins only when the API answers single requests quickly again.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from tests.benchmarks.counting import Table
from tests.benchmarks.figures import Figure
from tests.benchmarks.runs import Bench
from tests.benchmarks.scene import Stage
from tests.benchmarks.vegeta import Target, attack, find
from tests.benchmarks.workload import DAY, START_MS, Shape, sequence_name, template_name, tenant_name
from tests.pipeline.programs import Program

YEAR: Final = Shape("year", tenants=5, zipf=1.0, days=380)
ASKING: Final = 3
"""How many of the tenants ask; they are the big ones."""

RATE: Final = 300
SECONDS: Final = 6
THROUGHPUT_SECONDS: Final = 4
CONNECTIONS: Final = 16
QUICK_S: Final = 0.05
IN_A_ROW: Final = 10
LIGHT_RATE: Final = 20
"""Few enough that no request waits for another: what an answer takes by itself."""
LIGHT_SECONDS: Final = 3


@dataclass(frozen=True)
class Query:
    """A query as the goals name it: by period, over so many days."""

    key: str
    what: str
    period: str
    days: int


QUERIES: Final = (
    Query("30-days", "30 days by day", "day", 30),
    Query("year", "1 year by day", "day", 365),
    Query("90-days-by-hour", "90 days by hour", "hour", 90),
)
RANGES: Final = tuple(
    Query(f"range.{days}-days-by-{period}", f"{days} days by {period}", period, days)
    for period, lengths in (("hour", (1, 10, 30, 90)), ("day", (1, 30, 90, 365)))
    for days in lengths
)


def targets(url: str, keys: dict[int, str], query: Query, last_ms: int) -> list[Target]:
    """A query as several ask it: each tenant, for itself, a sequence and a template, on several days.

    url: of the API. keys: API keys by tenant. last_ms: the end of the latest range.
    """
    made = []
    for back in range(5):
        to_ms = last_ms - back * DAY
        span = {"from": _iso(to_ms - query.days * DAY + 1), "to": _iso(to_ms), "period": query.period}
        for tenant, key in keys.items():
            sequence, template = sequence_name((tenant + back) % 20), template_name((tenant + back) % 50)
            made += [
                Target(f"{url}/api/metrics{path}?{urlencode(span)}", {"Authorization": f"Bearer {key}"})
                for path in ("", f"/sequences/{sequence}", f"/templates/{template}")
            ]
    return made


def settle(api: Program, key: str) -> None:
    """Wait until nothing is left of an overload: some requests in a row are answered well and at once."""
    quick = 0

    def answers_quickly() -> bool:
        nonlocal quick
        began = time.monotonic()
        status = api.get("/api/metrics?period=day", {"Authorization": f"Bearer {key}"}).status_code
        good = status == HTTPStatus.OK and time.monotonic() - began < QUICK_S
        quick = quick + 1 if good else 0
        return quick >= IN_A_ROW

    api.wait_until(answers_quickly, "it has worked off what it was asked")


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@contextmanager
def counted_year(bench: Bench) -> Iterator[Stage]:
    """A stage on which a year is counted; its worker goes on."""
    topic = bench.scene.topic(YEAR, bench.events // 2)
    with bench.scene.stage(topic) as stage:
        stage.catch_up([stage.worker()])
        yield stage


def reading(bench: Bench) -> list[Figure]:
    """All rounds on one counted year. Raises: NoProgramError."""
    find()
    table = Table()
    with counted_year(bench) as stage:
        api, empty = stage.api(), stage.empty()
        keys = {tenant: stage.programs.new_key(tenant_name(tenant)) for tenant in range(ASKING)}
        last_ms = START_MS + 375 * DAY - 1
        asked = {each.key: targets(api.url, keys, each, last_ms) for each in (*QUERIES, *RANGES)}
        nothing = [Target(f"{empty.url}/empty", {})]
        month = asked["30-days"]
        attack(month, rate=RATE, seconds=2)  # both have run before
        attack(nothing, rate=RATE, seconds=2)
        for number in range(bench.rounds):
            bench.say(f"the API, round {number + 1} of {bench.rounds}")
            for query in QUERIES:
                settle(api, keys[0])
                answers = attack(asked[query.key], rate=RATE, seconds=SECONDS)
                for name, share in (("p50", 0.5), ("p99", 0.99)):
                    key, what = f"api.{query.key}.{name}", f"{query.what}, {name} at {RATE}/s"
                    table.add(key, what, "ms", answers.percentile(share))
                what = f"{query.what}, not answered with 200 at {RATE}/s"
                table.add(f"api.{query.key}.refused", what, "share", answers.refused)
            settle(api, keys[0])
            of_empty = attack(nothing, seconds=THROUGHPUT_SECONDS, connections=CONNECTIONS).rate
            table.add("api.empty.rate", "an empty route", "requests/s", of_empty)
            for query in QUERIES:
                settle(api, keys[0])
                closed = attack(asked[query.key], seconds=THROUGHPUT_SECONDS, connections=CONNECTIONS)
                key, what = f"api.{query.key}", f"{query.what}, throughput"
                table.add(f"{key}.rate", what, "requests/s", closed.rate)
                table.add(f"{key}.throughput", f"{what} to an empty route's", "ratio", closed.rate / of_empty)
            for query in RANGES:
                settle(api, keys[0])
                answers = attack(asked[query.key], rate=LIGHT_RATE, seconds=LIGHT_SECONDS)
                what = f"{query.what}, p50 at {LIGHT_RATE}/s"
                table.add(f"api.{query.key}.p50", what, "ms", answers.percentile(0.5))
    return table.figures()
