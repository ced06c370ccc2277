"""The machine that a bench ran on: without it no figure means anything."""

import os
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Final

import psutil
import redis

from deploy.valkey import Valkey
from tests.services import valkey_server

PACKAGES: Final = ("confluent-kafka", "aiokafka", "faust-streaming", "msgspec", "redis", "fastapi", "granian")


def describe_machine() -> dict[str, str]:
    """What it is, what runs on it, and how busy it is already."""
    with valkey_server() as valkey:
        server = _version_of(valkey)
    return {
        "processor": _processor(Path("/proc/cpuinfo")),
        "cores": f"{os.cpu_count()}, load {os.getloadavg()[0]:.2f} before the bench",
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": platform.python_version(),
        "Valkey": server,
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }


def _processor(cpuinfo: Path) -> str:
    lines: Iterable[str] = cpuinfo.read_text().splitlines() if cpuinfo.exists() else ()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _version_of(valkey: Valkey) -> str:
    with redis.Redis.from_url(valkey.url) as client:
        reported = client.info("server")
    return (
        f"{reported.get('valkey_version') or reported['redis_version']}, append-only file flushed each second"
    )
