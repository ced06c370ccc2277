"""The true programs as processes: started as a person starts them, watched from outside, killed.

A test talks to them by HTTP, by signals and by what they log, and by nothing else.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from deploy.processes import Child, free_port

CHECKOUT = Path(__file__).parents[2]
LIMIT_S = 120.0
"""A wait that takes so long has failed. None takes a tenth of it where all is well."""
POLL_S = 0.05

SETTINGS = (
    "AGGREGATOR_PORT API_PORT API_PROCESSES ARCHIVE_DROP_TAGS ARCHIVE_FILE_MB ARCHIVE_FILE_MINUTES"
    " ARCHIVE_PORT ARCHIVE_URL AUDIT_INTERVAL_S AUDIT_OLDEST_DAYS AUDIT_PORT AUDIT_TENANT_DAYS"
    " CONSUMER_GROUP DEAD_LETTER_TOPIC DEFAULT_TENANT ERASURES_TOPIC EVENTS_TOPIC HEALTH_METRICS"
    " IDS_WARNING INGEST_PORT INGEST_PROCESSES LANES METRICS_PORT RECIPIENT_KEY RECOUNT_MEMORY_MB"
    " SCOPE_TAGS SEQUENCE_TAG SNS_CERTIFICATE_DIR SNS_TOPIC_ARNS TEMPLATE_TAG TENANT_TAG"
)


def wait_until(holds: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> None:
    """Return when `holds()` is true; fail with `what` after a generous while."""
    until = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < until, f"still waiting after {limit_s:.0f} s: {what}"
        time.sleep(POLL_S)


class Program:
    """One process of the project and its HTTP side."""

    def __init__(self, name: str, environment: Mapping[str, str], log: Path, port: int = 0) -> None:
        """Start it. port: its HTTP port, 0 where it chooses one and logs it."""
        self.beside: list[Program] = [self]
        """All programs of the same place; none of them may end while one is waited for."""
        self._may_end = False
        self._child = Child(
            name,
            [sys.executable, "-m", *name.split()],
            log,
            environment=environment,
            directory=CHECKOUT,
        )
        self._port = port
        # A program may end a connection that was silent for four seconds, in the moment when it is used.
        self._client = httpx.Client(trust_env=False, timeout=30, limits=httpx.Limits(keepalive_expiry=2))
        self._child.start()

    @property
    def running(self) -> bool:
        return self._child.running

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def url(self) -> str:
        """Its base URL, once it has one."""
        if not self._port:
            self._port = self.wait_until_said("listening")["port"]
        return f"http://127.0.0.1:{self._port}"

    def wait_until(self, holds: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> None:
        """As `wait_until`, and fail at once where it or one beside it ends by itself."""

        def holds_or_dead() -> bool:
            for program in self.beside:
                if not program._may_end:
                    program._child.check()
            return holds()

        wait_until(holds_or_dead, f"{self._child.name}: {what}", limit_s)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """The answer to a request to the program; 502 where nothing listens (yet)."""
        try:
            return self._client.get(self.url + path, headers=headers)
        except httpx.TransportError:
            return httpx.Response(502)

    def wait_until_ready(self) -> None:
        self.wait_until(lambda: self.get("/readyz").status_code == 200, "/readyz says 200")

    def wait_until_unready_because(self, why: str) -> str:
        """Wait until `/readyz` says 503 and `why` among its reasons; returns its body."""
        body = ""

        def unready() -> bool:
            nonlocal body
            answer = self.get("/readyz")
            body = answer.text
            return answer.status_code == 503 and why in body

        self.wait_until(unready, f"/readyz says 503: {why}")
        return body

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels, as `/metrics` shows it; 0 without any."""
        total = 0.0
        for line in self.get("/metrics").text.splitlines():
            sample, _, value = line.rpartition(" ")
            if sample.partition("{")[0] == name and all(f'{k}="{v}"' in sample for k, v in labels.items()):
                total += float(value)
        return total

    def log_text(self) -> str:
        """All that it has logged so far."""
        return self._child.log.read_text(errors="replace")

    def said(self, event: str, why: str = "") -> list[dict[str, Any]]:
        """The log lines of that event so far, those that have `why` in their reason."""
        lines = self.log_text().splitlines()
        logged = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [line for line in logged if line["event"] == event and why in line.get("why", "")]

    def wait_until_said(self, event: str, why: str = "") -> dict[str, Any]:
        """Wait for such a line, as `/readyz` may know why before the log does. Returns: the last one."""
        self.wait_until(lambda: bool(self.said(event, why)), f"it logs {event!r}: {why}")
        return self.said(event, why)[-1]

    def freeze(self) -> None:
        """SIGSTOP: it stands still and knows nothing of it."""
        os.kill(self._child.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: it goes on where it stood."""
        os.kill(self._child.pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL; harmless where it has ended."""
        self._may_end = True
        self._child.kill()
        self._client.close()

    def terminate(self) -> None:
        """SIGTERM, without waiting for its end."""
        self._may_end = True
        os.kill(self._child.pid, signal.SIGTERM)

    def stop(self) -> int | None:
        """SIGTERM; returns the exit status."""
        self._may_end = True
        self._child.stop(30)
        self._client.close()
        return self._child.status()

    def wait_until_ended(self) -> int | None:
        """Wait until it ends by itself; returns the exit status."""
        self._may_end = True
        wait_until(lambda: not self.running, f"{self._child.name} ends")
        return self._child.status()


class Programs:
    """Starts programs on one Kafka, one Redis and topics of a test's own; none of them outlives it."""

    def __init__(self, bootstrap: str, redis_url: str, prefix: str, directory: Path, **settings: str) -> None:
        """prefix: of the names of topics and groups. directory: for logs. settings: more, of all programs."""
        self.events_topic = f"{prefix}events"
        self.dead_letter_topic = f"{prefix}dlq"
        self.erasures_topic = f"{prefix}erasures"
        self.group = f"{prefix}group"
        self._directory = directory
        self._all: list[Program] = []
        self._environment = {
            **{name: value for name, value in os.environ.items() if not _is_setting(name)},
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "REDIS_URL": redis_url,
            "EVENTS_TOPIC": self.events_topic,
            "DEAD_LETTER_TOPIC": self.dead_letter_topic,
            "ERASURES_TOPIC": self.erasures_topic,
            "SHUTDOWN_GRACE_S": "0",
            **settings,
        }

    def __enter__(self) -> "Programs":
        return self

    def __exit__(self, *_: object) -> None:
        for program in self._all:
            program.kill()

    def settings(self) -> dict[str, str]:
        """The settings of all programs, by the names of their fields."""
        return {name.lower(): value for name, value in self._environment.items()}

    def worker(self, group: str | None = None, **settings: str) -> Program:
        """Start a worker, in the usual group or another. settings: of the rules."""
        return self.start("aggregator", AGGREGATOR_PORT="0", CONSUMER_GROUP=group or self.group, **settings)

    def audit(self, **settings: str) -> Program:
        """Start the process that audits, which draws many days each second. settings: others than that."""
        usual = {
            "AUDIT_PORT": "0",
            "AUDIT_INTERVAL_S": "1",
            "AUDIT_TENANT_DAYS": "40",
            "AUDIT_OLDEST_DAYS": "0",
        }
        return self.start("aggregator audit", **(usual | settings))

    def ingest(self, topic_arn: str, certificates: Path, **settings: str) -> Program:
        """Start ingest for one SNS topic with pinned certificates. settings: others than usual."""
        port = free_port()
        return self.start(
            "ingest",
            port,
            INGEST_PORT=str(port),
            SNS_TOPIC_ARNS=topic_arn,
            SNS_CERTIFICATE_DIR=str(certificates),
            **settings,
        )

    def archive(self, directory: Path, **settings: str) -> Program:
        """Start the process that archives into a directory, without a key. settings: others than usual."""
        usual = {"ARCHIVE_PORT": "0", "ARCHIVE_URL": directory.as_uri()}
        return self.start("aggregator archive --without-key", **(usual | settings))

    def api(self, **settings: str) -> Program:
        """Start the API. settings: others than usual."""
        self.api_port = free_port()
        return self.start("api", self.api_port, API_PORT=str(self.api_port), **settings)

    def new_key(self, tenant: str) -> str:
        """Make an API key with the API's own command."""
        made = self.api_command("keys", "create", "--", tenant)
        out, err = made.communicate(timeout=LIMIT_S)
        assert made.returncode == 0, err
        return out.strip()

    def api_command(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start one of the API's commands, in a process group of its own."""
        return self._command("api", *arguments, API_PORT=str(self.api_port))

    def command(self, *arguments: str, **settings: str) -> "subprocess.Popen[str]":
        """Start one of the aggregator's commands, in a process group of its own."""
        return self._command("aggregator", *arguments, **settings)

    def _command(self, program: str, *arguments: str, **settings: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", program, *arguments],
            env={**self._environment, **settings},
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, **settings: str) -> tuple[int, str]:
        """Run one of the aggregator's commands to its end. Returns: exit code and stdout."""
        started = self.command(*arguments, **settings)
        out, err = started.communicate(timeout=LIMIT_S)
        assert "Traceback" not in err, err
        sys.stderr.write(err)  # pytest shows it where the test fails
        return started.returncode, out

    def fails(self, *arguments: str, status: int = 1, **settings: str) -> str:
        """Run a command of the aggregator that ends with this exit code. Returns: stderr, in one line."""
        started = self.command(*arguments, **settings)
        _, err = started.communicate(timeout=LIMIT_S)
        assert started.returncode == status, err
        assert "Traceback" not in err, err
        return " ".join(err.split())

    def start(self, name: str, port: int = 0, /, **settings: str) -> Program:
        """Start any program.

        name: as `python -m` takes it, with a command where there is one.
        port: its HTTP port, 0 where it logs it.
        """
        log = self._directory / f"{len(self._all)}-{name.replace(' ', '-')}.log"
        program = Program(name, {**self._environment, **settings}, log, port)
        self._all.append(program)
        program.beside = self._all
        return program


def _is_setting(name: str) -> bool:
    return name.startswith(("KAFKA_", "OTEL_", "REDIS_")) or name in SETTINGS.split()
