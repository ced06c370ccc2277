"""The order in the Redis thread: what stands after a failure waits for the next resync."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from aggregator.counting.decode import Decoder
from aggregator.counting.rules import Rules
from aggregator.errors import UndeliveredError
from aggregator.worker.worker import Worker


def test_after_a_failure_nothing_of_the_same_begin_is_done() -> None:
    """A dead letter that Kafka did not take stops all that could move a checkpoint past it until a resync."""
    done: list[str] = []
    driver = SimpleNamespace(epoch=4)

    def dead_letter_is_refused() -> None:
        raise UndeliveredError("Kafka is out of reach")

    async def run() -> None:
        worker = Worker(
            topic="t",
            reader=Decoder(Rules()),
            applier=cast("Any", SimpleNamespace()),
            checker=cast("Any", SimpleNamespace()),
            clock_ms=lambda: 0,
        )
        worker.bind(cast("Any", driver))
        worker._in_order(4, lambda: done.append("before"))
        with pytest.raises(UndeliveredError):
            worker._in_order(4, dead_letter_is_refused)
        worker._in_order(4, lambda: done.append("a call or a tick that was queued already"))
        driver.epoch = 5
        worker._in_order(4, lambda: done.append("of the begin before"))
        worker._in_order(5, lambda: done.append("after"))

    asyncio.run(run())
    assert done == ["before", "after"]
