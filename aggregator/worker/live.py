"""The live generation, as a worker finds it with each resync and counts into it. Over one connection.

One thread with one connection is what keeps the calls of a lane in their order while the next batches are
read; a resync reads the checkpoints in the same thread, so behind every call that was under way before.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from aggregator.counters.generation import validate
from aggregator.counters.sink import Sink
from aggregator.counters.store import Store
from aggregator.counters.throttle import LIVE, Caller
from aggregator.counting.rules import Rules
from aggregator.errors import ClosedError
from aggregator.log.admin import Cluster
from aggregator.log.dead_letters import DeadLetterWriter
from schemas.counters import Generation


class Found(NamedTuple):
    """Where counting stands.

    checkpoints: of each lane, by partition. servers: the ids of the servers that are counted into.
    """

    generation: Generation
    checkpoints: list[dict[int, int]]
    servers: frozenset[str]


class Live:
    """Finds it, and makes the sink into it."""

    def __init__(
        self, *, rules: Rules, store: Store, dead_letters: DeadLetterWriter, cluster: Cluster
    ) -> None:
        """Prepare; `look` connects.

        rules: of the worker. store, dead letters, cluster: used by this object alone.
        """
        self._rules = rules
        self._store = store
        self._dead_letters = dead_letters
        self._cluster = cluster
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="redis")

    def look(self) -> "Future[Found]":
        """Connect anew.

        Returns: what is found, or PostponedError of any kind where this worker may not count now.
        """
        return self._thread.submit(self._look)

    def sink(self, generation: Generation) -> Sink:
        """A sink into a generation, from the checkpoints that were found with it on."""
        return Sink(self._thread, Caller(self._store, generation, LIVE), self._dead_letters)

    def close(self) -> None:
        """Wait for the call in flight, leave out what is behind it and drop the connection."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._store.close()

    def _look(self) -> Found:
        self._store.open()
        found = self._cluster.log()
        generation = validate(self._store.live(), self._rules, found)
        self._dead_letters.of_log(found)
        try:
            checkpoints = self._store.checkpoints(generation)
        except ClosedError:
            self._store.open_again(generation)
            checkpoints = self._store.checkpoints(generation)
        return Found(generation, checkpoints, self._store.servers)
