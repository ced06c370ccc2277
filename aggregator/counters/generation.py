"""Which generation a worker may count into, and who makes the first one.

A generation carries the fingerprint of the rules and the ids of the cluster and topic that it was counted
from. Nobody makes a generation where one may have been: a Redis that was wiped looks like a new one, so
the first is made only where Redis holds nothing at all and the consumer group never committed anything.
"""

import secrets
from collections.abc import Callable
from typing import Final

from aggregator.counters.store import Store
from aggregator.counting.rules import Rules
from aggregator.errors import GoneError, OtherLogError, OtherRulesError
from aggregator.log.admin import Cluster, Log
from schemas.counters import LAYOUT, Generation, Record
from schemas.kinds import FAMILIES, FIELDS

REBUILD: Final = "`python -m aggregator rebuild`"


def make(rules: Rules, lanes: int, log: Log, now_ms: int) -> Generation:
    """A new generation, of this version's layout and kinds. lanes: how many. now_ms: Redis's clock."""
    return Generation(
        name=secrets.token_hex(4),
        lanes=lanes,
        rules=rules.fingerprint,
        layout=LAYOUT,
        kinds=FIELDS,
        families=tuple(FAMILIES.items()),
        scopes=rules.scope_names,
        identity_key=secrets.token_hex(16),
        cluster_id=log.cluster_id,
        topic_id=log.topic_id,
        created_ms=now_ms,
    )


def validate(live: Generation | None, rules: Rules, log: Log) -> Generation:
    """The live generation, if this worker may count into it.

    live: none where there is none. rules: the worker's. log: the one that the worker reads.
    Raises: GoneError, OtherRulesError, OtherLogError.
    """
    if live is None:
        raise GoneError(f"Redis holds no generation of counters: run {REBUILD}")
    if live.layout != LAYOUT:
        way = (
            f"start workers of that version ({REBUILD} with this one would go back to it)"
            if live.layout > LAYOUT
            else f"run {REBUILD}, up to whose switch workers of that version count on"
        )
        raise OtherRulesError(f"generation {live.name} {live.foreign}: {way}")
    if not live.has_our_kinds:
        raise OtherRulesError(
            f"generation {live.name} counts {', '.join(live.kinds)}, this version {', '.join(FIELDS)}:"
            f" start workers of its version, or run {REBUILD}"
        )
    if live.rules != rules.fingerprint:
        raise OtherRulesError(
            f"generation {live.name} was counted by rules {live.rules}, this worker has {rules.fingerprint}:"
            " start workers with its settings, or `rebuild`"
        )
    if (live.cluster_id, live.topic_id) != (log.cluster_id, log.topic_id):
        raise OtherLogError(
            f"generation {live.name} was counted from another topic (id {live.topic_id} of cluster"
            f" {live.cluster_id}, now {log.topic_id} of {log.cluster_id}): restore that one, or"
            " `rebuild --lose`"
        )
    return live


def find_or_make_first(store: Store, cluster: Cluster, rules: Rules, group: str, *, lanes: int) -> Generation:
    """The generation to count into; the first one is made here.

    store: open. group: the consumer group. lanes: how many the first one gets; of no meaning where there is
    one.
    Raises: GoneError, OtherRulesError, OtherLogError, StoreUnavailableError, KafkaUnavailableError.
    """
    log = cluster.log()
    record = store.record()
    live = record.live
    if live is None:
        why_not = why_no_first(record, store, group, lambda: cluster.has_commits(group, log.partitions))
        if why_not is not None:
            raise GoneError(f"Redis holds no generation of counters: {why_not}")
        made = make(rules, lanes, log, store.now_ms())
        live = made if store.create(made) else store.live()
    return validate(live, rules, log)


def why_no_first(record: Record, store: Store, group: str, has_commits: Callable[[], bool]) -> str | None:
    """Why a Redis without a live generation is not taken for a new one, and the way on; none where it is.

    record: as it was read. group: the consumer group. has_commits: whether that has ever committed.
    Raises: StoreUnavailableError, KafkaUnavailableError.
    """
    if record.next is not None:
        return (
            f"a rebuild makes {record.next.generation.name} and has not switched to it yet; where none runs,"
            f" run {REBUILD}"
        )
    if store.former():
        return f"it holds those of a version before this one. Run {REBUILD}, which counts the log again"
    key = store.some_key()
    if key is not None:
        return (
            f"but it is not empty (it holds {key!r}). The database must be ours alone: if others use it, let"
            f" REDIS_URL name another one. If these are counters that lost their record, run {REBUILD}"
        )
    if has_commits():
        return (
            f"it is empty, but the consumer group {group!r} has counted this topic before. If Redis was wiped"
            f" or replaced, run {REBUILD}, which counts the log again. If REDIS_URL names the wrong one, fix"
            " it. For a second, separate set of counters set another CONSUMER_GROUP"
        )
    return None
