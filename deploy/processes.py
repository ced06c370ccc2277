"""Child processes of a stack: started out of Ctrl-C's reach, watched, stopped in bounded time.

Each child leads a session of its own, so a terminal's Ctrl-C reaches the supervisor alone, which then
stops the children in its order; `deploy.tether` ends them when the supervisor is killed. What a child
writes goes to a log file. A child that is slow is waited for; only a dead one is an error.
"""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

POLL_S = 0.1
STOP_S = 8.0
"""How long a child may take to end by SIGTERM before SIGKILL ends it and all that it started."""

LAST_LINES = 5

PORTS: Sequence[int] = range(20_000, 32_001)
"""Where free ports are looked for: below Linux's range for outgoing connections (32768 and up), so that a
server which is restarted finds its port free: no connection was given it in between."""

_given: set[int] = set()
"""Ports that this process was told of: one may be that of a server which still starts."""


def say(text: str, *, error: bool = False) -> None:
    """Print a line at once. A terminal or a pipe that is gone is no reason to cut a clean-up short."""
    with suppress(OSError):
        print(text, file=sys.stderr if error else sys.stdout, flush=True)


def put(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file that is there as a whole or not at all. mode: who may read it, if it is new."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    part.touch(mode)
    part.write_text(text)
    part.replace(path)


class StackError(Exception):
    """The stack can't start or go on; the text is for a person and says what to do."""


class Child:
    """One child process, which may be started again after it has ended."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        *,
        output: Path | None = None,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> None:
        """Take down what to run; nothing starts yet.

        name: how messages call it. command: the program and its arguments. log: the file to which what
        it writes is appended. output: the file that its stdout alone replaces; none: the log too.
        environment: all of its variables; none: ours. directory: where it runs; none: here.
        """
        self.name = name
        self.log = log
        self._command = [str(part) for part in command]
        self._output = output
        self._environment = environment
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._status: int | None = None

    @property
    def pid(self) -> int:
        """The id of the running process. Raises StackError where it was never started."""
        if self._process is None:
            raise StackError(f"{self.name} was not started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._process is not None and self.status() is None

    def start(self) -> None:
        """Start the process. It dies with the *thread* that calls this, so let that be the main one."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._status = None
        tether = Path(__file__).with_name("tether.py")
        with self.log.open("ab") as log, self._output.open("wb") if self._output else log as output:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(tether), str(os.getpid()), *self._command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                env=self._environment,
                cwd=self._directory,
                start_new_session=True,
            )

    def status(self) -> int | None:
        """The exit status (minus the signal's number for a killed one), none while it runs.

        What the process itself had started and left behind in its session ends with it.
        """
        if self._process is not None and self._status is None:
            self._status = self._process.poll()
            if self._status is not None:
                self._kill_group()
        return self._status

    def check(self) -> None:
        """Raise StackError, with the log's last lines, where the process has ended."""
        status = self.status()
        if status is not None:
            raise StackError(f"{self.name} ended {describe(status)}; {self.last_words()}")

    def last_words(self) -> str:
        """Where the log is and what its last lines say."""
        lines = self.log.read_text(errors="replace").splitlines()[-LAST_LINES:] if self.log.exists() else []
        said = "".join(f"\n  | {line}" for line in lines)
        return f"its log is {self.log}" + (f" and ends:{said}" if said else " and says nothing")

    def ask_to_stop(self) -> None:
        """Send SIGTERM, without waiting for its end. Harmless where it does not run."""
        if self._process is not None and self.status() is None:
            self._process.terminate()

    def stop(self, limit_s: float = STOP_S) -> None:
        """End it by SIGTERM; after `limit_s` seconds by SIGKILL. Harmless where it does not run."""
        if self._process is None or self.status() is not None:
            return
        self._process.terminate()
        until = time.monotonic() + limit_s
        while self.status() is None and time.monotonic() < until:
            time.sleep(POLL_S / 5)
        if self.status() is None:
            say(f"{self.name} did not end within {limit_s:.0f} s of SIGTERM: killed")
            self.kill()

    def kill(self) -> None:
        """End it, and what it started in its session, by SIGKILL. Harmless where it does not run."""
        if self._process is not None and self.running:
            self._kill_group()
            self._status = self._process.wait()

    def _kill_group(self) -> None:
        """Only while the process runs or right after its end: later, its number may be another's."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def describe(status: int) -> str:
    """An exit status in words: `with status 3`, `by SIGKILL`."""
    return f"with status {status}" if status >= 0 else f"by {signal.Signals(-status).name}"


class Waiting:
    """How to wait for a child: until it is ready or has ended, something interrupts, or a limit passes."""

    def __init__(self, *, interrupt: Callable[[], None] = lambda: None, limit_s: float | None = None) -> None:
        """Set the bounds: `interrupt` is called between tries and may raise; no `limit_s`: no limit."""
        self._interrupt = interrupt
        self._limit_s = limit_s

    def until(self, ready: Callable[[], bool], child: Child) -> None:
        """Return when `ready()` is true.

        Raises: StackError where the child ends first or the limit passes, and what `interrupt` does.
        """
        for _ in self._tries(child):
            if ready():
                return
            child.check()

    def end(self, child: Child) -> None:
        """Return when a child that ends by itself has ended well.

        Raises: StackError where its exit status is not 0 or the limit passes, and what `interrupt` does.
        """
        for _ in self._tries(child):
            if not child.running:
                break
        if child.status() != 0:
            child.check()

    def _tries(self, child: Child) -> Iterator[None]:
        """Yield as often as it makes sense to look again; say now and then what is waited for."""
        began = time.monotonic()
        said = 0
        while True:
            yield
            self._interrupt()
            waited = time.monotonic() - began
            if self._limit_s is not None and waited > self._limit_s:
                raise StackError(f"{child.name} is not ready after {waited:.0f} s; {child.last_words()}")
            if waited > 15 * (said + 1):
                said += 1
                say(f"still waiting for {child.name} ({waited:.0f} s); {child.last_words()}")
            time.sleep(POLL_S)


def free_port() -> int:
    """A TCP port of 127.0.0.1 on which nothing listens, one of `PORTS`.

    Raises: StackError where none is free.
    """
    for _ in range(100):
        port = random.choice(PORTS)  # noqa: S311  # no secret
        if port not in _given and port_is_free(port):
            _given.add(port)
            return port
    raise StackError(f"no free port between {PORTS[0]} and {PORTS[-1]} on 127.0.0.1")


def port_is_free(port: int) -> bool:
    """Whether a server could listen on the port on all addresses of this host."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
            probe.listen(1)
        except OSError:
            return False
        return True
