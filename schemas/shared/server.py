"""What the HTTP side of a program promises: how its server starts and ends, and what is on which port.

A server owns its port alone. Granian binds with SO_REUSEPORT, so that a second program on the same port
would start in silence and take half of the requests; hence the socket is bound and listening here, without
that option, before the program's start-up code runs. A client that is refused has therefore met a
program that had not yet read anything (`keys create` rests on this). A request whose headers trickle in is
cut off. There is one process; several share that one socket (`schemas.shared.processes`), and die with the
first of them, so that nothing outlives a kill.

A server leaves in good order: asked to stop, it says 503 on `/readyz` and asks its clients to connect anew,
but takes requests for the time of its grace, so that a balancer can notice. Then it listens no more, and
what is in flight ends well.
"""

import asyncio
import errno
import resource
import signal
import socket
from collections.abc import Callable
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self

import structlog
import uvloop
from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.shared.metrics_port import ForEverybody, ForOperators
from schemas.shared.problems import problem
from schemas.shared.processes.together import Others, Together

log = structlog.get_logger(__name__)

HEADER_TIMEOUT_MS: Final = 4_000
"""How long a client may take to send a request's line and headers."""

CONNECTIONS: Final = 4096
"""Connections at a time. Who has one and says nothing keeps it for `HEADER_TIMEOUT_MS`, so there are many."""

OTHER_FILES: Final = 128
"""Open files that are no connections of clients: logs, Kafka's and Redis's, those to SNS."""

BACKLOG: Final = CONNECTIONS
"""Connections that the kernel keeps ready beyond those (Linux takes 4096 at most by default)."""

BUFFER_BYTES: Final = 32_768
"""What the server reads ahead for one connection, so also the longest line and headers of a request."""

GRANIAN_LOGS: Final[dict[str, Any]] = {
    "handlers": {},
    "formatters": {},
    "loggers": {name: {"handlers": [], "propagate": True} for name in ("_granian", "granian.access")},
}
"""Granian's own lines go to the root logger, so to stderr in the shape of `schemas.shared.logs`."""


class PortTakenError(OSError):
    """Another program listens on the port: stop it, or choose another port."""


