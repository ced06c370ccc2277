"""Whether a Redis or Valkey is fit for the counters, by what its `INFO` says. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from aggregator.counters.store import check_policy, check_version
from aggregator.errors import StoreUnsupportedError
from deploy.doctor.check import Finding, ok, problem

FULL: Final = 0.9
"""Of the memory that a server may take: above it there is no room for a peak, let alone for a rebuild."""

Info = Mapping[str, Any]


def judge_server(info: Info, *, cluster: bool) -> list[Finding]:
    """Version, eviction, and whether it is what the settings say. cluster: REDIS_CLUSTER."""
    found = []
    for check, fix in (
        (check_version, "Redis 7 or newer, or Valkey 8 or newer"),
        (check_policy, "CONFIG SET maxmemory-policy noeviction, and the same in its configuration file"),
    ):
        try:
            check(info)
        except StoreUnsupportedError as error:
            found.append(problem(str(error), fix))
    if info.get("redis_mode") == "cluster" and not cluster:
        found.append(problem("it is a node of a cluster, and REDIS_CLUSTER is false", "REDIS_CLUSTER=true"))
    valkey = info.get("server_name") == "valkey"
    version = info.get("valkey_version" if valkey else "redis_version")
    return found or [ok(f"{'Valkey' if valkey else 'Redis'} {version}, evicts nothing")]


def judge_persistence(info: Info) -> list[Finding]:
    """Whether a restart gives the counters back."""
    if info.get("aof_enabled"):
        if info.get("aof_last_write_status", "ok") != "ok":
            return [
                problem(
                    "it cannot write its append-only file", "look at its log, and at the room on its disk"
                )
            ]
        return [ok("append-only file")]
    if int(info.get("connected_slaves", 0)):
        return [ok("no append-only file, but replicas")]
    return [
        problem(
            "it has neither an append-only file nor replicas: a restart loses counters, until a `rebuild`",
            "CONFIG SET appendonly yes, and the same in its configuration file",
        )
    ]


def judge_memory(info: Info) -> list[Finding]:
    """Whether there is room for more counters."""
    used = int(info["used_memory"])
    limit = int(info.get("maxmemory", 0)) or int(info.get("total_system_memory", 0))
    if not limit:
        return [ok(f"{_mib(used)} used; it does not say of how much")]
    has = f"{_mib(used)} of {_mib(limit)} used"
    if used > FULL * limit:
        return [
            problem(
                f"{has}: it will soon take no writes, and counting stops",
                "more memory (maxmemory), or `python -m aggregator generations drop --retired`",
            )
        ]
    return [ok(f"{has}; a `rebuild` takes as much again as the live counters")]


def _mib(number: int) -> str:
    return f"{number / 2**20:,.1f} MiB"
