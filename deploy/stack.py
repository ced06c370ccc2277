"""`make stack`: Kafka, Valkey and the three programs on this machine, until a signal ends them.

The promise to people and to checks outside the project:
- Always its own Kafka and Valkey, on free ports, with their data under `.local/`; one stack a checkout.
- `.local/stack.json` is there (by rename) once all parts answer, and gone again at the end.
- SIGINT or SIGTERM, once or often, ends all of it in an orderly way within 30 s; no process is left.
- A child is never restarted, nor killed for being slow. A dead child ends the stack with an error.
- Settings of the environment reach the programs; what it lacks stays at the program's default.

Signals only raise a flag that each wait looks at, so nothing is interrupted half way.
"""

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import httpx

from deploy.doctor.site import as_env_file
from deploy.kafka import Kafka
from deploy.kafka_jars import KAFKA
from deploy.processes import Child, StackError, Waiting, free_port, port_is_free, put, say
from deploy.valkey import Valkey

CHECKOUT = Path(__file__).parents[1]
LOCAL = CHECKOUT / ".local"

NOT_PASSED_ON = ("KAFKA_", "REDIS_", "METRICS_PORT", "HEALTH_METRICS")
"""What the shell says of another Kafka or Redis (a login, a cluster) is not about these. One port is not for
several programs, and without it the API tells nothing of tenants."""

PORTS = {"ingest": ("INGEST_PORT", 8081), "aggregator": ("AGGREGATOR_PORT", 8082), "api": ("API_PORT", 8080)}
"""The variable and the default of each program's port, in the order in which they start and stop."""

STOP_LIMITS_S = {
    ("demo",): 2.0,
    ("ingest", "api"): 10.0,
    ("aggregator",): 6.0,
    ("valkey",): 4.0,
    ("kafka",): 6.0,
}
"""In this order, those of a line at the same time; together below the 30 s in which the stack is gone.

ingest and the API take their `SHUTDOWN_GRACE_S` to leave. One above 5 s finds no room here: what is not gone
in time is killed.
"""

STAYING = frozenset(name for names in STOP_LIMITS_S for name in names)
"""The parts that do not end by themselves."""


class StopRequested(Exception):  # noqa: N818  # a wish, not an error
    """A signal asked the stack to end."""


