"""Whether counting is still right: asked beside the counting, over connections of its own.

What can turn wrong while no call fails: Redis is told to evict keys, another generation is live, the topic
was made anew. INFO, the record of the live generation and two questions to Kafka tell, and each of them may
take seconds to be answered, or never be. So they stand in no thread that counts.
"""

from aggregator.counters.generation import validate
from aggregator.counters.store import Store
from aggregator.counting.rules import Rules
from aggregator.errors import (
    GoneError,
    KafkaUnavailableError,
    NoVerdictError,
    OtherServerError,
    StoreUnavailableError,
    TopicMissingError,
)
from aggregator.log.admin import Cluster
from schemas.counters import Generation


class Checker:
    """Checks one worker's counting. Blocking; used from one thread."""

    def __init__(self, *, rules: Rules, store: Store, cluster: Cluster) -> None:
        """Prepare; the first check connects.

        rules: of the worker. store, cluster: used by this object alone.
        """
        self._rules = rules
        self._store = store
        self._cluster = cluster

    def check(self, generation: Generation, servers: frozenset[str]) -> None:
        """Return where counting into a generation is still right.

        servers: the ids of the servers that are counted into. This connection may lead to others, after a
        failover or behind an address that moved; what those say is no verdict, and a reason to begin.
        Raises: StoreUnsupportedError, GoneError, OtherRulesError, OtherLogError, OtherServerError,
        TopicMissingError; NoVerdictError where Redis or Kafka gave no answer.
        """
        try:
            if self._store.check_or_open() != servers:
                self._store.close()  # perhaps this connection is the one that knows an old place
                raise OtherServerError("Redis is another server than the one that is counted into")
            live = validate(self._store.live(), self._rules, self._cluster.log())
        except TopicMissingError:
            raise
        except (StoreUnavailableError, KafkaUnavailableError) as error:
            self._store.close()
            raise NoVerdictError(str(error)) from error
        if live.name != generation.name:
            raise GoneError(f"generation {generation.name} was replaced by {live.name}")

    def close(self) -> None:
        """Drop the connection."""
        self._store.close()
