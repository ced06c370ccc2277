"""What the HTTP side of every program promises: how an error looks, and how a server starts and ends.

Errors are problem details (RFC 9457) with a `code` that programs can compare; they are never cached.

A server owns its port alone. Granian binds with SO_REUSEPORT, so that a second program on the same port
would start in silence and take half of the requests; hence the socket is bound and listening here, without
that option, before the program's start-up code runs. A client that is refused has therefore met a
program that had not yet read anything (`keys create` rests on this). There is one process and no child,
so that nothing outlives a kill, and a request whose headers trickle in is cut off.
"""

import asyncio
import errno
import signal
import socket
from collections.abc import Mapping
from http import HTTPStatus
from types import FrameType
from typing import Any, Final

import structlog
from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

log = structlog.get_logger(__name__)

PROBLEM_JSON: Final = "application/problem+json"

HEADER_TIMEOUT_MS: Final = 4_000
"""How long a client may take to send a request's line and headers."""

BACKLOG: Final = 1024

GRANIAN_LOGS: Final[dict[str, Any]] = {
    "handlers": {},
    "formatters": {},
    "loggers": {name: {"handlers": [], "propagate": True} for name in ("_granian", "granian.access")},
}
"""Granian's own lines go to the root logger, so to stderr in the shape of `schemas.logs`."""


class Problem(BaseModel):
    """The body of every error (RFC 9457)."""

    type: str = Field(default="about:blank", description="The code says all; there is no page to read.")
    title: str = Field(description="The words of the HTTP status.")
    status: int = Field(description="The HTTP status.")
    code: str = Field(description="What went wrong, as a word that does not change.")
    detail: str = Field(description="What went wrong here, and what to do about it.")
    parameter: str | None = Field(default=None, description="The parameter to blame, where it is one.")
    request_id: str | None = Field(default=None, description="Name it when you ask about this answer.")


class ProblemResponse(JSONResponse):
    """A JSON response of the media type that marks a problem."""

    media_type = PROBLEM_JSON


class PortTakenError(OSError):
    """Another program listens on the port: stop it, or choose another port."""


def problem(
    code: str,
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    *,
    parameter: str | None = None,
    request_id: str | None = None,
) -> ProblemResponse:
    """The response that tells a client of an error.

    code: the stable word for it; status: the HTTP status; detail: a sentence for a person;
    headers: further response headers (`Retry-After`, `WWW-Authenticate`); parameter, request_id: as in
    `Problem`, absent where not given.
    """
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        code=code,
        detail=detail,
        parameter=parameter,
        request_id=request_id,
    )
    return ProblemResponse(
        body.model_dump(exclude_none=True),
        status_code=status,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


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


def serve(app: Any, *, port: int, host: str = "0.0.0.0") -> None:  # noqa: S104 - as above
    """Serve an ASGI application until SIGTERM or SIGINT, then let its lifespan end and return.

    app: the application; port, host: as `listen` takes them.
    Raises: PortTakenError, OSError as `listen`; granian's FatalError where the lifespan fails to start.
    """
    with listen(port, host) as listening:
        asyncio.run(_serve(app, listening))


class _OwnSocketServer(Server):
    """Granian's embedded server on a socket that we bound (it binds one of its own, to be shared)."""

    def __init__(self, app: Any, listening: socket.socket) -> None:
        host, port = listening.getsockname()
        super().__init__(
            app,
            address=host,
            port=port,
            interface=Interfaces.ASGI,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_MS),
            websockets=False,
            backlog=BACKLOG,
            log_level=LogLevels.error,
            log_dictconfig=GRANIAN_LOGS,
        )
        self._listening = listening

    def _init_shared_socket(self) -> None:
        # granian's stubs know neither the constructor (descriptor, Unix or not, backlog) nor the slot's type.
        holder = SocketHolder(self._listening.detach(), False, BACKLOG)  # type: ignore[call-arg]
        self._shd = holder  # type: ignore[assignment]


async def _serve(app: Any, listening: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    port = listening.getsockname()[1]
    server = _OwnSocketServer(app, listening)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(server.stop)

    # Plain handlers stay to the end of the process: a second signal does not cut the clean-up short.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    log.info("serving http", port=port)
    await server.serve()
    log.info("stopped serving http", port=port)
