"""What both Faust peers have in common: the app's settings, and running it until its work is done."""

import asyncio
import tempfile
import uuid

import faust

from tests.benchmarks.peers.work import Job


def make_app(job: Job, directory: str) -> faust.App:
    """An app as the documentation sets it up: JSON, tables in memory with changelogs in Kafka."""
    return faust.App(
        f"peer-{uuid.uuid4().hex}",
        broker=f"kafka://{job.bootstrap}",
        datadir=directory,
        store="memory://",
        topic_partitions=job.partitions,
        topic_replication_factor=1,
        consumer_auto_offset_reset="earliest",
        web_enabled=False,
        autodiscover=False,
    )


async def run(app: faust.App, finished: asyncio.Event) -> None:
    """Run an app until it says that it has finished, or has crashed. Raises: RuntimeError then."""
    await app.start()
    waiting = asyncio.ensure_future(finished.wait())
    while not waiting.done():
        await asyncio.wait([waiting], timeout=0.2)
        if app.crashed:
            raise RuntimeError("the app has crashed") from app.crash_reason
    await app.stop()


def directory() -> "tempfile.TemporaryDirectory[str]":
    """Where an app may make its folders."""
    return tempfile.TemporaryDirectory(prefix="peer-faust-")
