"""One host that runs the true program, `python -m api`, and its `keys` commands."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from deploy.processes import free_port
from tests.metrics_text import samples
from tests.services import LIMIT_S

ROOT = Path(__file__).parents[2]


def until(ready: Callable[[], bool]) -> None:
    """Wait for something that must come."""
    deadline = time.monotonic() + LIMIT_S
    while not ready():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


class Site:
    """One host: its environment, its API and its `keys` commands."""

    def __init__(self, directory: Path, **environment: str) -> None:
        self.port = free_port()
        self.environment = {
            **os.environ,
            "SHUTDOWN_GRACE_S": "0",
            **environment,
            "API_PORT": str(self.port),
        }
        self.log = directory / "api.log"
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        """Start the API; returns once it answers."""
        with self.log.open("wb") as log:
            program = subprocess.Popen(
                [sys.executable, "-m", "api"], cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )
        self.running.append(program)

        def answers() -> bool:
            assert program.poll() is None, self.log.read_text()
            try:
                return self.get("/livez").status_code == 200
            except httpx.TransportError:
                return False

        until(answers)
        return program

    def get(self, path: str, key: str = "") -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.get(
            f"http://127.0.0.1:{self.port}{path}", headers=headers, timeout=LIMIT_S, trust_env=False
        )

    def keys_heard_s(self) -> float:
        """Up to when it knows every key, in seconds since 1970; 0 where it never did."""
        return samples(self.get("/metrics").text, "api_keys_heard_timestamp_seconds")[()]

    def ready(self) -> bool:
        return self.get("/readyz").status_code == 200

    def keys(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "api", "keys", *arguments)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run Python to its end. environment: more of it."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    def create(self, tenant: str) -> str:
        done = self.keys("create", tenant)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("\n") == 1
        return done.stdout.strip()

    def kill(self) -> None:
        for program in self.running:
            program.kill()
            program.wait()
