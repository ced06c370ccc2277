"""`python -m tests.chaos.faulty`: the true worker on a Faust that does what Faust is known to do wrong.

Between aiokafka and our driver fetches are lost, begin too far on, come again, come late (so also for
partitions that were revoked meanwhile). Between our driver and our worker batches are lost, as where Faust
cancels an agent; an agent raises, or the reading of a batch does. `FAULT_SEED` seeds the chance, `FAULTS`
names the faults. What was done to how many is logged as `disturbed`.
"""

import asyncio
import logging
import os
import sys
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import structlog

from aggregator import program
from aggregator.batches import Batch, Consumer, Transport
from aggregator.config import AggregatorSettings
from aggregator.record_batches import RecordBatch
from aggregator.worker import Worker
from schemas import logs

RATE = 0.08
ENOUGH = 4
"""So often each fault happens: a test wants to see the end, and Faust takes seconds to restart an agent."""

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
            if strikes("skip"):
                records = {tp: skipped(fetched) for tp, fetched in records.items()}
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


async def main() -> int:
    """Run the worker; returns its exit status."""
    return await program.Program(AggregatorSettings()).run()


if __name__ == "__main__":
    logs.configure()
    for chatty in ("faust", "mode", "aiokafka"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
    Transport.Consumer = FaultyConsumer
    vars(program)["Worker"] = FaultyWorker  # the name that the program makes its worker by
    sys.exit(asyncio.run(main()))
