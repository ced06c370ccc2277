"""Plain Faust: one agent, a table of what was seen, a table of counts, which a timer copies to Redis.

Not guaranteed: tables are written ahead of the commit, so a crash can count again what a changelog lost, or
lose what the table had taken. Counts are keyed by cell while the stream is keyed by message: right with one
worker only; more would need a second topic keyed by tenant (`group_by`), another pass through Kafka for each
event, so this figure flatters Faust. Redis gets sums, so a Redis that goes back in time is fixed only
where a cell is touched again. The hour is that of the report which came first. All state is in memory and in
changelog topics, for ever.
"""

import asyncio
from typing import Any

import redis.asyncio

from tests.benchmarks.peers.faust_app import directory, make_app, run
from tests.benchmarks.peers.work import Cell, Job, facts, read_job

FLUSH_S = 1.0


async def main(job: Job, folder: str) -> None:
    """Run to the end of the topic."""
    app = make_app(job, folder)
    finished = asyncio.Event()
    client = redis.asyncio.Redis.from_url(job.redis_url)
    events = app.topic(job.topic, key_serializer="raw", value_serializer="raw" if job.nothing else "json")
    seen = app.Table("seen", default=bool)
    counts = app.Table("counts", default=int)
    changed: set[Cell] = set()

    async def flush() -> None:
        cells = list(changed)
        changed.clear()
        async with client.pipeline(transaction=False) as pipe:
            for key, field in cells:
                pipe.hset(key, field, counts[f"{key} {field}"])
            await pipe.execute()

    async def count(stream: Any) -> None:
        async for event in stream:
            job.read()
            for fact in facts(event):
                name = f"{fact.message} {fact.what}"
                if seen[name]:
                    continue
                seen[name] = True
                for key, field in fact.cells:
                    counts[f"{key} {field}"] += 1
                    changed.add((key, field))
            if job.complete:
                await flush()
                job.wrote()
                finished.set()

    async def drop(stream: Any) -> None:
        async for _event in stream:
            job.read()
            if job.complete:
                job.wrote()
                finished.set()

    app.agent(events)(drop if job.nothing else count)
    app.timer(FLUSH_S)(flush)
    await run(app, finished)
    await client.aclose()
    job.tell()


if __name__ == "__main__":
    with directory() as made:
        asyncio.run(main(read_job(), made))
