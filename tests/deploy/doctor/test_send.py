"""`--send`: an event is followed from SNS to the API, or to where it gets stuck."""

import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import parse_qsl

import httpx
import pytest

from deploy.doctor.check import Row, State
from deploy.doctor.send import TENANT, Sending
from schemas.topics import SNS_MESSAGE_ID
from tests.deploy.doctor.conftest import REAL_ARN, Plain
from tests.deploy.doctor.stand import Seen, check_names, look

pytestmark = pytest.mark.programs

PUBLISHED: Final = (
    "<PublishResponse xmlns='http://sns.amazonaws.com/doc/2010-03-31/'><PublishResult>"
    "<MessageId>{message_id}</MessageId></PublishResult></PublishResponse>"
)

STEPS: Final = ("a key", "published", "in the topic", "counted", "in the API")


@pytest.fixture
def sns(plain: Plain) -> Iterator[str]:
    """The base URL of a stand-in for SNS that delivers what is published, signed, to the stack's webhook."""

    class Sns(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = dict(parse_qsl(body))
            assert form["Action"] == "Publish"
            envelope = plain.signer.notification(form["TopicArn"], form["Message"])
            httpx.post(f"{plain.ingest.url}/webhooks/sns", json=envelope, trust_env=False)
            answer = PUBLISHED.format(message_id=envelope["MessageId"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *_: object) -> None:
            """Be silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Sns) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_event_is_followed_to_the_api(plain: Plain) -> None:
    """By the demo's way: signed here, posted to the webhook; nothing is left of the key that signed it."""
    for key in ("", plain.place.programs.new_key(TENANT)):
        rows = look(plain.environment, sending=Sending(key))
        check_names(rows)
        check_followed(plain, rows)
    assert [path.name for path in plain.certificates.iterdir()] == [plain.signer.certificate_name]


def check_followed(plain: Plain, rows: Sequence[Row]) -> None:
    """Each step is told with its time, and the record is where it says."""
    said = {row.check.removeprefix("send: "): row.finding.what for row in rows if "send: " in row.check}
    assert tuple(said) == STEPS
    assert all(said[step].endswith("ms after it was published") for step in STEPS[1:]), said
    message_id = said["published"].partition(" as ")[2].split()[0].rstrip(":").encode()
    [record] = [each for each in plain.place.events() if each.headers[SNS_MESSAGE_ID] == message_id]
    assert said["in the topic"].startswith(f"at {record.partition}:{record.offset}:")


def test_an_event_that_sns_publishes_is_followed_likewise(plain: Plain, sns: str) -> None:
    """boto3 as it is, and a stand-in for SNS, which signs and delivers."""
    pytest.importorskip("boto3")
    login = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_ENDPOINT_URL_SNS": sns}
    settings = plain.environment | login | {"SNS_TOPIC_ARNS": REAL_ARN}
    check_followed(plain, look(settings, sending=Sending()))


def test_where_an_event_gets_stuck_is_named(plain: Plain, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker stands still: it comes into the topic and no further."""

    def nothing_more_comes(row: Row) -> None:
        if row.check == "send: in the topic":
            monkeypatch.setattr("deploy.doctor.send.LIMIT_S", 0.5)

    with plain.frozen_worker() as environment:
        rows = look(environment, sending=Sending(), heard=nothing_more_comes)
    monkeypatch.undo()
    check_names(
        rows,
        Seen("send: counted", "not within", "/readyz of the workers"),
        Seen("send: in the API", "not within", "REDIS_URL of the workers"),
    )
    with_another_key = look(plain.environment, ["ingest"], sending=Sending())
    assert [row.finding.state for row in with_another_key if "send: " in row.check] == [
        *(State.SKIPPED, State.OK, State.OK),
        *(State.SKIPPED, State.SKIPPED),
    ]
