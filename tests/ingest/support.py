"""What the tests of ingest share: an app with a recording publisher, and a server that stands in for SNS.

The recorder stands in for Kafka only where Kafka is beside the point; `test_kafka` and `test_server` use the
real one.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from fastapi import FastAPI

from ingest.config import IngestSettings
from ingest.errors import TryAgain
from ingest.http.app import create_app
from ingest.log.publish import Publisher
from ingest.log.record import EventRecord

TOPIC = "arn:aws:sns:eu-west-1:210987654321:mail-events"
SNS_HOST = "sns.eu-west-1.amazonaws.com"
SAMPLES = Path(__file__).parents[3] / "shared" / "ses-samples"


def event(message_id: str = "0102018f3c0de000-example-000000") -> str:
    """An event as SES publishes it, with its trailing line break."""
    sent = {
        "messageId": message_id,
        "timestamp": "2026-03-01T09:30:00.125Z",
        "destination": ["a@example.org"],
    }
    return json.dumps({"eventType": "Send", "mail": sent, "send": {}}) + "\n"


async def comes(holds: Callable[[], bool]) -> None:
    """Let others run until it holds."""
    for _ in range(1_000_000):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not come")


class Recorder(Publisher):
    """Keeps what it is given, or fails as set."""

    def __init__(self, failure: TryAgain | None = None) -> None:
        self.records: list[EventRecord] = []
        self.failure = failure

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing to close."""

    async def publish(self, record: EventRecord) -> None:
        if self.failure:
            raise self.failure
        self.records.append(record)

    async def check(self) -> None:
        if self.failure:
            raise self.failure


@dataclass
class Answer:
    """What the stand-in says: a status, headers and a body."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class SnsStandIn:
    """An HTTP server on loopback, and the transport that leads every call to it.

    asked: the URL of each call, as the caller meant it. answers: by path, 404 for all others. hold: calls
    wait while it is cleared.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, Answer] = {}
        self.hold = threading.Event()
        self.hold.set()
        self._calls = threading.Semaphore(0)
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stand_in.asked.append(f"https://{self.headers['Host']}{self.path}")
                stand_in._calls.release()
                stand_in.hold.wait(30)
                answer = stand_in.answers.get(self.path.partition("?")[0], Answer(404))
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_: Any) -> None:
                """Stay quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hold.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait_for_calls(self, number: int) -> None:
        """Block until that many more calls have arrived."""
        for _ in range(number):
            assert self._calls.acquire(timeout=60), "the call did not come"

    def transport(self) -> httpx.AsyncBaseTransport:
        """A transport that calls this server, whatever the URL's host."""
        return _Led(self._server.server_port)


class _Led(httpx.AsyncHTTPTransport):
    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=self._port)
        return await super().handle_async_request(request)


@dataclass
class Ingest:
    """The app under test: the real one but for where records go and where calls to SNS are led."""

    settings: IngestSettings
    recorder: Recorder
    transport: httpx.AsyncBaseTransport

    def app(self) -> FastAPI:
        """A new app."""
        return create_app(self.settings, publisher=self.recorder, http_transport=self.transport)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[httpx.AsyncClient]:
        """A new app that runs, as a client sees it."""
        app = self.app()
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://ingest.test") as client,
        ):
            yield client

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The answer to one request, by a new app."""

        async def ask() -> httpx.Response:
            async with self.running() as client:
                return await client.request(method, path, **more)

        return asyncio.run(ask())

    def deliver(self, envelope: Mapping[str, Any] | bytes, **headers: str) -> httpx.Response:
        """The answer to one delivery, posted as SNS posts it, by a new app."""
        body = envelope if isinstance(envelope, bytes) else json.dumps(envelope).encode()
        all_headers = {"Content-Type": "text/plain; charset=UTF-8", **headers}
        return self.request("POST", "/webhooks/sns", content=body, headers=all_headers)


def ingest(
    pinned: Path | None,
    *,
    topics: str = TOPIC,
    failure: TryAgain | None = None,
    stand_in: SnsStandIn | None = None,
) -> Ingest:
    """An app that takes messages of `topics`. Without a stand-in, a call to SNS fails the test."""
    transport = stand_in.transport() if stand_in else httpx.MockTransport(_no_call)
    settings = IngestSettings(sns_topic_arns=topics, sns_certificate_dir=pinned)
    return Ingest(settings, Recorder(failure), transport)


def _no_call(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"a call went out: {request.url}")
