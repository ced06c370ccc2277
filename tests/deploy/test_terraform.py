"""The Terraform module makes what the CloudFormation template makes, so that neither is changed alone.

What the template makes is read in moto. `terraform apply` is not run: see `tests/deploy/terraform.py`.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from cfnlint.decode.cfn_yaml import loads

from deploy.stack import CHECKOUT
from tests.deploy.made_stack import ACCOUNT, REGION, TEMPLATE, Stack, made
from tests.deploy.terraform import Module, text_of
from tests.deploy.test_aws import OPERATOR, WEBHOOK

TYPES = {
    "Topic": "aws_sns_topic",
    "TopicPolicy": "aws_sns_topic_policy",
    "DeadLetterQueue": "aws_sqs_queue",
    "QueuePolicy": "aws_sqs_queue_policy",
    "Subscription": "aws_sns_topic_subscription",
    "ConfigurationSet": "aws_sesv2_configuration_set",
    "EventDestination": "aws_sesv2_configuration_set_event_destination",
}
"""A resource of the template, and how Terraform calls one of its kind."""

OTHERS = {"Name": "mail", "RedrivePrincipal": OPERATOR}


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


@pytest.fixture(scope="module", params=[{}, OTHERS], ids=["by default", "with all parameters"])
def case(request: pytest.FixtureRequest) -> Iterator[tuple[Stack, dict[str, str]]]:
    """The template's stack, and its parameters as variables of the module."""
    with made(WEBHOOK, **request.param) as stack:
        parameters = {"WebhookUrl": WEBHOOK, **request.param}
        yield stack, {snake(name): value for name, value in parameters.items()}


def module(text: str, stack: Stack, variables: dict[str, str]) -> Module:
    name = stack.outputs["ConfigurationSet"]
    known = {
        "data.aws_caller_identity.here.account_id": ACCOUNT,
        "aws_sns_topic.events.arn": stack.outputs["TopicArn"],
        "aws_sqs_queue.undelivered.arn": stack.queue()["QueueArn"],
        "aws_sqs_queue.undelivered.url": stack.outputs["DeadLetterQueueUrl"],
        "aws_sesv2_configuration_set.mail.arn": f"arn:aws:ses:{REGION}:{ACCOUNT}:configuration-set/{name}",
        "aws_sesv2_configuration_set.mail.configuration_set_name": name,
    }
    return Module(text, variables, known)


def wanted(stack: Stack) -> dict[str, dict[str, Any]]:
    """What the template has made, in Terraform's words."""
    written = loads(TEMPLATE.read_text())["Resources"]
    queue, subscription, destination = stack.queue(), stack.subscription(), stack.destination()
    name = stack.outputs["ConfigurationSet"]
    return {
        "aws_sns_topic": {
            "name": stack.outputs["TopicArn"].rpartition(":")[2],
            "signature_version": int(written["Topic"]["Properties"]["SignatureVersion"]),
        },
        "aws_sns_topic_policy": {
            "arn": stack.outputs["TopicArn"],
            "policy": {"Version": "2012-10-17", "Statement": stack.topic_policy()},
        },
        "aws_sqs_queue": {
            "name": queue["QueueArn"].rpartition(":")[2],
            "message_retention_seconds": int(queue["MessageRetentionPeriod"]),
            "sqs_managed_sse_enabled": json.loads(queue["SqsManagedSseEnabled"]),
        },
        "aws_sqs_queue_policy": {
            "queue_url": stack.outputs["DeadLetterQueueUrl"],
            "policy": json.loads(queue["Policy"]),
        },
        "aws_sns_topic_subscription": {
            "topic_arn": subscription["TopicArn"],
            "protocol": subscription["Protocol"],
            "endpoint": subscription["Endpoint"],
            "endpoint_auto_confirms": True,  # Terraform's own: that it waits
            "raw_message_delivery": json.loads(subscription["RawMessageDelivery"]),
            "delivery_policy": json.loads(subscription["DeliveryPolicy"]),
            "redrive_policy": json.loads(subscription["RedrivePolicy"]),
            "depends_on": ["aws_sqs_queue_policy.undelivered"],
        },
        "aws_sesv2_configuration_set": {"configuration_set_name": name},
        "aws_sesv2_configuration_set_event_destination": {
            "configuration_set_name": name,
            "event_destination_name": destination["Name"],
            "event_destination": [
                {
                    "enabled": destination["Enabled"],
                    "matching_event_types": [
                        snake(each).upper() for each in destination["MatchingEventTypes"]
                    ],
                    "sns_destination": [{"topic_arn": destination["SNSDestination"]["TopicARN"]}],
                }
            ],
            "depends_on": ["aws_sns_topic_policy.events"],
        },
    }


