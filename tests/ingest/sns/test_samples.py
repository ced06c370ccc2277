"""Genuine messages of SNS and SES, offline. They lie beside the checkout and are no part of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from ingest.errors import Refused
from ingest.sns import messages
from ingest.sns.certificates import rsa_key
from tests.ingest.support import SAMPLES, Answer, SnsStandIn, ingest

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="no genuine samples beside the checkout")

CERTIFICATE_OF = {
    "aws_sdk_ruby_v1_nosubject": "sns-2021-7ff531",
    "aws_sdk_ruby_v2_nosubject": "sns-2021-7ff531",
    "mailcoach_subscription": "sns-2020",
    "lambda_style_urls": "sns-2010-f3ecfb",
}
LAMBDA = "lambda_style_urls"
OVER_HTTP = sorted(CERTIFICATE_OF.keys() - {LAMBDA})


def sample(name: str) -> dict[str, str]:
    envelope: dict[str, str] = json.loads((SAMPLES / "signed" / f"{name}.json").read_bytes())
    return envelope


def certificate(name: str) -> bytes:
    return (SAMPLES / "signed" / "certs" / f"{CERTIFICATE_OF[name]}.pem").read_bytes()


def pin(folder: Path, name: str) -> None:
    """Pin the sample's certificate under the name that its SigningCertURL gives it."""
    envelope = sample(name)
    url = envelope.get("SigningCertURL") or envelope["SigningCertUrl"]
    (folder / url.rpartition("/")[2]).write_bytes(certificate(name))


@pytest.mark.parametrize("name", OVER_HTTP)
def test_a_genuine_message_is_taken(name: str, tmp_path: Path, sns_stand_in: SnsStandIn) -> None:
    envelope = sample(name)
    pin(tmp_path, name)
    sns_stand_in.answers["/"] = Answer()
    program = ingest(tmp_path, topics=envelope["TopicArn"], stand_in=sns_stand_in)
    response = program.deliver((SAMPLES / "signed" / f"{name}.json").read_bytes())
    assert response.status_code == 200, response.text
    if envelope["Type"] == "Notification":
        assert [record.value.decode() for record in program.recorder.records] == [envelope["Message"]]
    else:
        assert len(sns_stand_in.asked) == 1


@pytest.mark.parametrize("name", OVER_HTTP)
def test_a_genuine_message_with_one_byte_changed_is_refused(name: str) -> None:
    """Every byte of every signed field counts, and every character of the signature."""
    envelope = sample(name)
    key = rsa_key(certificate(name))
    messages.verify(messages.parse(json.dumps(envelope).encode()), key)
    fields = {"Message", "MessageId", "Timestamp", "TopicArn", "Token", "SubscribeURL"} & envelope.keys()
    for field in sorted(fields):
        for at, character in enumerate(envelope[field]):
            changed = chr(ord(character) ^ 1)
            forged = {**envelope, field: envelope[field][:at] + changed + envelope[field][at + 1 :]}
            with pytest.raises(Refused):
                messages.verify(messages.parse(json.dumps(forged).encode()), key)
    signature = envelope["Signature"]
    for at in range(len(signature.rstrip("=")) - 1):
        forged = {
            **envelope,
            "Signature": signature[:at] + ("B" if signature[at] == "A" else "A") + signature[at + 1 :],
        }
        with pytest.raises(Refused):
            messages.verify(messages.parse(json.dumps(forged).encode()), key)


@pytest.mark.parametrize("name", OVER_HTTP)
def test_the_webhook_refuses_a_genuine_message_that_was_changed(name: str, tmp_path: Path) -> None:
    envelope = sample(name)
    pin(tmp_path, name)
    program = ingest(tmp_path, topics=envelope["TopicArn"])
    changes = {
        "Message": envelope["Message"] + "\n",
        "MessageId": envelope["MessageId"][:-1],
        "Type": "UnsubscribeConfirmation",
    }
    for field, changed in changes.items():
        forged = {"Token": "t", "SubscribeURL": "u", **envelope, field: changed}
        assert program.deliver(forged).json()["code"] == "BAD_SIGNATURE", field


def test_keys_as_lambda_spells_them_are_refused(tmp_path: Path) -> None:
    """The message is genuine, but not as SNS words it over HTTP; its old key is too short besides."""
    envelope = sample(LAMBDA)
    pin(tmp_path, LAMBDA)
    program = ingest(tmp_path, topics=envelope["TopicArn"])
    response = program.deliver(envelope)
    assert (response.status_code, response.json()["code"]) == (403, "UNSIGNED")
    respelled = {name.replace("CertUrl", "CertURL"): value for name, value in envelope.items()}
    refused = program.deliver(respelled)
    assert (refused.status_code, refused.json()["detail"]) == (503, "The signing certificate can't be had.")


def arns(value: Any) -> set[str]:
    return (
        {value["TopicArn"]} if isinstance(value, dict) and isinstance(value.get("TopicArn"), str) else set()
    )


def test_every_other_sample_is_answered(tmp_path: Path, sns_stand_in: SnsStandIn) -> None:
    """Posted as they are, all others are no envelope or prove nothing, even where their topic is listed.

    503: the certificate that one names is not there.
    """
    statuses: dict[int, int] = {}
    paths = [path for path in sorted(SAMPLES.rglob("*.json")) if path.parent.name != "signed"]
    for path in paths:
        raw = path.read_bytes()
        try:
            listed = ",".join(arn for arn in arns(json.loads(raw)) if messages.region_of(arn))
        except ValueError:
            listed = ""
        status = ingest(tmp_path, topics=listed, stand_in=sns_stand_in).deliver(raw).status_code
        statuses[status] = statuses.get(status, 0) + 1
    assert statuses.keys() <= {400, 403, 503}, statuses
    assert sum(statuses.values()) == len(paths) > 50
