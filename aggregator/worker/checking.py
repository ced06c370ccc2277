"""Whether counting is still right: asked beside the counting, over connections of its own.

What can turn wrong while no call fails: Redis is told to evict keys, another generation is live, the topic
was made anew, a tenant was erased. INFO, the record of the live generation and three questions to Kafka tell,
and each of them may take seconds to be answered, or never be. So they stand in no thread that counts.
"""

from aggregator.counters.generation import validate
from aggregator.counters.store import Store
from aggregator.counting.rules import Rules
from aggregator.errors import (
    ErasedError,
    GoneError,
    KafkaUnavailableError,
    NoVerdictError,
    OtherServerError,
    StoreUnavailableError,
    TopicMissingError,
)
from aggregator.log.admin import Cluster
from aggregator.log.erasures import ErasureTopic
from schemas.counters import Generation


class Checker:
    """Checks one worker's counting. Blocking; used from one thread."""

    def __init__(self, *, rules: Rules, store: Store, cluster: Cluster, erasures: ErasureTopic) -> None:
        """Prepare; the first check connects.

        rules: of the worker. store, cluster, erasures: used by this object alone.
        """
        self._rules = rules
        self._store = store
        self._cluster = cluster
        self._erasures = erasures

    def check(self, generation: Generation, servers: frozenset[str], erasures_end: int) -> None:
        """Return where counting into a generation is still right.

        servers: the ids of the servers that are counted into. This connection may lead to others, after a
        failover or behind an address that moved; what those say is no verdict, and a reason to begin.
        erasures_end: the offset up to which the erasures are known.
        Raises: StoreUnsupportedError, GoneError, OtherRulesError, OtherLogError, OtherServerError,
        ErasedError, TopicMissingError; NoVerdictError where Redis or Kafka gave no answer.
        """
        try:
            if self._store.check_or_open() != servers:
                self._store.close()  # perhaps this connection is the one that knows an old place
                raise OtherServerError("Redis is another server than the one that is counted into")
            live = validate(self._store.live(), self._rules, self._cluster.log())
            end = self._erasures.end()
        except TopicMissingError:
            raise
        except (StoreUnavailableError, KafkaUnavailableError) as error:
            self._store.close()
            raise NoVerdictError(str(error)) from error
        if live.name != generation.name:
            raise GoneError(f"generation {generation.name} was replaced by {live.name}")
        if end != erasures_end:
            raise ErasedError(f"the erasures end at offset {end}, and are known up to {erasures_end}")

    def close(self) -> None:
        """Drop the connections."""
        self._store.close()
        self._erasures.close()
