"""The demo delivers as SNS does: again after trouble of the webhook's, never again after a refusal."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from deploy.demo.sns import RefusedError, Sns
from deploy.disorder import Message
from deploy.run import TOPIC_ARN
from deploy.signing import Signer

pytestmark = pytest.mark.programs


class Webhook(ThreadingHTTPServer):
    """Answers with the statuses it is given, then with 200; keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Door)
        self.statuses: list[int] = []
        self.bodies: list[dict[str, str]] = []


class Door(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Webhook)
        body = self.rfile.read(int(self.headers["content-length"]))
        assert self.headers["content-type"].startswith("text/plain")
        self.server.bodies.append(json.loads(body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def deliver(webhook: Webhook, certificates: Path, messages: list[Message]) -> None:
    async def run() -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            url = f"http://127.0.0.1:{webhook.server_address[1]}/"
            await Sns(url, TOPIC_ARN, Signer.create(certificates), client).deliver(messages)

    asyncio.run(run())


def test_every_message_is_delivered_under_its_sns_id(webhook: Webhook, tmp_path: Path) -> None:
    messages = [Message(str(number), f'{{"number":{number}}}\n') for number in range(20)]
    deliver(webhook, tmp_path, messages)
    assert {body["MessageId"]: body["Message"] for body in webhook.bodies} == {
        message.sns_message_id: message.body for message in messages
    }


def test_a_503_is_tried_again(webhook: Webhook, tmp_path: Path) -> None:
    webhook.statuses = [503]
    deliver(webhook, tmp_path, [Message("a", "{}\n")])
    assert [body["MessageId"] for body in webhook.bodies] == ["a", "a"]


def test_a_refusal_ends_the_demo(webhook: Webhook, tmp_path: Path) -> None:
    webhook.statuses = [403]
    with pytest.raises(ExceptionGroup) as error:
        deliver(webhook, tmp_path, [Message("a", "{}\n")])
    assert error.group_contains(RefusedError, match="did not take a message of the demo: 403")
    assert len(webhook.bodies) == 1
