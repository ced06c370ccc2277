"""`make stack` keeps its promises, with the true programs on real servers."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from deploy.kafka_jars import KAFKA
from deploy.processes import StackError, free_port
from deploy.stack import CHECKOUT, PORTS, STOP_LIMITS_S, chosen_port, refuse_taken_ports
from tests.deploy.test_processes import alive
from tests.services import LIMIT_S

pytestmark = pytest.mark.programs

STACK = """
import os, sys
from pathlib import Path
from deploy.stack import serve_until_stopped, supervise
sys.exit(supervise(serve_until_stopped, os.environ, Path(sys.argv[1])))
"""


class Running:
    """A supervisor in a session of its own, and what it prints."""

    def __init__(self, process: subprocess.Popen[bytes], local: Path, output: Path) -> None:
        self.process = process
        self.file = local / "stack.json"
        self.output = output

    def children(self) -> dict[str, int]:
        """The process ids of its children, by a word of their command."""
        found = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                command = (stat.parent / "cmdline").read_bytes().decode()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == self.process.pid:
                words = re.findall(r"-m\0([\w.]+)|(kafka\.Kafka)|/(valkey-server)", command)
                found["".join(words[-1]) if words else command] = int(stat.parent.name)
        return found

    def wait_until_up(self) -> dict[str, str]:
        until = time.monotonic() + LIMIT_S
        while not self.file.exists():
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < until, self.output.read_text()
            time.sleep(0.1)
        addresses = json.loads(self.file.read_text())
        assert isinstance(addresses, dict)
        return addresses

    def end(self) -> int:
        return self.process.wait(LIMIT_S)


def environment() -> dict[str, str]:
    """This shell's, with free ports and without other settings of ours."""
    ours = ("KAFKA_", "REDIS_", "SNS_", "DEFAULT_", "EVENTS_", "DEAD_", "CONSUMER_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    ports = {variable: str(free_port()) for variable, _ in PORTS.values()}
    return {**kept, "SHUTDOWN_GRACE_S": "0", **ports}


@contextmanager
def started(code: str, local: Path, settings: dict[str, str]) -> Iterator[Running]:
    KAFKA.fetch()
    local.mkdir(exist_ok=True)
    output = local.with_suffix(".out")
    with output.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(local)],
            cwd=CHECKOUT,
            env=settings,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    running = Running(process, local, output)
    try:
        yield running
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def as_it_is_told(running: Running) -> str:
    """What a command prints that is given the stack's settings as its own words say."""
    lines: list[str] = []
    until = time.monotonic() + LIMIT_S
    while not lines:
        assert time.monotonic() < until, running.output.read_text()
        lines = re.findall(r"^  (set -a; .*)$", running.output.read_text(), re.MULTILINE)
    shell = f"{lines[0]}; {sys.executable} -m api keys create acme"
    done = subprocess.run(["bash", "-c", shell], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_stack_from_its_start_to_its_end(tmp_path: Path) -> None:
    """Every part answers once `stack.json` is there; a second is refused; two signals end all of it.

    In 30 s, with the grace that the programs have by default.
    """
    local = tmp_path / "local"
    settings = {
        **environment(),
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "METRICS_PORT": str(free_port()),  # which two of them could not share
        "HEALTH_METRICS": "true",  # which takes it
    }
    del settings["SHUTDOWN_GRACE_S"]
    with started(STACK, local, settings) as running:
        addresses = running.wait_until_up()
        assert set(addresses) == {"kafka", "redis", "ingest", "api"}
        assert addresses["ingest"] == f"http://127.0.0.1:{settings['INGEST_PORT']}"
        assert addresses["api"] == f"http://127.0.0.1:{settings['API_PORT']}"
        written = running.file.with_suffix(".env")
        assert f"KAFKA_BOOTSTRAP_SERVERS='{addresses['kafka']}'\n" in written.read_text()
        assert written.stat().st_mode & 0o077 == 0, "it may hold RECIPIENT_KEY"
        for port in (settings[variable] for variable, _ in PORTS.values()):
            assert httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200
        assert as_it_is_told(running).startswith("sesm_")
        children = running.children()
        assert set(children) == {"kafka.Kafka", "valkey-server", *PORTS}

        with started(STACK, local, environment()) as second:
            assert second.end() == 1
        assert f"already runs (process {running.process.pid})" in running.output.read_text()
        assert running.file.exists()

        reported = time.monotonic()
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        running.process.send_signal(signal.SIGINT)
        assert running.end() == 0, running.output.read_text()
        assert time.monotonic() - reported < 30
        assert not running.file.exists()
        assert not any(map(alive, children.values()))
        assert "killed" not in running.output.read_text()


def test_a_dead_part_ends_the_stack(tmp_path: Path) -> None:
    """The line names the part and its log, the status is not 0, and the others end too."""
    with started(STACK, tmp_path / "local", environment()) as running:
        running.wait_until_up()
        children = running.children()
        os.kill(children["aggregator"], signal.SIGKILL)
        assert running.end() == 1
        assert "error: aggregator ended by SIGKILL; its log is" in running.output.read_text()
        assert not running.file.exists()
        assert not any(map(alive, children.values()))


def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as server:
        port = server.getsockname()[1]
        with started(STACK, tmp_path / "local", {**environment(), "API_PORT": str(port)}) as running:
            assert running.end() == 1
    assert f"error: port {port} for api is taken" in running.output.read_text()
    assert "API_PORT" in running.output.read_text()
    assert not (tmp_path / "local" / "kafka").exists()


def test_ports_are_the_settings_own() -> None:
    assert chosen_port("API_PORT", 8080, {}) == 8080
    assert chosen_port("API_PORT", 8080, {"API_PORT": ""}) == 8080
    assert chosen_port("API_PORT", 8080, {"API_PORT": "9000"}) == 9000
    assert chosen_port("AGGREGATOR_PORT", 8082, {"AGGREGATOR_PORT": "0"}) > 0
    for wrong in ("-1", "65536", "http", "٣"):
        with pytest.raises(StackError, match="API_PORT"):
            chosen_port("API_PORT", 8080, {"API_PORT": wrong})
    port = free_port()
    with pytest.raises(StackError, match=f"API_PORT and INGEST_PORT are both {port}"):
        refuse_taken_ports({"ingest": port, "api": port})


def test_all_parts_together_end_within_30_s() -> None:
    assert sum(STOP_LIMITS_S.values()) < 30
    assert sorted(name for names in STOP_LIMITS_S for name in names) == sorted(
        ["demo", *PORTS, "kafka", "valkey"]
    )
