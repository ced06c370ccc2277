"""The CloudFormation template: sound, made in moto, and what is then there is what the README says."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from cfnlint.api import lint_file
from cfnlint.decode.cfn_yaml import loads

from deploy.stack import CHECKOUT
from schemas.kinds import KINDS
from tests.deploy.made_stack import ACCOUNT, REGION, TEMPLATE, Stack, made

WEBHOOK = "https://events.example.com/webhooks/sns"
OPERATOR = f"arn:aws:iam::{ACCOUNT}:role/operator"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with made(WEBHOOK) as stack:
        yield stack


def test_cfn_lint_finds_nothing() -> None:
    assert [str(match) for match in lint_file(TEMPLATE)] == []


def test_cfn_lint_finds_something(tmp_path: Any) -> None:
    """The test above can fail."""
    broken = tmp_path / "broken.yaml"
    broken.write_text(TEMPLATE.read_text().replace("RawMessageDelivery", "RawMessages"))
    assert lint_file(broken)


def test_all_of_it_is_made(stack: Stack) -> None:
    template = loads(TEMPLATE.read_text())
    wanted = {name: each["Type"] for name, each in template["Resources"].items()}
    assert stack.resources == wanted
    assert stack.outputs == {
        "TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:ses-metrics",
        "ConfigurationSet": "ses-metrics",
        "DeadLetterQueueUrl": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/ses-metrics-undelivered",
    }


def test_ses_publishes_every_type_that_is_counted_to_the_topic(stack: Stack) -> None:
    """The types as SES calls them here: `renderingFailure` for `Rendering Failure`."""
    found = stack.destination()
    counted = {each.event_type.replace(" ", "") for each in KINDS}
    assert {f"{name[:1].upper()}{name[1:]}" for name in found["MatchingEventTypes"]} == counted
    assert found["Enabled"] is True
    assert found["SNSDestination"] == {"TopicARN": stack.outputs["TopicArn"]}


def test_ses_alone_may_publish_and_for_this_configuration_set_alone(stack: Stack) -> None:
    (statement,) = stack.topic_policy()
    del statement["Sid"]
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Service": "ses.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": stack.outputs["TopicArn"],
        "Condition": {
            "StringEquals": {
                "AWS:SourceAccount": ACCOUNT,
                "AWS:SourceArn": f"arn:aws:ses:{REGION}:{ACCOUNT}:configuration-set/ses-metrics",
            }
        },
    }


def test_the_subscription_is_signed_patient_and_loses_nothing(stack: Stack) -> None:
    found = stack.subscription()
    assert (found["Protocol"], found["Endpoint"], found["RawMessageDelivery"]) == ("https", WEBHOOK, "false")
    policy = json.loads((CHECKOUT / "deploy" / "sns-delivery-policy.json").read_text())
    assert json.loads(found["DeliveryPolicy"]) == policy
    assert json.loads(found["RedrivePolicy"]) == {"deadLetterTargetArn": stack.queue()["QueueArn"]}


def test_the_queue_takes_from_the_topic_alone_and_keeps_as_long_as_it_can(stack: Stack) -> None:
    queue = stack.queue()
    assert queue["MessageRetentionPeriod"] == str(14 * 24 * 3600)
    assert queue["SqsManagedSseEnabled"] == "true"
    (statement,) = json.loads(queue["Policy"])["Statement"]
    del statement["Sid"]
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue["QueueArn"],
        "Condition": {"ArnEquals": {"aws:SourceArn": stack.outputs["TopicArn"]}},
    }


def test_who_redrives_has_the_rights_for_it_and_no_others() -> None:
    """They are those that `deploy.redrive` calls for; other names are taken all through."""
    with made(WEBHOOK, Name="mail", RedrivePrincipal=OPERATOR) as stack:
        assert stack.outputs["TopicArn"].endswith(":mail")
        assert stack.outputs["ConfigurationSet"] == "mail"
        queue = stack.queue()
        _, statement = json.loads(queue["Policy"])["Statement"]
        assert (statement["Principal"], statement["Resource"]) == ({"AWS": OPERATOR}, queue["QueueArn"])
    called = (CHECKOUT / "deploy" / "redrive.py").read_text().split("self._sqs.")[1:]
    words = {each.partition("(")[0].removesuffix("_batch") for each in called}
    assert {f"sqs:{word.title().replace('_', '')}" for word in words} == set(statement["Action"])


def test_the_readme_names_the_template_and_its_outputs() -> None:
    readme = (CHECKOUT / "README.md").read_text()
    connecting = readme.partition("\n## Connecting SES\n")[2].partition("\n## ")[0]
    assert "--template-file deploy/aws/ses-metrics.yaml" in connecting
    for name in ("WebhookUrl", *loads(TEMPLATE.read_text())["Outputs"]):
        assert name in connecting, name
