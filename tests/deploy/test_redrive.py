"""What lay in the dead-letter queue comes to the webhook again, and nothing is lost, whatever answers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from deploy.redrive import AT_ONCE, TRIES, Queue, Report, Webhook, main, redrive
from deploy.signing import Signer
from tests.deploy.answering import Answering, answering

pytestmark = pytest.mark.programs
TOPIC_ARN = "arn:aws:sns:eu-west-1:123456789012:ses-metrics-events"


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty queue."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "made-up")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setattr("deploy.redrive.WAIT_S", 0)  # moto keeps all in one place, and would wait in earnest
    with mock_aws():
        sqs: Any = boto3.client("sqs", region_name="eu-west-1")
        yield sqs.create_queue(QueueName="ses-metrics-undelivered")["QueueUrl"]


@pytest.fixture
def webhook() -> Iterator[Answering]:
    with answering() as server:
        yield server


def fill(url: str, signer: Signer, number: int) -> list[str]:
    """Put signed envelopes into the queue. Returns: their bodies."""
    sqs: Any = boto3.client("sqs", region_name="eu-west-1")
    bodies = [json.dumps(signer.notification(TOPIC_ARN, f"event {at}")) for at in range(number)]
    for body in bodies:
        sqs.send_message(QueueUrl=url, MessageBody=body)
    return bodies


def run(url: str, webhook: Answering, most: int | None = None) -> Report:
    report, waits = Report(), list[float]()
    with Webhook(webhook.url, wait=waits.append) as posting:
        redrive(Queue(url), posting, most, report)
    return report


def in_queue(url: str) -> list[str]:
    """The bodies of what anybody may receive, which is all that is in it."""
    queue, found = Queue(url), list[str]()
    while batch := queue.receive(AT_ONCE):
        found += [each.body for each in batch]
    assert queue.size() == len(found)
    return sorted(found)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    directory: Path = tmp_path_factory.mktemp("certificates")
    return Signer.create(directory)


def test_all_is_posted_as_it_is_and_deleted(url: str, webhook: Answering, signer: Signer) -> None:
    bodies = fill(url, signer, 2 * AT_ONCE + 3)
    report = run(url, webhook)
    assert sorted(webhook.bodies) == sorted(bodies)
    assert (dict(report.taken), report.left, report.trouble) == ({"stored": len(bodies)}, {}, None)
    assert in_queue(url) == []


def test_what_is_refused_stays_and_is_named(url: str, webhook: Answering, signer: Signer) -> None:
    """And all others go on their way."""
    bodies = fill(url, signer, 5)
    webhook.answers = {bodies[1]: [403], bodies[3]: [400]}
    report = run(url, webhook)
    assert (report.taken["stored"], dict(report.left)) == (3, {"403 NO": 1, "400 NO": 1})
    assert report.named["403 NO"] == [json.loads(bodies[1])["MessageId"]]
    assert in_queue(url) == sorted([bodies[1], bodies[3]])


def test_trouble_is_tried_again(url: str, webhook: Answering, signer: Signer) -> None:
    (body,) = fill(url, signer, 1)
    webhook.answers = {body: [503] * (TRIES - 1)}
    assert run(url, webhook).taken["stored"] == 1
    assert webhook.bodies == [body] * TRIES
    assert in_queue(url) == []


def test_a_webhook_that_takes_nothing_ends_it_and_nothing_is_lost(
    url: str, webhook: Answering, signer: Signer
) -> None:
    """The rest is not even tried; once it takes messages again, all of them come."""
    bodies = fill(url, signer, 3 * AT_ONCE)
    webhook.otherwise = 503
    report = run(url, webhook)
    assert report.trouble == "the webhook takes nothing: 503 NO"
    assert len(set(webhook.bodies)) == AT_ONCE
    webhook.otherwise = 200
    assert run(url, webhook).taken["stored"] == len(bodies)
    assert in_queue(url) == []


def test_one_that_is_never_answered_holds_up_nobody(url: str, webhook: Answering, signer: Signer) -> None:
    bodies = fill(url, signer, 2 * AT_ONCE)
    webhook.answers = {bodies[0]: [500] * TRIES}
    report = run(url, webhook)
    assert (report.taken["stored"], dict(report.left)) == (len(bodies) - 1, {"500 NO": 1})
    assert in_queue(url) == [bodies[0]]


def test_nobody_listening_loses_nothing(url: str, webhook: Answering, signer: Signer) -> None:
    bodies = fill(url, signer, 2)
    webhook.close()
    report = run(url, webhook)
    assert report.trouble is not None
    assert "ConnectError" in report.trouble
    assert in_queue(url) == sorted(bodies)


def test_cut_short_anywhere_nothing_is_lost(
    url: str, webhook: Answering, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the answer and the deletion too: then it comes twice."""
    bodies = fill(url, signer, 3)

    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Queue, "delete", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(url, webhook)
    assert run(url, webhook).taken["stored"] == len(bodies)
    assert sorted(webhook.bodies) == sorted(bodies * 2)
    assert in_queue(url) == []


def test_so_many_at_most(url: str, webhook: Answering, signer: Signer) -> None:
    bodies = fill(url, signer, AT_ONCE + 5)
    assert run(url, webhook, most=AT_ONCE + 2).posted == AT_ONCE + 2
    assert len(in_queue(url)) == len(bodies) - AT_ONCE - 2


def test_the_program_reports(
    url: str, webhook: Answering, signer: Signer, capsys: pytest.CaptureFixture[str]
) -> None:
    bodies = fill(url, signer, 3)
    webhook.answers = {bodies[0]: [403, 403]}
    arguments = ["--queue", url, "--webhook", webhook.url]
    assert main([*arguments, "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["taken"], said["left"], said["in_queue"]) == ({"stored": 2}, {"403 NO": 1}, 1)
    assert main(arguments) == 1
    out = capsys.readouterr().out
    assert f"still in the queue: 1 (403 NO), as SNS's {json.loads(bodies[0])['MessageId']}\n" in out
    webhook.answers = {}
    assert main(arguments) == 0
    assert capsys.readouterr().out == "taken and deleted: 1 (1 stored)\nin the queue now: about 0\n"
    assert main(["--queue", f"{url}-of-nobody", "--webhook", webhook.url]) == 1