class StopFlag:
    """Raised by SIGINT, SIGTERM and SIGHUP; a second signal changes nothing."""

    def __init__(self) -> None:
        """Begin lowered; signals still do what they did."""
        self.raised = False

    def heed_signals(self) -> None:
        """From now on the signals raise this flag and do nothing else."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._raise)

    def _raise(self, *_: object) -> None:
        self.raised = True


@dataclass(frozen=True)
class Addresses:
    """What `.local/stack.json` says: `host:port`, a `redis://` URL, and base URLs `http://host:port`."""

    kafka: str
    redis: str
    ingest: str
    api: str


class Stack:
    """The running parts. Made by `supervised`, which also ends them."""

    def __init__(self, local: Path, data: Path, settings: Mapping[str, str], flag: StopFlag) -> None:
        """Take down where it lives (`local`), where it stores (`data`), the environment, and what says stop.

        Raises: StackError where a port that the settings name can't be used.
        """
        self.local = local
        self._flag = flag
        self._waiting = Waiting(interrupt=self.check)
        self._ports = {
            name: chosen_port(variable, default, settings) for name, (variable, default) in PORTS.items()
        }
        refuse_taken_ports(self._ports)
        self._kafka = Kafka(
            data / "kafka", port=free_port(), controller_port=free_port(), log=self._new_log("kafka")
        )
        self._valkey = Valkey(data / "valkey", port=free_port(), log=self._new_log("valkey"))
        self._children: dict[str, Child] = {}
        self.addresses = Addresses(
            kafka=self._kafka.bootstrap,
            redis=self._valkey.url,
            ingest=f"http://127.0.0.1:{self._ports['ingest']}",
            api=f"http://127.0.0.1:{self._ports['api']}",
        )
        self.environment = {
            **{key: value for key, value in settings.items() if not key.startswith(NOT_PASSED_ON)},
            **{variable: str(self._ports[name]) for name, (variable, _) in PORTS.items()},
            "KAFKA_BOOTSTRAP_SERVERS": self.addresses.kafka,
            "REDIS_URL": self.addresses.redis,
        }

    def start(self) -> None:
        """Start everything, wait until every part answers, then write `stack.json`.

        Raises: StackError where a part ends or refuses, StopRequested.
        """
        say("starting Kafka and Valkey")
        self._children["kafka"] = self._kafka.child
        self._kafka.start(self._waiting)
        self._children["valkey"] = self._valkey.child
        self._valkey.start(self._waiting)
        self.finish(self.run("topics", "deploy.topics"))
        say(f"starting {', '.join(PORTS)}")
        for name in PORTS:
            self.run(name, name)
        with httpx.Client(trust_env=False, timeout=2) as client:
            for name in PORTS:
                self._wait_until_ready(name, client)
        self.check()
        put(self.local / "stack.env", as_env_file(self.environment), 0o600)
        put(self.local / "stack.json", json.dumps(asdict(self.addresses)) + "\n")

    def run(self, name: str, module: str, *arguments: str, output: Path | None = None) -> Child:
        """Start a Python module of the checkout as one more part, in the programs' environment.

        name: how messages and its log call it. output: where its stdout alone goes; none: the log too.
        """
        child = Child(
            name,
            [sys.executable, "-m", module, *arguments],
            self._new_log(name),
            output=output,
            environment=self.environment,
            directory=CHECKOUT,
        )
        self._children[name] = child
        child.start()
        return child

    def finish(self, child: Child) -> None:
        """Wait for the end of a child that ends by itself. Raises StackError unless its status is 0."""
        self._waiting.end(child)

    def check(self) -> None:
        """Raise StackError where a part has ended, StopRequested where a signal came."""
        for name, child in self._children.items():
            if name in STAYING:
                child.check()
        if self._flag.raised:
            raise StopRequested

    def stop(self) -> None:
        """Take `stack.json` away and end every part, each in bounded time, those that write first."""
        (self.local / "stack.json").unlink(missing_ok=True)
        for names, limit_s in STOP_LIMITS_S.items():
            until = time.monotonic() + limit_s
            leaving = [self._children[name] for name in names if name in self._children]
            for child in leaving:
                child.ask_to_stop()
            for child in leaving:
                child.stop(max(0.0, until - time.monotonic()))
        for child in self._children.values():
            child.kill()

    def _wait_until_ready(self, name: str, client: httpx.Client) -> None:
        url = f"http://127.0.0.1:{self._ports[name]}/readyz"
        self._waiting.until(lambda: _is_ready(client, url), self._children[name])

    def _new_log(self, name: str) -> Path:
        """An empty log for this run; the one of the run before stays beside it."""
        log = self.local / "logs" / f"{name}.log"
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        return log


def chosen_port(variable: str, default: int, settings: Mapping[str, str]) -> int:
    """The port that `variable` names in `settings`: 0 is any free one, nothing the default.

    Raises: StackError where it is no port.
    """
    text = settings.get(variable) or str(default)
    if not (text.isascii() and text.isdigit() and int(text) < 65_536):
        raise StackError(f"{variable} is {text!r}: a port is a number up to 65535, or 0 for any free one")
    return int(text) or free_port()


def refuse_taken_ports(ports: Mapping[str, int]) -> None:
    """Raise StackError, naming the variable, where a program's port is taken or two have the same."""
    owner: dict[int, str] = {}
    for name, port in ports.items():
        variable, _ = PORTS[name]
        if port in owner:
            raise StackError(f"{variable} and {owner[port]} are both {port}: give each program its own port")
        owner[port] = variable
        if not port_is_free(port):
            raise StackError(
                f"port {port} for {name} is taken: stop what listens there, or set {variable} to another"
            )


def _is_ready(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).status_code == 200
    except httpx.TransportError:  # it does not listen yet
        return False


@contextmanager
def sole_stack(local: Path) -> Iterator[None]:
    """Hold the lock of the checkout's one stack. Raises StackError where another process holds it."""
    local.mkdir(parents=True, exist_ok=True)
    with (local / "stack.lock").open("a+") as lock:
        _lock(lock)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _lock(lock: IO[str]) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.seek(0)
        raise StackError(
            f"a stack of this checkout already runs (process {lock.read()}): stop it before you start another"
        ) from error


def supervise(
    serve: Callable[[Stack], None],
    settings: Mapping[str, str],
    local: Path = LOCAL,
    data: Path | None = None,
) -> int:
    """Start a stack, call `serve` with it, and end the stack, however `serve` ends.

    settings: the programs' environment. local: where logs and `stack.json` are. data: where Kafka and Valkey
    store; none: there too.
    Returns: the exit status: 0 after a stop that was asked for, 1 after an error that was printed.
    """
    flag = StopFlag()
    try:
        with sole_stack(local):
            (local / "stack.json").unlink(missing_ok=True)  # left by a stack that was killed
            stack = Stack(local, data or local, settings, flag)
            KAFKA.fetch()
            flag.heed_signals()
            try:
                stack.start()
                serve(stack)
            except StopRequested:
                say("stopping")
            finally:
                stack.stop()
    except StackError as error:
        say(f"error: {error}", error=True)
        return 1
    except KeyboardInterrupt:  # while the jars came: nothing ran yet
        return 130
    say("stopped; the data stays in .local")
    return 0


def serve_until_stopped(stack: Stack) -> None:
    """Say where everything is, then watch the parts until one ends or a signal comes."""
    addresses = "\n".join(f"  {key:<7} {value}" for key, value in asdict(stack.addresses).items())
    settings = f"set -a; . {stack.local / 'stack.env'}; set +a"
    say(f"the stack is up\n{addresses}\n\nCommands (.venv/bin/python -m api keys) take it by\n  {settings}")
    while True:
        stack.check()
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(supervise(serve_until_stopped, os.environ))
