"""Quix Streams: a stateful `apply` keyed by message drops what was seen, a `BatchingSink` adds to Redis.

Not guaranteed: the sink is flushed before the offsets and the state are committed, so a crash in between
counts a checkpoint's facts twice (its exactly-once mode ends at Kafka's edge). A Redis that goes back in time
stays there. The hour is that of the report which came first. State and its changelog topic grow for ever.
"""

import tempfile
import uuid
from collections import Counter
from typing import Any

import redis
from quixstreams import Application, State
from quixstreams.sinks import BatchingSink, SinkBatch

from tests.benchmarks.peers.work import Fact, Job, facts, read_job, write_counts


class RedisSink(BatchingSink):  # type: ignore[misc]  # not in our environment
    """Adds what a checkpoint has gathered."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._job = job
        self._redis = redis.Redis.from_url(job.redis_url)

    def write(self, batch: SinkBatch) -> None:
        counts = Counter(cell for item in batch for cell in item.value.cells)
        write_counts(self._redis, counts.items())
        self._job.wrote()


def new(event: Any, state: State) -> list[Fact]:
    """The facts of an event that its message has not stated before."""
    seen = state.get("seen", [])
    fresh = [fact for fact in facts(event) if fact.what not in seen]
    if fresh:
        state.set("seen", [*seen, *(fact.what for fact in fresh)])
    return fresh


def main(job: Job) -> None:
    """Run to the end of the topic."""

    def processed(_topic: str, _partition: int, _offset: int) -> None:
        job.read()
        if job.complete:
            job.wrote()
            app.stop()

    with tempfile.TemporaryDirectory() as directory:
        app = Application(
            job.bootstrap,
            consumer_group=f"peer-{uuid.uuid4().hex}",
            auto_offset_reset="earliest",
            state_dir=directory,
            loglevel="ERROR",
            on_message_processed=processed,
        )
        kind = "bytes" if job.nothing else "json"
        events = app.topic(job.topic, key_deserializer="str", value_deserializer=kind)
        frame = app.dataframe(events)
        if not job.nothing:
            frame.apply(new, stateful=True, expand=True).sink(RedisSink(job))
        app.run()
    job.tell()


if __name__ == "__main__":
    main(read_job())
