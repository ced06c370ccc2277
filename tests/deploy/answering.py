"""A webhook that answers as a test says, and keeps what it was sent."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Answering(ThreadingHTTPServer):
    """answers: by body, the statuses to answer with, one after the other; otherwise: to all else."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, list[int]] = {}
        self.otherwise = 200
        self.bodies: list[str] = []
        self._serving = threading.Thread(target=self.serve_forever, args=(0.01,))
        self._serving.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/webhooks/sns"

    def close(self) -> None:
        """Stop listening."""
        self.shutdown()
        self._serving.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        assert isinstance(self.server, Answering)
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self.server.bodies.append(body)
        left = self.server.answers.get(body)
        status = left.pop(0) if left else self.server.otherwise
        said = json.dumps({"outcome": "stored"} if status == 200 else {"code": "NO"}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering() -> Iterator[Answering]:
    """One that answers 200 until it is told otherwise."""
    server = Answering()
    try:
        yield server
    finally:
        server.close()
