"""Copies of a Valkey's append-only file, taken while it runs and put back while it does not.

A copy is a prefix of the history, as what a crash leaves behind is. The server must not rewrite its files
meanwhile, so it never does so by itself (`never_rewrite`), and is asked to between two copies.
"""

import shutil
from pathlib import Path
from typing import Any

from deploy.processes import Waiting
from deploy.valkey import Valkey
from tests import services

DIRECTORY = "appendonlydir"
BIG_BYTES = 48 * 1024 * 1024


def waiting() -> Waiting:
    """How tests wait for a server that they start again."""
    return Waiting(limit_s=services.LIMIT_S)


def never_rewrite(client: Any) -> None:
    """Keep the set of files as it is; asked anew of each server that is started."""
    client.config_set("auto-aof-rewrite-percentage", 0)


def rewrite_if_big(valkey: Valkey, client: Any) -> None:
    """Let the server rewrite files that have grown, as each copy takes time; returns when that is done."""
    if sum(file.stat().st_size for file in (valkey.directory / DIRECTORY).iterdir()) < BIG_BYTES:
        return
    client.bgrewriteaof()

    def done() -> bool:
        reported = client.info("persistence")
        return not reported["aof_rewrite_in_progress"] and not reported["aof_rewrite_scheduled"]

    waiting().until(done, valkey.child)


def copy(valkey: Valkey, to: Path) -> None:
    """Take a copy; one that was there is replaced."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(valkey.directory / DIRECTORY, to)


def put_back(valkey: Valkey, copied: Path) -> None:
    """Put a copy in the place of what a server that is down would load."""
    shutil.rmtree(valkey.directory / DIRECTORY)
    shutil.copytree(copied, valkey.directory / DIRECTORY)
