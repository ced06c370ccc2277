"""An event along what the CloudFormation template makes: counted straight, and by way of the queue.

moto holds the wiring, and neither SES nor SNS sends anything in it: a stand-in reads there where each of them
would send, signs as SNS does, and gives up as the subscription says. The programs are the true ones.
"""

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from deploy.redrive import main
from deploy.signing import Signer
from deploy.traffic import HOUR, iso
from tests.deploy.made_stack import ACCOUNT, REGION, Stack, client, made
from tests.pipeline.place import Place
from tests.pipeline.programs import wait_until
from tests.pipeline.webhook import HEADERS

WEBHOOK = "https://events.example.com/webhooks/sns"
TENANT = "harbor"


class StandIn:
    """SES and SNS. reached: the base URL at which the host of the subscription's endpoint answers."""

    def __init__(self, stack: Stack, signer: Signer, reached: str) -> None:
        self._stack = stack
        self._signer = signer
        self._reached = reached

    def tell(self, name: str, event: dict[str, Any]) -> int:
        """SES tells of an event, and SNS delivers it once, or puts it where its redrive policy says.

        name: of the event's type, as destinations have it. Returns: the status of the answer, 0 for none.
        """
        destination, subscription = self._stack.destination(), self._stack.subscription()
        assert destination["Enabled"]
        assert name in destination["MatchingEventTypes"]
        (statement,) = self._stack.topic_policy()
        assert destination["SNSDestination"]["TopicARN"] == statement["Resource"] == subscription["TopicArn"]
        body = json.dumps(self._signer.notification(subscription["TopicArn"], json.dumps(event), version="2"))
        path = urlsplit(subscription["Endpoint"]).path
        try:
            status = httpx.post(
                self._reached + path, content=body, headers=HEADERS, trust_env=False, timeout=60
            ).status_code
        except httpx.TransportError:
            status = 0
        if not 200 <= status < 500:
            arn = json.loads(subscription["RedrivePolicy"])["deadLetterTargetArn"]
            sqs = client("sqs")
            url = sqs.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
            sqs.send_message(QueueUrl=url, MessageBody=body)
        return status


def send(number: int, sent_ms: int) -> dict[str, Any]:
    mail = {
        "messageId": f"m-{number}",
        "timestamp": iso(sent_ms),
        "destination": ["a@mailbox.example"],
        "tags": {"tenant": [TENANT], "ses:configuration-set": ["ses-metrics"]},
    }
    return {"eventType": "Send", "mail": mail, "send": {}}


def test_an_event_is_counted_straight_and_by_way_of_the_queue(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certificates = tmp_path / "certificates"
    certificates.mkdir()
    topic_arn = f"arn:aws:sns:{REGION}:{ACCOUNT}:ses-metrics"
    worker, api = place.programs.worker(), place.programs.api()
    worker.wait_until_ready()
    place.make_keys([TENANT])
    ingest = place.programs.ingest(topic_arn, certificates)
    ingest.wait_until_ready()
    sent_ms = time.time_ns() // 1_000_000 - HOUR

    def counted() -> int:
        status, body = place.ask(api, (TENANT, "tenant", ""), period="hour")
        return int(body["totals"]["sent"]) if status == 200 else 0

    with made(WEBHOOK) as stack:
        assert stack.outputs["TopicArn"] == topic_arn
        stand_in = StandIn(stack, Signer.create(certificates), ingest.url)
        assert stand_in.tell("send", send(1, sent_ms)) == 200
        wait_until(lambda: counted() == 1, "the event is in the API")

        assert ingest.stop() == 0
        for number in (2, 3, 4):
            assert stand_in.tell("send", send(number, sent_ms)) == 0
        queue = stack.outputs["DeadLetterQueueUrl"]
        arguments = ["--json", "--queue", queue, "--webhook"]
        again = place.programs.ingest(topic_arn, certificates)
        again.wait_until_ready()
        assert main([*arguments, f"{again.url}/webhooks/sns"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert (said["taken"], said["in_queue"]) == ({"stored": 3}, 0)
        wait_until(lambda: counted() == 4, "what lay in the queue is in the API")
