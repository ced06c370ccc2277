"""The webhook's answers, one by one, without a Kafka.

Long because it is one list of answers: each status and what leads to it.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.signing import Signer, type_of_version
from ingest import errors as problems
from ingest.http.bodies import BODY_MAX_BYTES
from ingest.http.webhook import SES_TEST_MESSAGE
from ingest.log.record import EventRecord
from tests.ingest.support import SNS_HOST, TOPIC, Answer, Ingest, Recorder, SnsStandIn, event, ingest
from tests.metrics_text import samples

ARN_IN_QUERY = TOPIC.replace(":", "%3A")


def assert_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The response is an error as the contract words it. Returns: its members."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["detail"]
    return problem


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [None, "Amazon SES Email Event Notification"])
def test_an_event_is_stored(
    signer: Signer, certificates: Path, version: type_of_version, subject: str | None
) -> None:
    program = ingest(certificates)
    envelope = signer.notification(
        TOPIC, event("mail-1"), subject=subject, version=version, message_id="sns-1"
    )
    assert program.deliver(envelope).status_code == 200
    (record,) = program.recorder.records
    assert record.value.decode() == event("mail-1")
    assert record.key == b"mail-1"
    assert record.headers == (("sns-message-id", b"sns-1"), ("sns-topic-arn", TOPIC.encode()))


@pytest.mark.parametrize(
    "message",
    [
        "",
        "no JSON",
        "{",
        "null",
        "[" * 100_000 + "]" * 100_000,
        '{"eventType": "Send", "mail": NaN}',
        '{"eventType": "Send", "mail": {"messageId": "\\ud800"}}',
        '{"eventType": "Unheard Of"}',
        "\0\r\n\t\N{ROCKET}",
        "x" * 1_000_000,
        f"{SES_TEST_MESSAGE} Or not.",
    ],
)
def test_an_unreadable_message_is_stored_all_the_same(
    signer: Signer, certificates: Path, message: str
) -> None:
    program = ingest(certificates)
    assert program.deliver(signer.notification(TOPIC, message, message_id="sns-1")).status_code == 200
    (record,) = program.recorder.records
    assert (record.key, record.value.decode()) == (b"sns-1", message)


@pytest.mark.parametrize("content_type", ["text/plain; charset=UTF-8", "application/json", "image/png", ""])
def test_the_content_type_is_not_judged(signer: Signer, certificates: Path, content_type: str) -> None:
    program = ingest(certificates)
    response = program.deliver(signer.notification(TOPIC, event()), **{"Content-Type": content_type})
    assert (response.status_code, len(program.recorder.records)) == (200, 1)


def test_what_is_no_envelope_is_400(certificates: Path) -> None:
    program = ingest(certificates)
    for body in (b"", b"{}", b"[]", b"\xff", event().encode(), b"[" * 100_000):
        assert_problem(program.deliver(body), 400, "INVALID_ENVELOPE")
    assert program.recorder.records == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Message": event("another")}, "BAD_SIGNATURE"),
        ({"MessageId": "another"}, "BAD_SIGNATURE"),
        ({"Signature": "Zm9yZ2Vk"}, "BAD_SIGNATURE"),
        ({"SignatureVersion": "2"}, "BAD_SIGNATURE"),
        ({"Signature": None}, "UNSIGNED"),
        ({"TopicArn": f"{TOPIC}-2"}, "UNLISTED_TOPIC"),
        (
            {"SigningCertURL": f"https://sns.s3.amazonaws.com/SimpleNotificationService-{'0' * 32}.pem"},
            "CERTIFICATE_URL",
        ),
    ],
)
def test_what_proves_nothing_is_403_and_nothing_is_fetched(
    signer: Signer, certificates: Path, change: dict[str, str | None], code: str
) -> None:
    program = ingest(certificates)
    response = program.deliver(signer.notification(TOPIC, event()) | change)
    assert_problem(response, 403, code)
    assert program.recorder.records == []


def test_a_signature_by_another_key_is_403(signer: Signer, stranger: Signer, certificates: Path) -> None:
    """Naming a certificate of SNS's does not help who has not its key."""
    program = ingest(certificates)
    forged = stranger.notification(TOPIC, event())
    forged["SigningCertURL"] = forged["SigningCertURL"].replace(
        stranger.certificate_name, signer.certificate_name
    )
    assert_problem(program.deliver(forged), 403, "BAD_SIGNATURE")


