"""A connection to Redis that tries nothing again, and its errors as what the caller does next."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.exceptions import RedisClusterException
from redis.retry import Retry

from aggregator import metrics
from aggregator.errors import StoreUnavailableError
from schemas.shared.redis_errors import describe
from schemas.shared.settings import RedisSettings

CALL_TIMEOUT_S: Final = 10.0
CONNECT_TIMEOUT_S: Final = 3.0

Client: TypeAlias = redis.Redis | redis.RedisCluster


@contextmanager
def translated() -> Iterator[None]:
    """Errors of redis-py as what the caller does next; its cluster client has a family of its own.

    Raises: StoreUnavailableError.
    """
    try:
        yield
    except (redis.RedisError, RedisClusterException) as error:
        raise StoreUnavailableError(describe(error)) from error


def connect(settings: RedisSettings) -> Client:
    """A client that fails at once instead of trying again.

    settings: where Redis is.
    Raises: StoreUnavailableError for a cluster that cannot be reached.
    """
    options: dict[str, Any] = {
        "socket_timeout": CALL_TIMEOUT_S,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),
        **settings.redis_tls(),
    }
    url, others = settings.redis_nodes
    if not settings.redis_cluster:
        return redis.Redis.from_url(url, **options)
    nodes = [ClusterNode(host, port) for host, port in others]  # type: ignore[no-untyped-call]
    with translated():
        return redis.RedisCluster.from_url(url, startup_nodes=nodes, **options)


def infos(client: Client, *sections: str) -> dict[str, dict[str, Any]]:
    """What `INFO` says of the server, or of each that takes writes in a cluster, by its `host:port`."""
    if not isinstance(client, redis.RedisCluster):
        place = client.connection_pool.connection_kwargs
        name = place.get("path") or f"{place.get('host', 'localhost')}:{place.get('port', 6379)}"
        return {name: client.info(*sections)}
    # redis-py answers with the answer itself, and not with one for each node, where there is one node
    primaries = client.get_primaries()  # type: ignore[no-untyped-call]
    return {node.name: client.info(*sections, target_nodes=node) for node in primaries}


def memory(info: Mapping[str, Any]) -> tuple[int, int]:
    """Of what `INFO` says: bytes used, and the limit (0 for none)."""
    return int(info["used_memory"]), int(info.get("maxmemory", 0))


def show_memory(found: Mapping[str, Mapping[str, Any]]) -> None:
    """As metrics, of these nodes and no others: a cluster may have others than before.

    found: `INFO` of each.
    """
    shown = {sample.labels["node"] for family in metrics.REDIS_MEMORY.collect() for sample in family.samples}
    for away in shown - found.keys():
        metrics.REDIS_MEMORY.remove(away)
        metrics.REDIS_MEMORY_LIMIT.remove(away)
    for node, info in found.items():
        used, limit = memory(info)
        metrics.REDIS_MEMORY.labels(node).set(used)
        metrics.REDIS_MEMORY_LIMIT.labels(node).set(limit)


def decoded(raw: bytes, kind: type[Any]) -> Any:
    """What stands in Redis as JSON. kind: its type. Raises: StoreUnavailableError where it is not of that."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.DecodeError as error:
        raise StoreUnavailableError(f"the record of the generations cannot be read: {error}") from error
