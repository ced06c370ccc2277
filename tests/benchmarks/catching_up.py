"""The API while a worker catches up: does reading suffer from counting?

A topic is counted and the worker stopped; then half as many events again are written, the API is asked in an
open model at 200 requests a second with no worker (idle) and once more while a worker catches up. Only the
requests that left between the first and the last batch of that worker count as busy.
"""

import time
from dataclasses import dataclass, replace
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
            busy = while_a_worker_catches_up(stage, month)
            for name, answers in (("idle", idle), ("busy", busy.answers)):
                for percent in (50, 99):
                    key, what = f"catching-up.{name}.p{percent}", f"API {name}, p{percent} at {RATE}/s"
                    note = "30 days by day" if name == "idle" else f"{len(answers.hits)} requests in a run"
                    table.add(key, what, "ms", answers.percentile(percent / 100), note)
            ratio = busy.answers.percentile(0.99) / idle.percentile(0.99)
            table.add("catching-up.p99.ratio", "API's p99, catching up to idle", "ratio", ratio)
            what, note = "the worker that catches up, beside it", "to its last tick, up to a second more"
            table.add("catching-up.rate", what, "events/s", busy.counted / busy.seconds, note)
            table.add("catching-up.refused", "API busy, not answered with 200", "share", busy.answers.refused)
    return table.figures()


@dataclass(frozen=True)
class Busy:
    """While a worker caught up, between its first batch and its last.

    answers: to whom asked meanwhile. counted: how many events. seconds: how long that was.
    """

    answers: Answers
    counted: int
    seconds: float


def while_a_worker_catches_up(stage: Stage, asked: list[Target]) -> Busy:
    """Ask while a worker catches up that is started now, and stopped. asked: `RATE` times a second."""
    before = stage.checkpoints()
    with Attack(asked, rate=RATE, seconds=MOST_SECONDS) as load:
        worker = stage.worker()
        worker.wait_until(lambda: stage.checkpoints() != before, "the first batch is counted")
        first_s, first = time.time(), _position(stage)
        stage.catch_up([worker])
        last_s = time.time()
        load.stop()
        worker.stop()
        return Busy(load.answers().between(first_s, last_s), _position(stage) - first, last_s - first_s)


def _position(stage: Stage) -> int:
    """Up to where all lanes have counted, of all partitions together."""
    return sum(map(min, zip(*stage.checkpoints(), strict=True)))
