"""The true programs with METRICS_PORT: `/metrics` is there, and nowhere else."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.processes import free_port
from tests.api.site import until
from tests.services import LIMIT_S

pytestmark = pytest.mark.programs

ROOT = Path(__file__).parents[3]
NOWHERE = "127.0.0.1:1"
PORTS = {
    "api": "API_PORT",
    "ingest": "INGEST_PORT",
    "aggregator": "AGGREGATOR_PORT",
    "aggregator audit": "AUDIT_PORT",
    "aggregator archive": "ARCHIVE_PORT",
}
"""The setting of each program's other port."""

LEAVING_SLOWLY = {"api", "ingest"}
"""Those that have users, and go on for them for a while."""


class Program:
    """A program without Kafka and Redis: it lives, and is not ready."""

    def __init__(self, name: str, log: Path, **settings: str) -> None:
        self.name = name
        self.log = log
        self.port = free_port()
        environment = {
            **os.environ,
            PORTS[name]: str(self.port),
            "KAFKA_BOOTSTRAP_SERVERS": NOWHERE,
            "REDIS_URL": f"redis://{NOWHERE}/0",
            "SHUTDOWN_GRACE_S": "2",
            "ARCHIVE_URL": (log.parent / "archive").as_uri(),
            "RECIPIENT_KEY": "5a" * 32,
            **settings,
        }
        with log.open("wb") as file:
            command = [sys.executable, "-m", *name.split()]
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file)

    def lives(self, port: int) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return get(port, "/livez").status_code == 200
        except httpx.TransportError:
            return False


def get(port: int, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False, timeout=LIMIT_S)


@pytest.fixture(params=PORTS)
def programs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Program, int]]:
    """A program, and its port for operators."""
    port = free_port()
    program = Program(request.param, tmp_path / "log", METRICS_PORT=str(port))
    try:
        until(lambda: program.lives(program.port) and program.lives(port))
        yield program, port
    finally:
        program.process.kill()
        program.process.wait()


def test_each_port_has_its_own(programs: tuple[Program, int]) -> None:
    """To the end of the grace, when both say that it stops; then neither port is open."""
    program, port = programs
    assert get(port, "/metrics").text.startswith("# HELP")
    assert get(program.port, "/metrics").status_code == 404
    assert get(port, "/readyz").status_code == get(program.port, "/readyz").status_code == 503
    assert get(port, "/api/metrics/fields").status_code == get(port, "/webhooks/sns").status_code == 404
    program.process.send_signal(signal.SIGTERM)
    if program.name in LEAVING_SLOWLY:
        until(lambda: "about to stop" in get(port, "/readyz").text)
        assert get(port, "/metrics").status_code == 200
    assert program.process.wait(LIMIT_S) == 0
    for each in (port, program.port):
        with pytest.raises(httpx.ConnectError):
            get(each, "/livez")


@pytest.mark.parametrize("name", PORTS)
def test_a_port_that_is_taken_is_said_in_a_line(name: str, tmp_path: Path) -> None:
    first = Program(name, tmp_path / "first", METRICS_PORT="0")
    try:
        until(lambda: first.lives(first.port))
        assert '"serving metrics"' in first.log.read_text()
        second = Program(name, tmp_path / "second", METRICS_PORT=str(first.port))
        assert second.process.wait(LIMIT_S) == 1
        lines = second.log.read_text().splitlines()
        assert len(lines) == 1
        assert str(first.port) in lines[0]
        assert PORTS[name] in lines[0]
        assert "METRICS_PORT" in lines[0]
    finally:
        first.process.kill()
        first.process.wait()
