"""Which generation a worker may count into, and who makes the first one.

A generation carries the fingerprint of the rules and the ids of the cluster and topic that it was counted
from. Nobody makes a generation where one may have been: a Redis that was wiped looks like a new one, so
the first is made only where Redis holds nothing at all and the consumer group never committed anything.
"""

import secrets

from aggregator.cluster import Cluster, Log
from aggregator.errors import GoneError, OtherLogError, OtherRulesError
from aggregator.rules import Rules
from aggregator.store import Store
from schemas.counters import LANES, LAYOUT, Generation


def judge(live: Generation | None, rules: Rules, log: Log) -> Generation:
    """The live generation, if this worker may count into it.

    live: its record, none where there is none. rules: the worker's. log: the one that the worker reads.
    Raises: GoneError, OtherRulesError, OtherLogError.
    """
    if live is None:
        raise GoneError("Redis holds no generation of counters: run `python -m aggregator rebuild`")
    if (live.layout, live.rules) != (LAYOUT, rules.fingerprint):
        raise OtherRulesError(
            f"generation {live.name} was counted by rules {live.rules} (layout {live.layout}), this worker"
            f" has {rules.fingerprint} (layout {LAYOUT}): start workers with its settings, or `rebuild`"
        )
    if (live.cluster_id, live.topic_id) != (log.cluster_id, log.topic_id):
        raise OtherLogError(
            f"generation {live.name} was counted from another topic (id {live.topic_id} of cluster"
            f" {live.cluster_id}, now {log.topic_id} of {log.cluster_id}): restore that one, or `rebuild`"
        )
    return live


def find_or_make_first(store: Store, cluster: Cluster, rules: Rules, group: str, now_ms: int) -> Generation:
    """The generation to count into; the first one is made here.

    store: open. group: the consumer group. now_ms: for the record of a new one.
    Raises: GoneError, OtherRulesError, OtherLogError, StoreUnavailableError, KafkaUnavailableError.
    """
    log = cluster.log()
    live = store.live()
    if live is None and store.is_empty() and not cluster.has_commits(group, log.partitions):
        first = Generation(
            name=secrets.token_hex(4),
            lanes=LANES,
            rules=rules.fingerprint,
            layout=LAYOUT,
            cluster_id=log.cluster_id,
            topic_id=log.topic_id,
            created_ms=now_ms,
        )
        live = first if store.create(first) else store.live()
    return judge(live, rules, log)
