"""The connection to Redis, which may be one server or a cluster."""

from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from api.counters.round_trips import AT_ONCE
from schemas.shared.settings import RedisSettings

TIMEOUT_S: Final = 2.0
"""How long a connection, or what Redis says to all of an exchange, is waited for."""


def connect(settings: RedisSettings) -> "Redis | RedisCluster":
    """A client for the Redis of the settings; it connects when it is first used.

    One retry, at once: a pooled connection may have been closed by the other side, and reads may repeat.
    """
    options: dict[str, Any] = {
        "socket_timeout": TIMEOUT_S,
        "socket_connect_timeout": TIMEOUT_S,
        "retry": Retry(NoBackoff(), 1),
        **settings.redis_tls(),
    }
    url, others = settings.redis_nodes
    if settings.redis_cluster:
        nodes = [ClusterNode(host, port) for host, port in others]
        return RedisCluster.from_url(url, startup_nodes=nodes, max_connections=AT_ONCE, **options)
    pool = BlockingConnectionPool.from_url(url, max_connections=AT_ONCE, timeout=TIMEOUT_S, **options)
    return Redis.from_pool(pool)
