"""Faust with `take()`: an agent that is given some thousands of events at once and pipelines them to Redis.

Not guaranteed: a crash between SADD and HINCRBY loses counts for good (the facts stand as seen); an agent
that raises acknowledges its batch all the same; a Redis that goes back in time loses what was committed
since; the hour is that of the report which came first; the sets of what was seen grow for ever.
"""

import asyncio
from typing import Any

import redis

from tests.benchmarks.peers.faust_app import directory, make_app, run
from tests.benchmarks.peers.work import Job, count_new, facts, read_job

BATCH = 2_000
WITHIN_S = 0.1


async def main(job: Job, folder: str) -> None:
    """Run to the end of the topic."""
    app = make_app(job, folder)
    finished = asyncio.Event()
    client = redis.Redis.from_url(job.redis_url)
    events = app.topic(job.topic, key_serializer="raw", value_serializer="json")

    async def count(stream: Any) -> None:
        async for batch in stream.take(BATCH, within=WITHIN_S):
            job.read(len(batch))
            stated = [fact for event in batch for fact in facts(event)]
            await asyncio.to_thread(count_new, client, stated)
            job.wrote()
            if job.complete:
                finished.set()

    app.agent(events)(count)
    await run(app, finished)
    client.close()
    job.tell()


if __name__ == "__main__":
    with directory() as made:
        asyncio.run(main(read_job(), made))
