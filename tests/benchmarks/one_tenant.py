"""Does one tenant's asking hold up another's? The costliest queries of one, as many as 32 connections bring.

A tenant with 20,000 days of counters, one event a day, is counted beside an innocent one, and the worker
stopped. Then the innocent tenant is asked for in an open model, alone (idle) and beside each of the costly
queries of the other, which come in a closed model: each connection asks again as soon as it is answered or
refused. What is held against the goal is the worst of those ratios in a round.
"""

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from tests.benchmarks import bursts
from tests.benchmarks.bursts import BURSTS, INNOCENT, INNOCENT_EVENTS, WHOLE, reported
from tests.benchmarks.check import check
from tests.benchmarks.counting import Table
from tests.benchmarks.figures import Figure
from tests.benchmarks.load import write
from tests.benchmarks.reading import QUERIES, settle, targets
from tests.benchmarks.runs import Bench
from tests.benchmarks.scene import Stage
from tests.benchmarks.vegeta import Answers, Attack, Target, attack, find
from tests.benchmarks.workload import DAY, START_MS, tenant_name

SHAPE: Final = replace(INNOCENT, name="one-tenant")
DAYS: Final = next(burst for burst in BURSTS if burst.key == "days")
GREEDY: Final = 1
CONNECTIONS: Final = 32
RATE: Final = 50
SECONDS: Final = 10
HOURS_DAYS: Final = 416
"""Days whose hours are the most points that an answer may have."""

COSTLY: Final = (
    (
        "hours",
        "10,000 hours with all",
        HOURS_DAYS,
        {"period": "hour", "include": "rates,status", "compare": "previous", "timezone": "Europe/Berlin"},
    ),
    (
        "days",
        "9,900 days by quarters with all",
        9_900,
        {
            "period": "day",
            "include": "rates,status",
            "compare": "previous",
            "timezone": "Asia/Kathmandu",
            "fields": "all",
        },
    ),
    ("months", "20,000 days by month", 20_000, {"period": "month"}),
    ("groups", "a year's sequences", 365, {"group_by": "sequence", "limit": "1000", "period": "month"}),
)
"""By key: what it is for a person, of how many days, and its other parameters."""


def one_tenant(bench: Bench) -> list[Figure]:
    """All rounds on one stage. Raises: NoProgramError."""
    find()
    table = Table()
    days = int(DAYS.size * min(1.0, bench.events / WHOLE))
    topic = bench.scene.topic(SHAPE, INNOCENT_EVENTS)
    with bench.scene.stage(topic) as stage:
        expected = deepcopy(topic.expected)
        write(stage.bootstrap, topic.name, map(expected.pass_on, reported(DAYS, days, 1)))
        worker = stage.worker()
        stage.catch_up([worker])
        worker.stop()
        check(stage.redis, expected)
        api = stage.api()
        key, greedy = (stage.programs.new_key(tenant_name(tenant)) for tenant in (0, GREEDY))
        innocent = targets(api.url, {0: key}, QUERIES[0], START_MS + 15 * DAY - 1)
        attack(innocent, rate=RATE, seconds=2)  # it has run before
        for number in range(bench.rounds):
            bench.say(f"one tenant's costly queries, round {number + 1} of {bench.rounds}")
            settle(api, key)
            idle = attack(innocent, rate=RATE, seconds=SECONDS)
            table.add("one-tenant.idle.p99", f"another tenant, idle, p99 at {RATE}/s", "ms", p99(idle))
            worst = 0.0
            for name, what, length, parameters in COSTLY:
                settle(api, key)
                asked = Target(f"{api.url}{_path(length, parameters)}", {"Authorization": f"Bearer {greedy}"})
                busy = _beside(stage, table, (f"one-tenant.{name}", what), asked, innocent)
                table.add(f"one-tenant.{name}.p99", f"another tenant beside {what}, p99", "ms", p99(busy))
                table.add(f"one-tenant.{name}.p50", "the same, p50", "ms", busy.percentile(0.5))
                table.add(
                    f"one-tenant.{name}.refused", "the same, not answered with 200", "share", busy.refused
                )
                worst = max(worst, p99(busy) / p99(idle))
            note = f"the worst of {len(COSTLY)} queries, {CONNECTIONS} connections each"
            table.add("one-tenant.p99.ratio", "another tenant's p99, beside to idle", "ratio", worst, note)
    return table.figures()


def p99(answers: Answers) -> float:
    """In ms."""
    return answers.percentile(0.99)


def _beside(
    stage: Stage, table: Table, named: tuple[str, str], asked: Target, innocent: list[Target]
) -> Answers:
    """The innocent tenant's answers while the greedy one asks, of which the table gets what became of it.

    named: the key of its figures, and what it asks.
    """
    key, what = named
    bursts.begin(stage.redis)
    with Attack([asked], seconds=SECONDS + 4, connections=CONNECTIONS) as load:
        busy = attack(innocent, rate=RATE, seconds=SECONDS)
        load.stop()
        greedy = load.answers()
    table.add(f"{key}.greedy.rate", f"{what}, answered", "requests/s", greedy.rate)
    table.add(f"{key}.greedy.refused", f"{what}, not answered with 200", "share", greedy.refused)
    longest = max(
        (each["duration"] / 1000 for each in stage.redis.slowlog_get(bursts.SLOW_KEPT)), default=0.0
    )
    table.add(f"{key}.call", f"{what}: Valkey's longest call", "ms", longest, "by SLOWLOG, by the clock")
    return busy


def _path(days: int, parameters: dict[str, str]) -> str:
    first, last = START_MS - (days - 1) * DAY, START_MS
    span = {"from": _date(first), "to": _date(last)}
    return f"/api/metrics?{urlencode(span | parameters)}"


def _date(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).date().isoformat()
