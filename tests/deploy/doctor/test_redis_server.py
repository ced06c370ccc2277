"""What `INFO` tells of a server that could lose counts."""

import pytest

from deploy.doctor.check import State
from deploy.doctor.redis_server import Info, judge_memory, judge_persistence, judge_server

REDIS: Info = {"redis_version": "7.2.4", "redis_mode": "standalone", "maxmemory_policy": "noeviction"}
VALKEY: Info = {**REDIS, "server_name": "valkey", "valkey_version": "8.1.0"}


@pytest.mark.parametrize("info", [REDIS, VALKEY])
def test_a_server_that_is_fit_is_well(info: Info) -> None:
    assert [finding.state for finding in judge_server(info, cluster=False)] == [State.OK]
    assert judge_server({**info, "redis_mode": "cluster"}, cluster=True)[0].state is State.OK


@pytest.mark.parametrize(
    ("info", "what", "fix"),
    [
        ({**REDIS, "redis_version": "6.2.14"}, "Redis 6.2.14 is too old", "Redis 7 or newer"),
        ({**VALKEY, "valkey_version": "7.2.5"}, "Valkey 7.2.5 is too old", "Valkey 8 or newer"),
        ({**REDIS, "maxmemory_policy": "allkeys-lru"}, "allkeys-lru", "maxmemory-policy noeviction"),
        ({**REDIS, "redis_mode": "cluster"}, "a node of a cluster", "REDIS_CLUSTER=true"),
    ],
)
def test_one_that_is_not_is_named(info: Info, what: str, fix: str) -> None:
    [finding] = judge_server(info, cluster=False)
    assert finding.state is State.PROBLEM
    assert what in finding.what
    assert fix in finding.fix


@pytest.mark.parametrize(
    ("info", "state"),
    [
        ({"aof_enabled": 1, "aof_last_write_status": "ok"}, State.OK),
        ({"aof_enabled": 0, "connected_slaves": 2}, State.OK),
        ({"aof_enabled": 0, "connected_slaves": 0}, State.PROBLEM),
        ({"aof_enabled": 1, "aof_last_write_status": "err"}, State.PROBLEM),
    ],
)
def test_a_restart_must_give_the_counters_back(info: Info, state: State) -> None:
    assert [finding.state for finding in judge_persistence(info)] == [state]


@pytest.mark.parametrize(
    ("info", "state"),
    [
        ({"used_memory": 89, "maxmemory": 100}, State.OK),
        ({"used_memory": 91, "maxmemory": 100}, State.PROBLEM),
        ({"used_memory": 91, "maxmemory": 0, "total_system_memory": 1000}, State.OK),
        ({"used_memory": 991, "maxmemory": 0, "total_system_memory": 1000}, State.PROBLEM),
        ({"used_memory": 91}, State.OK),
    ],
)
def test_memory_must_be_left(info: Info, state: State) -> None:
    assert [finding.state for finding in judge_memory(info)] == [state]
