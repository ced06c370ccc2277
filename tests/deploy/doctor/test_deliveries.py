"""SNS's part, judged of what came and of what is pinned."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import httpx
import pytest
from confluent_kafka import Message

from deploy.doctor.check import Finding, State
from deploy.doctor.deliveries import AHEAD_MS, check_refused, judge_last, judge_pinned, judge_refused, reach
from deploy.signing import Signer

NOW = 1_800_000_000_000
ARN, OTHER = (f"arn:aws:sns:eu-central-1:111122223333:{name}" for name in ("mail", "other"))


def delivered(at_ms: int, arn: str = ARN) -> Message:
    headers: list[tuple[str, str | bytes | None]] = [
        ("sns-message-id", b"an-id"),
        ("sns-topic-arn", arn.encode()),
    ]
    return Message(topic="t", partition=1, offset=7, value=b"{}", headers=headers, timestamp=(1, at_ms))


def imported(at_ms: int) -> Message:
    return Message(topic="t", partition=0, offset=3, value=b"{}", timestamp=(1, at_ms))


def test_the_last_delivery_is_named_with_its_place_and_its_id() -> None:
    [finding] = judge_last([delivered(NOW - 5), imported(NOW)], frozenset({ARN}), NOW)
    assert finding.state is State.OK
    assert "at 1:7, SNS message an-id" in finding.what


@pytest.mark.parametrize(
    ("newest", "what"),
    [([], "no delivery is in the topic"), ([imported(NOW)], "the last records were not delivered by SNS")],
)
def test_where_none_came_it_says_what_must_be_wired(newest: list[Message], what: str) -> None:
    """No more than the topic tells: one that is trimmed may have lost the last delivery."""
    [finding] = judge_last(newest, frozenset({ARN}), NOW)
    assert finding.state is State.PROBLEM
    assert finding.what == what
    assert "Connecting SES" in finding.fix


def test_one_of_a_topic_that_is_not_listed_is_named() -> None:
    [finding] = judge_last([delivered(NOW, OTHER), delivered(NOW - 1)], frozenset({ARN}), NOW)
    assert OTHER in finding.what
    assert "SNS_TOPIC_ARNS" in finding.fix
    assert judge_last([delivered(NOW, OTHER)], None, NOW)[0].state is State.OK


def test_one_of_the_future_is_a_wrong_clock() -> None:
    [finding] = judge_last([delivered(NOW + AHEAD_MS + 1)], None, NOW)
    assert "NTP" in finding.fix
    assert judge_last([delivered(NOW + AHEAD_MS)], None, NOW)[0].state is State.OK


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(404, json={"code": "NOT_FOUND"}), "status 404"),
        (httpx.Response(200, text="api_ready 1.0\n"), "no metrics of ingest there"),
        (httpx.Response(200, text="<html>captive portal</html>"), "captive"),
    ],
)
def test_metrics_that_are_elsewhere_are_no_webhook_that_refuses_nothing(
    answer: httpx.Response, said: str
) -> None:
    with mock.patch.object(httpx, "get", return_value=answer):
        [finding] = check_refused("http://ingest:8081/metrics")
    assert finding.state is State.PROBLEM
    assert "http://ingest:8081/metrics" in finding.what
    assert said in finding.what
    assert "METRICS_PORT" in finding.fix


def test_a_pinned_certificate_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    good = tmp_path / Signer.create(tmp_path).certificate_name
    assert judge_pinned([good])[0].state is State.OK
    bad = tmp_path / "SimpleNotificationService-00000000000000000000000000000000.pem"
    bad.write_text("<html>no certificate</html>")
    [finding] = judge_pinned([good, bad])
    assert bad.name in finding.what


def refused(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("no way out")


@pytest.mark.parametrize(
    ("answers", "state"), [(lambda _: httpx.Response(403), State.OK), (refused, State.PROBLEM)]
)
def test_any_answer_of_the_host_will_do(
    answers: Callable[[httpx.Request], httpx.Response], state: State
) -> None:
    async def ask() -> Finding:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answers)) as client:
            return await reach(client, "https://sns.eu-central-1.amazonaws.com/")

    finding = asyncio.run(ask())
    assert finding.state is state
    assert "sns.eu-central-1.amazonaws.com" in finding.what
    assert state is State.OK or "HTTPS_PROXY" in finding.fix


def test_refusals_that_are_somebodys_mistake_are_named_and_strangers_are_not() -> None:
    found = judge_refused({"unlisted_topic": 2, "raw_delivery": 1, "stored": 5, "invalid_envelope": 9})
    assert [each.what.split()[0] for each in found] == ["2", "1"]
    assert "SNS_TOPIC_ARNS" in found[0].fix
    assert "raw message delivery" in found[1].fix
    [well] = judge_refused({"unlisted_topic": 0, "stored": 5, "invalid_envelope": 9})
    assert well.state is State.OK