def test_an_unlisted_topic_is_refused_however_well_it_is_signed(stranger: Signer, certificates: Path) -> None:
    """No topic listed means none is taken; nothing is fetched and no subscription confirmed for others."""
    for topics in ("", " , ", f"{TOPIC}-2"):
        program = ingest(certificates, topics=topics)
        for envelope in (stranger.notification(TOPIC, event()), stranger.confirmation(TOPIC, "token")):
            response = program.deliver(envelope)
            assert_problem(response, 403, "UNLISTED_TOPIC")


def test_raw_delivery_is_403(signer: Signer, certificates: Path) -> None:
    program = ingest(certificates)
    for body in (event().encode(), json.dumps(signer.notification(TOPIC, event())).encode(), b"x"):
        response = program.deliver(body, **{"X-Amz-Sns-RawDelivery": "true"})
        assert_problem(response, 403, "RAW_DELIVERY")
    assert program.recorder.records == []


def test_a_body_of_1_mib_is_taken_and_one_byte_more_is_413(signer: Signer, certificates: Path) -> None:
    program = ingest(certificates)
    body = json.dumps(signer.notification(TOPIC, event())).encode()
    assert program.deliver(body.ljust(BODY_MAX_BYTES)).status_code == 200
    response = program.deliver(body.ljust(BODY_MAX_BYTES + 1))
    assert_problem(response, 413, "TOO_LARGE")
    assert response.headers["connection"] == "close"
    assert len(program.recorder.records) == 1


def asgi_status(
    program: Ingest, headers: list[tuple[bytes, bytes]], receive: Callable[[], Awaitable[dict[str, Any]]]
) -> int:
    """The status that the webhook answers to a request that no HTTP client would send."""
    answered = list[Any]()

    async def send(message: Any) -> None:
        answered.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/webhooks/sns",
        "query_string": b"",
        "headers": headers,
    }
    asyncio.run(program.app()(scope, receive, send))
    status: int = answered[0]["status"]
    return status


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"10")], [(b"content-length", b"-1")]])
def test_a_body_without_a_true_length_is_read_no_further_than_it_may_be_long(
    certificates: Path, headers: list[tuple[bytes, bytes]]
) -> None:
    """Neither an absent nor a false Content-Length makes the program read on."""
    chunk = b" " * 65_536
    asked = list[int]()

    async def receive() -> dict[str, Any]:
        asked.append(len(chunk))
        return {"type": "http.request", "body": chunk, "more_body": True}

    assert asgi_status(ingest(certificates), headers, receive) == 413
    assert sum(asked) == BODY_MAX_BYTES + len(chunk)


def test_a_body_that_has_its_declared_length_is_complete(signer: Signer, certificates: Path) -> None:
    """However many pieces it comes in, the server is not asked for more than it has announced."""
    body = json.dumps(signer.notification(TOPIC, event("mail-1"))).encode()
    pieces = [body[:1], body[1:700], b"", body[700:]]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": True}

    program = ingest(certificates)
    declared = [(b"content-length", str(len(body)).encode())]
    assert asgi_status(program, declared, receive) == 200
    assert [record.key for record in program.recorder.records] == [b"mail-1"]


def test_a_client_that_leaves_is_met_quietly(certificates: Path) -> None:

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    assert asgi_status(ingest(certificates), [], receive) == 503


def test_when_kafka_fails_sns_is_reported_to_try_again(signer: Signer, certificates: Path) -> None:
    program = ingest(certificates, failure=problems.TryAgain("kafka", "Kafka is away."))
    response = program.deliver(signer.notification(TOPIC, event()))
    assert assert_problem(response, 503, "UNAVAILABLE")["detail"] == "Kafka is away."
    assert int(response.headers["retry-after"]) > 0


class Defective(Recorder):
    """A publisher with a defect."""

    async def publish(self, record: EventRecord) -> None:
        raise RuntimeError(f"nobody thought of {record.key!r}")


