"""A verdict is about the server that is counted into, and about who is erased; and none is no bad one."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
import redis
from msgspec.structs import replace
from prometheus_client import generate_latest

from aggregator import metrics
from aggregator.counters.store import Store
from aggregator.counting.rules import Rules
from aggregator.errors import ErasedError, NoVerdictError, OtherServerError, StoreUnsupportedError
from aggregator.log.admin import Log
from aggregator.worker.checking import Checker
from deploy.valkey import Valkey
from schemas.shared.settings import RedisSettings
from tests.aggregator.generations import GENERATION
from tests.metrics_text import samples


def memory() -> dict[str, tuple[float, float]]:
    """What is shown of each node: memory in use, and its limit."""
    text = generate_latest(metrics.WORKER).decode()
    used, limit = (samples(text, f"aggregator_redis_memory{name}_bytes") for name in ("", "_limit"))
    assert used.keys() == limit.keys()
    return {node: (used[node,], limit[node,]) for (node,) in used}


def test_what_another_server_says_is_no_verdict(valkey_factory: Callable[[], Valkey]) -> None:
    """After a failover the connection of the checks may lead elsewhere, also where all looks well there."""
    counted, other = valkey_factory(), valkey_factory()
    rules = Rules()
    generation = replace(GENERATION, rules=rules.fingerprint)
    cluster: Any = SimpleNamespace(log=lambda: Log("cluster", "topic", 1))
    stores = [Store(RedisSettings(redis_url=each.url)) for each in (counted, other)]
    for store in stores:
        store.open()
        assert store.create(generation)
    servers = stores[0].servers
    topic = SimpleNamespace(end=lambda: 3, close=lambda: None)
    right, wrong = (
        Checker(rules=rules, store=store, cluster=cast("Any", cluster), erasures=cast("Any", topic))
        for store in stores
    )
    with redis.Redis.from_url(counted.url) as client:
        client.config_set("maxmemory", "512mb")
    right.check(generation, servers, 3)
    assert memory().keys() == {counted.url.partition("//")[2].partition("/")[0]}
    assert [(used > 100_000, limit) for used, limit in memory().values()] == [(True, 512 * 1024 * 1024)]
    with pytest.raises(OtherServerError):
        wrong.check(generation, servers, 3)
    assert memory().keys() == {other.url.partition("//")[2].partition("/")[0]}, "that of now, and no other"
    with pytest.raises(ErasedError):
        right.check(generation, servers, 2)
    with redis.Redis.from_url(counted.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(StoreUnsupportedError):
            right.check(generation, servers, 3)
    counted.kill()
    for _ in range(2):
        with pytest.raises(NoVerdictError):
            right.check(generation, servers, 3)
    right.close()
    wrong.close()
