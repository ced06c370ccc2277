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
from aggregator.counting.rules import Erasures, Rules
from aggregator.erasure.take_in import Eraser
from aggregator.errors import ClosedError
from aggregator.log.admin import Cluster
from aggregator.log.dead_letters import DeadLetterWriter
from schemas.counters import Generation


class Found(NamedTuple):
    """Where counting stands.

    erasures: by which is counted. checkpoints: of each lane, by partition. servers: the ids of the servers
    that are counted into.
    """

    generation: Generation
    erasures: Erasures
    checkpoints: list[dict[int, int]]
    servers: frozenset[str]


class Live:
    """Finds it, and makes the sink into it."""

    def __init__(
        self,
        *,
        rules: Rules,
        store: Store,
        dead_letters: DeadLetterWriter,
        cluster: Cluster,
        eraser: Eraser,
    ) -> None:
        """Prepare; `look` connects.

        rules: of the worker. store, dead letters, cluster: used by this object alone. eraser: of that store.
        """
        self._rules = rules
        self._store = store
        self._dead_letters = dead_letters
        self._cluster = cluster
        self._eraser = eraser
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="redis")

    def look(self) -> "Future[Found]":
        """Connect anew.

        Returns: what is found, or PostponedError of any kind where this worker may not count now.
        """
        return self._thread.submit(self._look)

    def sink(self, found: Found) -> Sink:
        """A sink into the generation that was found, from the checkpoints that were found with it on."""
        caller = Caller(self._store, found.generation, LIVE, erasures=found.erasures)
        return Sink(self._thread, caller, self._dead_letters)

    def close(self) -> None:
        """Wait for the call in flight, leave out what is behind it and drop the connection."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._store.close()
        self._eraser.close()

    def _look(self) -> Found:
        self._store.open()
        found = self._cluster.log()
        generation = validate(self._store.live(), self._rules, found)
        self._dead_letters.of_log(found)
        try:
            erasures, checkpoints = self._eraser.checkpoints(generation)
        except ClosedError:
            self._store.open_again(generation)
            erasures, checkpoints = self._eraser.checkpoints(generation)
        return Found(generation, erasures, checkpoints, self._store.servers)
