"""Bytewax: a Kafka source that ends with the topic, a stateful step keyed by message, a sink that pipelines.

Not guaranteed: without a recovery store, as here, a crash loses all state and counts everything again; with
one, the state and the offset come back together, but Redis does not, and adds what was replayed twice. A
Redis that goes back in time stays there. The hour is that of the report which came first. The state of a
message is kept in memory for ever.
"""

from collections import Counter
from typing import Any

import bytewax.operators as op
import orjson
import redis
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.run import cli_main

from tests.benchmarks.peers.work import Fact, Job, facts, read_job, write_counts


class RedisPartition(StatelessSinkPartition[Any]):  # type: ignore[misc]  # not in our environment
    """Adds each batch of new facts to Redis."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._redis = redis.Redis.from_url(job.redis_url)

    def write_batch(self, items: list[Any]) -> None:
        if not self._job.nothing:
            counts = Counter(cell for _message, fact in items for cell in fact.cells)
            write_counts(self._redis, counts.items())
        self._job.wrote()


class RedisSink(DynamicSink[Any]):  # type: ignore[misc]  # not in our environment
    """Gives each worker its own connection."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def build(self, _step_id: str, _worker_index: int, _worker_count: int) -> RedisPartition:
        return RedisPartition(self._job)


def new(seen: set[str] | None, fact: Fact) -> tuple[set[str], list[Fact]]:
    """The state of a message after a fact, and the fact if it is new."""
    seen = seen or set()
    if fact.what in seen:
        return seen, []
    seen.add(fact.what)
    return seen, [fact]


def make_flow(job: Job) -> Dataflow:
    """The dataflow."""

    def state(messages: list[Any]) -> list[Fact]:
        job.read(len(messages))
        return [fact for message in messages for fact in facts(orjson.loads(message.value))]

    def drop(messages: list[Any]) -> list[Fact]:
        job.read(len(messages))
        job.wrote()
        return []

    flow = Dataflow("peer")
    events = op.input("events", flow, KafkaSource([job.bootstrap], [job.topic], tail=False))
    if job.nothing:
        dropped = op.flat_map_batch("drop", events, drop)
        op.output("redis", dropped, RedisSink(job))
        return flow
    stated = op.flat_map_batch("state", events, state)
    keyed = op.key_on("by-message", stated, lambda fact: fact.message)
    fresh = op.stateful_flat_map("new", keyed, new)
    op.output("redis", fresh, RedisSink(job))
    return flow


def main(job: Job) -> None:
    """Run to the end of the topic."""
    cli_main(make_flow(job))
    job.tell()


if __name__ == "__main__":
    main(read_job())
