"""A small HTTP server on loopback that answers what a test wrote down, in its order."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COUNTS = {"sent": 10, "delivered": 9, "opened": 4, "clicked": 2, "bounced": 1, "complained": 0}


def metrics(**changes: Any) -> dict[str, Any]:
    """The body of an answer."""
    point = {"timestamp": "2025-03-03T00:00:00.000Z", **COUNTS}
    return {
        "period": "day",
        "from": "2025-03-03T00:00:00.000Z",
        "to": "2025-03-03T23:59:59.999Z",
        "complete_through": "2025-03-03T10:00:00.000Z",
        "totals": COUNTS,
        "timeseries": [point],
    } | changes


def problem(code: str, status: int, **more: Any) -> dict[str, Any]:
    """The body of an error."""
    return {"type": "about:blank", "title": "", "status": status, "code": code, "detail": "So.", **more}


@dataclass(frozen=True)
class Reply:
    """One answer. body: JSON, or bytes as they are; hangs: whether nothing comes until the test is over."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False


@dataclass
class Scripted:
    """The server, and what it was asked."""

    url: str
    asked: list[tuple[str, Message]]
    """Path and headers of each request."""
    times: list[float]
    """When each came (s)."""


@contextmanager
def scripted(*replies: Reply) -> Iterator[Scripted]:
    """Serve these replies, one a request; a request too many gets 418."""
    left = iter(replies)
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            told.times.append(time.monotonic())
            told.asked.append((self.path, self.headers))
            reply = next(left, Reply(418))
            if reply.hangs:
                self.close_connection = True
                over.wait(60)
                return
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            body = b"" if reply.status == 304 else body
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Nothing: the test looks at what was asked."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told = Scripted(f"http://127.0.0.1:{server.server_address[1]}", [], [])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield told
        finally:
            over.set()
            server.shutdown()
            thread.join()
