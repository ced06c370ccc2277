"""An S3 server of the tests' own, moto's, behind a proxy that answers as a store in trouble does.

Law: the proxy invents no success. What it calls done was done; of what it refuses or cuts short, it may have
been done or not, as in life.
"""

import http.client
import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any, Self

import boto3
from moto.server import ThreadedMotoServer

BUCKET = "mail-archive"
LOGIN = {
    "AWS_ACCESS_KEY_ID": "made-up",
    "AWS_SECRET_ACCESS_KEY": "made-up",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""For the environment of whoever talks to it."""

_OF_ONE_LINK = ("connection", "expect", "transfer-encoding", "content-length")
_NOT_PASSED_ON = {"connection", "transfer-encoding", "keep-alive", "content-length", "server", "date"}


class Fault(StrEnum):
    """What may go wrong with one request."""

    REFUSED = "answered 503 and not done"
    FORGOTTEN = "done and answered 500"
    UNHEARD = "cut in the middle of the request"
    CUT = "cut in the middle of the answer"
    LIED = "answered 200, with an error for a body"


class FaultyStore:
    """Passes HTTP requests on to a server, but for those that `choose` has a fault for."""

    def __init__(self, port: int) -> None:
        """port: of the server."""
        self.choose: Callable[[str, str], Fault | None] = lambda _method, _path: None
        """Called with method and path of each request, by many threads; may do what it likes meanwhile."""
        self.away = False
        """True: every connection ends at once."""
        self.met: Counter[Fault] = Counter()
        """How often which fault was met."""
        self.asked: list[tuple[str, str]] = []
        """Method and path of all requests."""
        self._target = port
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def url(self, prefix: str) -> str:
        """As ARCHIVE_URL of an archive below a prefix of the bucket."""
        endpoint = f"endpoint_override=127.0.0.1:{self.port}&scheme=http&region=eu-west-1"
        return f"s3://{BUCKET}/{prefix}?{endpoint}"

    def past_it(self, prefix: str) -> str:
        """The same archive without the proxy and its faults, and with the login."""
        login = f"{LOGIN['AWS_ACCESS_KEY_ID']}:{LOGIN['AWS_SECRET_ACCESS_KEY']}"
        endpoint = f"endpoint_override=127.0.0.1:{self._target}&scheme=http&region=eu-west-1"
        return f"s3://{login}@{BUCKET}/{prefix}?{endpoint}"

    def by_chance(self, seed: int, share: float) -> None:
        """From now on this share of all requests meets a fault of any kind."""
        rng, lock = Random(seed), threading.Lock()

        def choose(_method: str, _path: str) -> Fault | None:
            with lock:
                return rng.choice(list(Fault)) if rng.random() < share else None

        self.choose = choose

    def once(self, fault: Fault, method: str, needle: str = "", *, times: int = 1) -> None:
        """The next requests of this method with `needle` in their path meet a fault; all else goes well."""
        left, lock = [times], threading.Lock()

        def choose(asked: str, path: str) -> Fault | None:
            with lock:
                if left[0] and asked == method and needle in path:
                    left[0] -= 1
                    return fault
            return None

        self.choose = choose

    def calm(self) -> None:
        """From now on all goes well."""
        self.away = False
        self.choose = lambda _method, _path: None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def handle_one_request(self) -> None:
                if store.away:
                    self.close_connection = True
                else:
                    super().handle_one_request()

            def _serve(self) -> None:
                fault = None if store.away else store.choose(self.command, self.path)
                store.asked.append((self.command, self.path))
                if store.away:
                    self.close_connection = True
                    return
                if fault is not None:
                    store.met[fault] += 1
                sent = self._body(cut=fault is Fault.UNHEARD)
                if fault is Fault.UNHEARD:
                    self._cut()
                    return
                if fault is Fault.REFUSED:
                    self._answer(503, _error("SlowDown"))
                    return
                status, headers, body = self._passed_on(sent)
                if fault is Fault.FORGOTTEN:
                    self._answer(500, _error("InternalError"))
                elif fault is Fault.LIED and self.command in ("POST", "PUT") and body.startswith(b"<?xml"):
                    self._answer(200, _error("InternalError"))
                elif fault is Fault.CUT:
                    if self.command != "HEAD":
                        self._head(status, headers, len(body))
                        self.wfile.write(body[: len(body) // 2])
                    self._cut()
                else:
                    told = int(headers.get("content-length", 0)) if self.command == "HEAD" else len(body)
                    self._head(status, headers, told)
                    self.wfile.write(body)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815  # http.server's names

            def _body(self, *, cut: bool) -> bytes:
                """The request's body, or about the half of it."""
                if self.headers.get("Transfer-Encoding") != "chunked":
                    length = int(self.headers.get("Content-Length") or 0)
                    return self.rfile.read(length // 2 if cut else length)
                chunks = []
                while size := int(self.rfile.readline(), 16):
                    chunks.append(self.rfile.read(size))
                    if cut:
                        return chunks[0]
                    self.rfile.readline()
                while self.rfile.readline().strip():
                    pass
                return b"".join(chunks)

            def _passed_on(self, sent: bytes) -> tuple[int, dict[str, str], bytes]:
                link = http.client.HTTPConnection("127.0.0.1", store._target, timeout=30)
                try:
                    link.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                    for name, value in self.headers.items():
                        if name.lower() not in _OF_ONE_LINK:
                            link.putheader(name, value)
                    link.putheader("Content-Length", str(len(sent)))
                    link.endheaders(sent)
                    answer = link.getresponse()
                    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
                finally:
                    link.close()

            def _answer(self, status: int, body: bytes) -> None:
                if self.command == "HEAD":
                    body = b""
                self._head(status, {"content-type": "application/xml"}, len(body))
                self.wfile.write(body)

            def _head(self, status: int, headers: dict[str, str], length: int) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    if name not in _NOT_PASSED_ON:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(length))
                self.end_headers()

            def _cut(self) -> None:
                self.close_connection = True
                with suppress(OSError):
                    self.wfile.flush()
                    self.connection.shutdown(socket.SHUT_RDWR)

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: Any) -> None:
        """A client that has gone is no news here."""


def _error(code: str) -> bytes:
    said = f"<Error><Code>{code}</Code><Message>made up</Message></Error>"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{said}'.encode()


def _forget_all(port: int) -> None:
    """Servers of one process share what they hold."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    link.request("POST", "/moto-api/reset")
    assert link.getresponse().status == 200
    link.close()


@contextmanager
def s3_server() -> Iterator[FaultyStore]:
    """A server with an empty bucket, as its proxy. Who talks to it has `LOGIN` in its environment."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        _forget_all(port)
        client: Any = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="eu-west-1",
            aws_access_key_id=LOGIN["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=LOGIN["AWS_SECRET_ACCESS_KEY"],
        )
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        client.close()
        with FaultyStore(port) as faulty:
            yield faulty
    finally:
        server.stop()
