"""The API while a worker catches up: does reading suffer from counting?

A topic is counted and the worker stopped; then half as many events again are written, the API is asked in an
open model at 200 requests a second with no worker (idle) and once more while a worker catches up. Only the
requests that left between the first and the last batch of that worker count as busy.
"""

import time
from dataclasses import replace
from typing import Final

from tests.benchmarks.counting import Table
from tests.benchmarks.figures import Figure
from tests.benchmarks.reading import ASKING, QUERIES, targets
from tests.benchmarks.runs import Bench
from tests.benchmarks.scene import Stage
from tests.benchmarks.vegeta import Answers, Attack, Target, attack, find
from tests.benchmarks.workload import DAY, REFERENCE, START_MS, tenant_name

SHAPE: Final = replace(REFERENCE, name="catching-up")
RATE: Final = 200
IDLE_SECONDS: Final = 8
MOST_SECONDS: Final = 300


def catching_up(bench: Bench) -> list[Figure]:
    """All rounds on one stage. Raises: NoProgramError."""
    find()
    table = Table()
    topic = bench.scene.topic(SHAPE, bench.events)
    with bench.scene.stage(topic) as stage:
        worker = stage.worker()
        stage.catch_up([worker])
        api = stage.api()
        keys = {tenant: stage.programs.new_key(tenant_name(tenant)) for tenant in range(ASKING)}
        month = targets(api.url, keys, QUERIES[0], START_MS + 15 * DAY - 1)
        attack(month, rate=RATE, seconds=2)  # it has run before
        worker.stop()
        for number in range(bench.rounds):
            bench.say(f"the API while a worker catches up, round {number + 1} of {bench.rounds}")
            bench.scene.append(topic, replace(SHAPE, seed=number + 2), bench.events // 2)
            idle = attack(month, rate=RATE, seconds=IDLE_SECONDS)
            busy, took_s = while_a_worker_catches_up(stage, month)
            for name, answers in (("idle", idle), ("busy", busy)):
                for percent in (50, 99):
                    key, what = f"catching-up.{name}.p{percent}", f"API {name}, p{percent} at {RATE}/s"
                    note = "30 days by day" if name == "idle" else f"{len(answers.hits)} requests in a run"
                    table.add(key, what, "ms", answers.percentile(percent / 100), note)
            ratio = busy.percentile(0.99) / idle.percentile(0.99)
            table.add("catching-up.p99.ratio", "API's p99, catching up to idle", "ratio", ratio)
            rate = bench.events // 2 / took_s
            table.add("catching-up.rate", "the worker that catches up, beside it", "events/s", rate)
            table.add("catching-up.refused", "API busy, not answered with 200", "share", busy.refused)
    return table.figures()


def while_a_worker_catches_up(stage: Stage, asked: list[Target]) -> tuple[Answers, float]:
    """Ask while a worker catches up that is started now, and stopped.

    asked: `RATE` times a second.
    Returns: the answers to whom asked between its first batch and its last, and how long that was, in s.
    """
    before = stage.checkpoints()
    with Attack(asked, rate=RATE, seconds=MOST_SECONDS) as load:
        worker = stage.worker()
        worker.wait_until(lambda: stage.checkpoints() != before, "the first batch is counted")
        first_s = time.time()
        stage.catch_up([worker])
        last_s = time.time()
        load.stop()
        worker.stop()
        return load.answers().between(first_s, last_s), last_s - first_s