def test_a_defect_of_ours_is_500_and_goes_on_to_the_server(signer: Signer, certificates: Path) -> None:
    """SNS delivers again after a 5xx, and the server logs what it is given."""
    program = ingest(certificates)
    program.recorder = Defective()
    envelope = signer.notification(TOPIC, event())
    with pytest.raises(RuntimeError, match="nobody thought of"):
        program.deliver(envelope)

    async def ask() -> tuple[httpx.Response, httpx.Response]:
        transport = httpx.ASGITransport(app=program.app(), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://ingest.test") as client:
            answer = await client.post("/webhooks/sns", content=json.dumps(envelope))
            return answer, await client.get("/metrics")

    answer, metrics = asyncio.run(ask())
    assert_problem(answer, 500, "INTERNAL")
    assert "ingest_deliveries_in_flight 0.0" in metrics.text


def test_a_certificate_that_is_not_pinned_is_fetched(
    stranger: Signer, certificates: Path, sns_stand_in: SnsStandIn, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("own")
    other = Signer.create(folder)
    pem = (folder / other.certificate_name).read_bytes()
    sns_stand_in.answers[f"/{other.certificate_name}"] = Answer(body=pem)
    program = ingest(certificates, stand_in=sns_stand_in)
    assert program.deliver(other.notification(TOPIC, event())).status_code == 200
    assert sns_stand_in.asked == [f"https://{SNS_HOST}/{other.certificate_name}"]
    assert_problem(program.deliver(stranger.notification(TOPIC, event())), 503, "UNAVAILABLE")
    assert len(program.recorder.records) == 1


def test_a_subscription_is_confirmed_at_sns(
    signer: Signer, certificates: Path, sns_stand_in: SnsStandIn
) -> None:
    """The URL is built from what was verified; what SubscribeURL says is never visited."""
    sns_stand_in.answers["/"] = Answer()
    program = ingest(certificates, stand_in=sns_stand_in)
    assert program.deliver(signer.confirmation(TOPIC, "2336&x=y")).status_code == 200
    query = f"Action=ConfirmSubscription&TopicArn={ARN_IN_QUERY}&Token=2336%26x%3Dy"
    assert sns_stand_in.asked == [f"https://{SNS_HOST}/?{query}"]
    assert program.recorder.records == []


@pytest.mark.parametrize(
    "answer",
    [Answer(403), Answer(500), Answer(302, headers={"Location": "/elsewhere"}), Answer(body=b"x" * 100_000)],
)
def test_a_confirmation_that_fails_is_503(
    signer: Signer, certificates: Path, sns_stand_in: SnsStandIn, answer: Answer
) -> None:
    sns_stand_in.answers = {"/": answer, "/elsewhere": Answer()}
    program = ingest(certificates, stand_in=sns_stand_in)
    response = program.deliver(signer.confirmation(TOPIC, "token"))
    assert "confirm" in assert_problem(response, 503, "UNAVAILABLE")["detail"]
    assert len(sns_stand_in.asked) == 1


def test_a_forged_confirmation_is_not_confirmed(signer: Signer, certificates: Path) -> None:
    program = ingest(certificates)
    assert_problem(
        program.deliver(signer.confirmation(TOPIC, "token") | {"Token": "x"}), 403, "BAD_SIGNATURE"
    )


def test_an_end_of_a_subscription_is_taken_and_nothing_visited(signer: Signer, certificates: Path) -> None:
    program = ingest(certificates)
    envelope = signer.confirmation(TOPIC, "token", kind="UnsubscribeConfirmation")
    assert program.deliver(envelope).json() == {"outcome": "unsubscribed"}
    assert program.recorder.records == []


@pytest.mark.parametrize("end", ["", "\n"])
def test_the_test_message_of_ses_is_taken_and_not_stored(
    signer: Signer, certificates: Path, end: str
) -> None:
    program = ingest(certificates)
    envelope = signer.notification(TOPIC, SES_TEST_MESSAGE + end, subject=None)
    assert program.deliver(envelope).json() == {"outcome": "test"}
    assert program.recorder.records == []


def test_several_topics_are_taken_each_from_its_own_region(signer: Signer, certificates: Path) -> None:
    other = "arn:aws-cn:sns:cn-north-1:210987654321:mail"
    program = ingest(certificates, topics=f" {TOPIC} ,{other},")
    assert program.deliver(signer.notification(TOPIC, event())).status_code == 200
    envelope = signer.notification(other, event())
    assert envelope["SigningCertURL"].startswith("https://sns.cn-north-1.amazonaws.com.cn/")
    assert program.deliver(envelope).status_code == 200
    moved = signer.sign({**envelope, "SigningCertURL": f"https://{SNS_HOST}/{signer.certificate_name}"})
    assert_problem(program.deliver(moved), 403, "CERTIFICATE_URL")


def test_probes_and_metrics(signer: Signer, certificates: Path) -> None:
    async def use() -> httpx.Response:
        async with ingest(certificates).running() as client:
            for body in (json.dumps(signer.notification(TOPIC, event())), "no envelope"):
                await client.post("/webhooks/sns", content=body)
            return await client.get("/metrics")

    metrics = asyncio.run(use())
    assert metrics.headers["content-type"].startswith("text/plain")
    assert 'ingest_deliveries_total{outcome="stored"} 1.0' in metrics.text
    assert 'ingest_deliveries_total{outcome="invalid_envelope"} 1.0' in metrics.text
    assert "ingest_publish_seconds_count 1.0" in metrics.text
    assert "ingest_delivery_seconds_count 1.0" in metrics.text, "what was stored, and nothing else"
    program = ingest(certificates)
    assert [program.request("GET", path).status_code for path in ("/livez", "/readyz")] == [200, 200]
    assert "ingest_ready 1.0" in program.request("GET", "/metrics").text
    away = ingest(certificates, failure=problems.TryAgain("kafka", "Kafka is away."))
    assert "ingest_ready 0.0" in away.request("GET", "/metrics").text
    assert away.request("GET", "/livez").status_code == 200
    assert assert_problem(away.request("GET", "/readyz"), 503, "UNAVAILABLE")["detail"] == "Kafka is away."


def test_a_delivery_is_in_flight_until_it_is_answered(signer: Signer, certificates: Path) -> None:
    """From its headers on, whatever becomes of it; the time of its body is part of the whole."""
    seen = []

    async def use() -> None:
        async with ingest(certificates).running() as client:

            async def look() -> str:
                text = (await client.get("/metrics")).text
                seen.append("ingest_deliveries_in_flight 1.0" in text)
                assert seen[-1] or "ingest_deliveries_in_flight 0.0" in text
                return text

            async def slowly(body: bytes) -> AsyncIterator[bytes]:
                yield body[:9]
                await look()
                await asyncio.sleep(0.02)
                yield body[9:]

            for body in (json.dumps(signer.notification(TOPIC, event())), "no envelope at all"):
                await client.post("/webhooks/sns", content=slowly(body.encode()))
                text = await look()
            assert sum(samples(text, "ingest_delivery_seconds_sum").values()) >= 0.02

    asyncio.run(use())
    assert seen == [True, False, True, False]


@pytest.mark.parametrize("path", ["/webhooks/sns/", "/webhooks/sns//", "/readyz/", "//webhooks/sns"])
def test_nobody_is_sent_elsewhere(certificates: Path, signer: Signer, path: str) -> None:
    """A redirect goes to whatever host the request names, and SNS follows it."""
    program = ingest(certificates)
    envelope = json.dumps(signer.notification(TOPIC, event()))
    for method in ("POST", "GET"):
        response = program.request(method, path, content=envelope, headers={"Host": "example.org"})
        assert_problem(response, 404, "NOT_FOUND")


def test_what_is_not_there_is_a_problem_too(certificates: Path) -> None:
    program = ingest(certificates)
    assert_problem(program.request("GET", "/"), 404, "NOT_FOUND")
    assert_problem(program.request("GET", "/docs"), 404, "NOT_FOUND")
    assert_problem(program.request("GET", "/webhooks/sns"), 405, "METHOD_NOT_ALLOWED")
