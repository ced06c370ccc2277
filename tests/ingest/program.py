"""The true program: `python -m ingest` as a process on loopback, set by its environment alone."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from deploy.processes import free_port

COMMAND = (sys.executable, "-m", "ingest")
LIMIT_S = 60.0


def environment(**settings: str) -> dict[str, str]:
    """An environment with these settings and no others, and no proxy."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    ours = {"PYTHONPATH": str(Path(__file__).parents[2]), "SHUTDOWN_GRACE_S": "0"}
    return {**kept, **ours, **settings}


class Program:
    """A running ingest. log: the file that has its stderr."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log
        self.url = f"http://127.0.0.1:{port}"

    def stop(self, number: int) -> int:
        """Send a signal and wait. Returns: the exit code."""
        self.process.send_signal(number)
        return self.process.wait(LIMIT_S)

    def _wait_until_it_answers(self) -> None:
        until = time.monotonic() + LIMIT_S
        while time.monotonic() < until:
            assert self.process.poll() is None, self.log.read_text()
            try:
                httpx.get(f"{self.url}/livez", trust_env=False).raise_for_status()
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError(f"ingest does not answer: {self.log.read_text()}")


@contextmanager
def program(folder: Path, **settings: str) -> Iterator[Program]:
    """A running ingest that answers, on a free port unless the settings name one; killed at the end.

    folder: where its log goes.
    """
    port = int(settings.setdefault("INGEST_PORT", str(free_port())))
    log = folder / f"ingest-{port}.log"
    with (
        log.open("wb") as stderr,
        subprocess.Popen(COMMAND, env=environment(**settings), stderr=stderr, stdout=stderr) as process,
    ):
        try:
            running = Program(process, port, log)
            running._wait_until_it_answers()
            yield running
        finally:
            process.kill()
