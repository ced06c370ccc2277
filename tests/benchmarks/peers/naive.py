"""A loop on confluent-kafka: consume a batch, SADD what it states, HINCRBY what was new, commit.

Not guaranteed: a crash between SADD and HINCRBY loses counts for good (the facts stand as seen), one between
HINCRBY and commit does not count twice, thanks to SADD; a Redis that goes back in time loses what was
committed since; the hour is that of the report which came first, not of the earliest; the sets of what was
seen grow for ever.
"""

import uuid

import orjson
import redis
from confluent_kafka import Consumer

from tests.benchmarks.peers.work import Job, count_new, facts, read_job

BATCH = 5_000


def main(job: Job) -> None:
    """Run to the end of the topic."""
    consumer = Consumer(
        {
            "bootstrap.servers": job.bootstrap,
            "group.id": f"peer-{uuid.uuid4().hex}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([job.topic])
    client = redis.Redis.from_url(job.redis_url)
    while not job.complete:
        messages = consumer.consume(BATCH, timeout=1.0)
        if not messages:
            continue
        job.read(len(messages))
        if not job.nothing:
            stated = [fact for message in messages for fact in facts(orjson.loads(message.value() or b""))]
            count_new(client, stated)
        consumer.commit(asynchronous=True)
        job.wrote()
    consumer.close()
    job.tell()


if __name__ == "__main__":
    main(read_job())
