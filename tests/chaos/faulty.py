"""`python -m tests.chaos.faulty`: the true worker on a Faust that does what Faust is known to do wrong.

Between aiokafka and our driver fetches are lost, begin too far on, come again, come late (so also for
partitions that were revoked meanwhile). Between our driver and our worker batches are lost, as where Faust
cancels an agent; an agent raises, or the reading of a batch does. `FAULT_SEED` seeds the chance, `FAULTS`
names the faults. What was done to how many is logged as `disturbed`. While the file that `FAULT_HOLD` names
is there, what it says is not answered: Kafka's admin (`kafka`) or Redis's INFO (`redis`).
"""

import asyncio
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import structlog

from aggregator.config import AggregatorSettings
from aggregator.counters.store import Store
from aggregator.log.admin import Cluster
from aggregator.log.faust_transport import Consumer, Transport
from aggregator.log.packed_fetch import RecordBatch
from aggregator.log.source import Batch
from aggregator.worker import process
from aggregator.worker.worker import Worker
from schemas.shared import logs

RATE = 0.08
ENOUGH = 4
"""So often each fault happens: a test wants to see the end, and Faust takes seconds to restart an agent."""

HELD_S = 90.0

log = structlog.get_logger(__name__)
chance = Random(int(os.environ["FAULT_SEED"]))
faults = os.environ["FAULTS"].split(",")
done: Counter[str] = Counter()


def strikes(fault: str) -> bool:
    """Whether this fault happens now."""
    if fault not in faults or chance.random() > RATE or done[fault] >= ENOUGH:
        return False
    done[fault] += 1
    log.info("disturbed", fault=fault, times=done[fault])
    return True


def skipped(fetched: Sequence[RecordBatch]) -> list[RecordBatch]:
    """A fetch without its first half, to the record."""
    middle = (fetched[0].first + fetched[-1].next) // 2
    return [each.starting_at(middle) for each in fetched if each.next > middle]


class FaultyConsumer(Consumer):
    """Our driver on fetches that are not what they should be."""

    late: dict[Any, Any] | None = None
    held: dict[Any, Any] | None = None
    cut: frozenset[Any] = frozenset()

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109  # Faust's
        if self.held is not None:
            records, self.held = self.held, None
            return records, None
        fetched, active = await super()._wait_next_records(timeout)
        records = dict(fetched or {})
        if records:
            if self.late is None:
                self.late = dict(records)
            elif strikes("late"):
                records, self.held, self.late = self.late, records, None
            if strikes("lose"):
                records = {}
            # Twice the same is a hole in the log, which there may be: a fetch that was cut comes whole then.
            cut = records.keys() - self.cut if strikes("skip") else set()
            records = {tp: skipped(fetched) if tp in cut else fetched for tp, fetched in records.items()}
            self.cut = (self.cut - records.keys()) | cut
        return records, active


class FaultyWorker(Worker):
    """Our worker behind a Faust that loses batches, with a reader that raises."""

    async def take(self, batch: Batch) -> None:
        if strikes("cancel"):
            return
        if strikes("raise"):
            raise RuntimeError("an agent raises")
        await super().take(batch)

    async def _take(self, batch: Batch) -> bool:
        if strikes("break"):
            raise RuntimeError("reading a batch raises")
        return await super()._take(batch)


def _says(file: Path) -> str:
    """What stands in a file that may be gone any time."""
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""


def hold(what: str) -> None:
    """Wait as long as the file says so, and not for ever."""
    file = Path(os.environ.get("FAULT_HOLD", os.devnull))
    deadline = time.monotonic() + HELD_S
    while _says(file) == what and time.monotonic() < deadline:
        log.info("held", what=what)
        time.sleep(0.2)


class HeldCluster(Cluster):
    """A Kafka that answers its admins late."""

    def log(self) -> Any:
        hold("kafka")
        return super().log()


class HeldStore(Store):
    """A Redis whose INFO is answered late."""

    def check(self) -> Any:
        hold("redis")
        return super().check()


async def main() -> int:
    """Run the worker; returns its exit status."""
    return await process.Program(AggregatorSettings()).run()


if __name__ == "__main__":
    logs.configure()
    for chatty in ("faust", "mode", "aiokafka"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
    Transport.Consumer = FaultyConsumer
    # The names that the program makes its parts by.
    vars(process).update(Worker=FaultyWorker, Cluster=HeldCluster, Store=HeldStore)
    sys.exit(asyncio.run(main()))