def test_both_make_the_same(case: tuple[Stack, dict[str, str]]) -> None:
    """Each resource with all that is said of it, and the outputs."""
    stack, variables = case
    ours = module(text_of(), stack, variables)
    assert ours.resources() == wanted(stack)
    assert ours.outputs() == {snake(name): value for name, value in stack.outputs.items()}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"sqs:DeleteMessage",', '"sqs:*",'),
        ('"ses.amazonaws.com"', '"*"'),
        ('variable = "AWS:SourceArn"', 'variable = "AWS:PrincipalArn"'),
        ("[aws_sesv2_configuration_set.mail.arn]", "[aws_sns_topic.events.arn]"),
        ("numMaxDelayRetries = 57", "numMaxDelayRetries = 5"),
        ("message_retention_seconds = 1209600", "message_retention_seconds = 345600"),
        ('"SUBSCRIPTION",', ""),
        ("raw_message_delivery   = false", "raw_message_delivery   = true"),
        ("depends_on = [aws_sqs_queue_policy.undelivered]", ""),
        ('"${var.name}-undelivered"', '"${var.name}-lost"'),
        ('data "aws_caller', 'resource "aws_sqs_queue_redrive_policy" "more" {}\ndata "aws_caller'),
    ],
)
def test_a_difference_is_seen(case: tuple[Stack, dict[str, str]], before: str, after: str) -> None:
    """The test above can fail: one text of the module is changed, and it is another."""
    stack, variables = case
    assert text_of().count(before) == 1
    changed = module(text_of().replace(before, after), stack, variables).resources()
    without_principal = "sqs:" in before and "redrive_principal" not in variables
    assert (changed == wanted(stack)) is without_principal


def test_both_ask_for_the_same_and_tell_the_same() -> None:
    """Types, dependencies, variables and outputs, with their words, defaults and what is allowed."""
    template = loads(TEMPLATE.read_text())
    ours = Module(text_of(), {}, {})
    assert set(TYPES) == set(template["Resources"])
    assert {name for name, each in template["Resources"].items() if "DependsOn" in each} == {
        "Subscription",
        "EventDestination",
    }
    for kind, section in (("variable", "Parameters"), ("output", "Outputs")):
        said = dict(ours.declared(kind))
        assert set(said) == {snake(name) for name in template[section]}
        for name, each in template[section].items():
            assert said[snake(name)]["description"] == each["Description"]
            assert said[snake(name)].get("default") == each.get("Default")
    for each in template["Parameters"].values():
        allowed = each["AllowedPattern"]
        assert f'regex("^{allowed}$"' in text_of()


def test_the_readme_names_the_module_and_what_it_asks_for() -> None:
    connecting = (
        (CHECKOUT / "README.md").read_text().partition("\n## Connecting SES\n")[2].partition("\n## ")[0]
    )
    ours = Module(text_of(), {}, {})
    assert "terraform -chdir=deploy/aws/terraform apply" in connecting
    for name in ("webhook_url", *(name for name, _ in ours.declared("output"))):
        assert name in connecting, name
