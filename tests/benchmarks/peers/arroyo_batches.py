"""Arroyo: `RunTask` decodes, `BatchStep` gathers, a second `RunTask` writes, `CommitOffsets` commits.

Not guaranteed: Arroyo has no state, so what was seen is kept in Redis, with the holes of `naive.py`: a crash
between SADD and HINCRBY loses counts, a Redis that goes back in time loses what was committed since, the
hour is that of the report which came first, the sets grow for ever. Delivery is at least once.
"""

import uuid
from collections.abc import Mapping
from typing import Any

import orjson
import redis
from arroyo.backends.kafka import KafkaConsumer, KafkaPayload
from arroyo.backends.kafka.configuration import build_kafka_consumer_configuration
from arroyo.processing import StreamProcessor
from arroyo.processing.strategies import BatchStep, CommitOffsets, RunTask
from arroyo.processing.strategies.abstract import ProcessingStrategy, ProcessingStrategyFactory
from arroyo.types import Commit, Message, Partition, Topic

from tests.benchmarks.peers.work import Fact, Job, count_new, facts, read_job

BATCH = 5_000
WAIT_S = 0.1


class Factory(ProcessingStrategyFactory[KafkaPayload]):  # type: ignore[misc]  # not in our environment
    """Makes the chain of steps whenever partitions are assigned."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._redis = redis.Redis.from_url(job.redis_url)

    def create_with_partitions(
        self, commit: Commit, _partitions: Mapping[Partition, int]
    ) -> ProcessingStrategy[KafkaPayload]:
        last = CommitOffsets(commit)
        if self._job.nothing:
            return RunTask(self._pass, last)
        return RunTask(self._decode, BatchStep(BATCH, WAIT_S, RunTask(self._write, last)))

    def _pass(self, _message: Message[KafkaPayload]) -> None:
        self._job.read()
        self._job.wrote()

    def _decode(self, message: Message[KafkaPayload]) -> list[Fact]:
        self._job.read()
        return facts(orjson.loads(message.payload.value))

    def _write(self, batch: Message[Any]) -> None:
        count_new(self._redis, [fact for value in batch.payload for fact in value.payload])
        self._job.wrote()


def main(job: Job) -> None:
    """Run to the end of the topic."""
    consumer = KafkaConsumer(
        build_kafka_consumer_configuration(
            {},
            bootstrap_servers=[job.bootstrap],
            auto_offset_reset="earliest",
            group_id=f"peer-{uuid.uuid4().hex}",
        )
    )
    processor = StreamProcessor(consumer, Topic(job.topic), Factory(job))
    while not job.complete:
        processor._run_once()
    processor._shutdown()
    job.tell()


if __name__ == "__main__":
    main(read_job())