def listen(port: int, host: str = "0.0.0.0") -> socket.socket:  # noqa: S104 - a service is there to be reached
    """A listening socket that no other program can share.

    port: 0 takes any free one; host: the IPv4 address to listen on.
    Raises: PortTakenError where another program listens there; OSError for all else (no right to it).
    """
    try:
        return socket.create_server((host, port), backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(error.errno, f"port {port} is taken by another program") from error
        raise


class Ports:
    """The listening sockets of a program, from before it starts anything else."""

    def __init__(self, port: int, metrics_port: int | None = None, host: str = "0.0.0.0") -> None:  # noqa: S104 - as above
        """Listen.

        port, host: as `listen` takes them; metrics_port: where what is for operators is, and its metrics
        alone are (`schemas.shared.metrics_port`), none: all is on the one port.
        Raises: as `listen`.
        """
        self.public = listen(port, host)
        self.operators: socket.socket | None = None
        try:
            self.operators = None if metrics_port is None else listen(metrics_port, host)
        except OSError:
            self.public.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of those that no server has taken over."""
        self.public.close()
        if self.operators is not None:
            self.operators.close()


class Stop:
    """The wish that the program ends: a signal's, or its own for a fault that only a new start fixes."""

    def __init__(self) -> None:
        """Nobody wishes so yet."""
        self.fault: str | None = None
        self._asked = False
        self._heard: Callable[[], None] | None = None

    def ask(self) -> None:
        """Let the program end. From any thread, more than once."""
        self._asked = True
        if self._heard:
            self._heard()

    def fail(self, fault: str) -> None:
        """Let the program end at once and say why it had to. From any thread; the first fault counts."""
        self.fault = self.fault or fault
        self.ask()

    def listen(self, heard: Callable[[], None]) -> None:
        """Have `heard` called at each wish from now on, and at once where there was one before."""
        self._heard = heard
        if self._asked:
            heard()


class FaultError(Exception):
    """The program ended for a fault of its own (`Stop.fail`): a supervisor should start it anew."""


def serve(
    app: ASGIApp,
    ports: Ports,
    *,
    grace_s: float,
    stop: Stop | None = None,
    others: Others | None = None,
) -> None:
    """Serve an ASGI application until SIGTERM or SIGINT, then let its lifespan end and return.

    app: the application; ports: where, taken over; grace_s: seconds for which it still listens after the
    signal; stop: another way to end it, without that grace where it is a fault; others: the other processes
    that share the ports, for which operators are answered too.
    Raises: FaultError where `stop` got a fault; granian's FatalError where the lifespan fails to start.
    """
    stop = stop or Stop()
    uvloop.run(_serve(app, ports, grace_s, stop, others))
    if stop.fault is not None:
        raise FaultError(stop.fault)


def most_connections() -> int:
    """How many connections we may hold: raises the soft limit of open files where it is too low for all."""
    wanted = CONNECTIONS + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return CONNECTIONS if soft == resource.RLIM_INFINITY else max(1, min(CONNECTIONS, soft - OTHER_FILES))


class _Leaving:
    """An application that can begin to leave: not ready any more, and no connection is kept."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.begun or scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        answer = self._app
        if scope["path"] == "/readyz":
            answer = problem("UNAVAILABLE", HTTPStatus.SERVICE_UNAVAILABLE, "The program is about to stop.")
        await answer(scope, receive, send_and_close)


class _OwnSocketServer(Server):
    """Granian's embedded server on a socket that we bound (it binds one of its own, to be shared)."""

    def __init__(self, app: ASGIApp, listening: socket.socket, interface: Interfaces) -> None:
        host, port = listening.getsockname()
        super().__init__(
            app,
            address=host,
            port=port,
            interface=interface,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_MS, max_buffer_size=BUFFER_BYTES),
            websockets=False,
            backlog=BACKLOG,
            backpressure=most_connections(),
            log_level=LogLevels.error,
            log_dictconfig=GRANIAN_LOGS,
        )
        self._listening = listening

    def _init_shared_socket(self) -> None:
        # granian's stubs know neither the constructor (descriptor, Unix or not, backlog) nor the slot's type.
        holder = SocketHolder(self._listening.detach(), False, BACKLOG)  # type: ignore[call-arg]
        self._shd = holder  # type: ignore[assignment]


async def _serve(app: ASGIApp, ports: Ports, grace_s: float, stop: Stop, others: Others | None) -> None:
    loop = asyncio.get_running_loop()
    port = ports.public.getsockname()[1]
    leaving = _Leaving(app)
    answering: ASGIApp = leaving
    if others is not None:
        answering = together = Together(leaving, others)
        await others.links.open(together.answer)
    shown = answering if ports.operators is None else ForEverybody(answering)
    servers = [_OwnSocketServer(shown, ports.public, Interfaces.ASGI)]
    if ports.operators is not None:
        log.info("serving metrics", port=ports.operators.getsockname()[1])
        # Of the two, one alone runs the application's lifespan.
        servers.append(_OwnSocketServer(ForOperators(answering), ports.operators, Interfaces.ASGINL))

    def close() -> None:
        for server in servers:
            server.stop()  # type: ignore[no-untyped-call]

    def leave() -> None:
        if stop.fault is not None:
            close()
        elif not leaving.begun:
            log.info("stopping", port=port, grace_s=grace_s)
            loop.call_later(grace_s, close)
        leaving.begun = True

    def hear() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(leave)

    # Plain handlers stay to the end of the process: a second signal does not cut the clean-up short. uvloop
    # wakes for every signal and lets its handler run; asyncio's loop may sleep on where it was just about to.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _signal, _frame: stop.ask())
    log.info("serving http", port=port)
    stop.listen(hear)
    await asyncio.gather(*(server.serve() for server in servers))
    if others is not None:
        await others.links.close()
    log.info("stopped serving http", port=port)
