"""A TCP proxy between workers and Redis: where a link breaks, and at which moment of which call.

Law: it never changes a byte. What it passes on, it passes on whole and in order; what it does not, it ends by
closing the connection, as a network does.

A connection is served by one thread that looks at both sides in turn. That is enough for a client that sends
a request and then waits for its answer, as the workers do.
"""

import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

CHUNK = 1 << 20
LOOK_S = 0.2


def _nothing() -> None:
    return None


@dataclass
class Moment:
    """A moment in a call that a test waits for, and what it does then."""

    needle: bytes
    before: Callable[[], None]
    after: Callable[[], None]
    cut: bool
    passed: threading.Event = field(default_factory=threading.Event)


class Proxy:
    """Listens on a free port of 127.0.0.1 and passes connections on to `target`."""

    def __init__(self, target: int) -> None:
        """Start to listen. target: the port of the server; may be changed, for new connections."""
        self.target = target
        self.open = True
        """False: new connections are closed at once, as if nothing listened."""
        self.longest_answer = 0
        """Bytes between two requests, at most."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._moments: list[Moment] = []
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._ended = False
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._listener.close()
        self.cut()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """Its address as a `redis://` URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    def cut(self) -> None:
        """Close every connection, in whatever it is doing."""
        with self._lock:
            for each in self._connections:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def at_call(
        self,
        needle: bytes,
        *,
        before: Callable[[], None] = _nothing,
        after: Callable[[], None] = _nothing,
        cut: bool = False,
    ) -> threading.Event:
        """Do something at the next call that holds some bytes, once.

        before: called when the call was sent and has not reached the server. after: called when the server
        has answered and the answer was not passed on. cut: the answer is lost, the connection ends.
        Returns: set when all of that is done.
        """
        moment = Moment(needle, before, after, cut)
        with self._lock:
            self._moments.append(moment)
        return moment.passed

    def _accept(self) -> None:
        while not self._ended:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed: the end
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            if not self.open:
                return
            with socket.create_connection(("127.0.0.1", self.target)) as server:
                pair = {client, server}
                with self._lock:
                    self._connections |= pair
                try:
                    self._pass_on(client, server)
                finally:
                    with self._lock:
                        self._connections -= pair

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        waiting: Moment | None = None
        answered = 0
        while not self._ended:
            ready, _, _ = select.select([client, server], [], [], LOOK_S)
            if client in ready:
                request = client.recv(CHUNK)
                if not request:
                    return
                waiting = self._moment_of(request) or waiting
                if waiting is not None:
                    waiting.before()
                    waiting.before = _nothing
                    if _is_gone(client):
                        waiting.passed.set()
                        return
                answered = 0
                server.sendall(request)
            if server in ready:
                answer = server.recv(CHUNK)
                if not answer:
                    return
                if waiting is not None:
                    waiting.after()
                    waiting.passed.set()
                    if waiting.cut:
                        return
                    waiting = None
                answered += len(answer)
                self.longest_answer = max(self.longest_answer, answered)
                client.sendall(answer)

    def _moment_of(self, request: bytes) -> Moment | None:
        with self._lock:
            for moment in self._moments:
                if moment.needle in request:
                    self._moments.remove(moment)
                    return moment
        return None


def _is_gone(client: socket.socket) -> bool:
    """Whether the other side has closed the connection."""
    ready, _, _ = select.select([client], [], [], 0)
    return bool(ready) and not client.recv(1, socket.MSG_PEEK)
