"""Our CloudFormation template made in moto, and what stands there then.

moto makes topics and queues of a template, and knows the other resources of ours by their own API alone. So
it is told here, by way of that API, how CloudFormation makes each of them. It resolves references and
conditions itself, and boto3 refuses a call that AWS's own description of the API does not allow.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import boto3
import pytest
from moto import mock_aws
from moto.cloudformation import parsing
from moto.core.common_models import CloudFormationModel

from deploy.stack import CHECKOUT

TEMPLATE: Path = CHECKOUT / "deploy" / "aws" / "ses-metrics.yaml"
REGION = "eu-west-1"
ACCOUNT = "123456789012"


def client(service: str) -> Any:
    """A client of AWS, which moto answers."""
    return boto3.client(service, region_name=REGION)


class Made:
    """What all of them have in common: physical_resource_id is what a reference to one is.

    Each is a CloudFormationModel by itself: moto knows those that are so at first hand.
    """

    TYPE: ClassVar[str] = "none"

    def __init__(self, physical_resource_id: str) -> None:
        self.physical_resource_id = physical_resource_id

    @classmethod
    def cloudformation_type(cls) -> str:
        return cls.TYPE

    @staticmethod
    def cloudformation_name_type() -> str:
        return ""

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Mapping[str, Any], *_: object, **__: object
    ) -> "Made":
        return cls(cls.make(_without_holes(cloudformation_json["Properties"])) or resource_name)

    @classmethod
    def make(cls, properties: Mapping[str, Any]) -> str | None:
        """Make it. Returns: its name, none where it has no name of its own."""
        raise NotImplementedError


def _without_holes(value: Any) -> Any:
    """As CloudFormation has it: `AWS::NoValue` leaves nothing in a list, where moto leaves a none."""
    if isinstance(value, dict):
        return {name: _without_holes(each) for name, each in value.items()}
    return [_without_holes(each) for each in value if each is not None] if isinstance(value, list) else value


class TopicPolicy(Made, CloudFormationModel):
    TYPE = "AWS::SNS::TopicPolicy"

    @classmethod
    def make(cls, properties: Mapping[str, Any]) -> None:
        policy = json.dumps(properties["PolicyDocument"])
        for arn in properties["Topics"]:
            client("sns").set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)


class QueuePolicy(Made, CloudFormationModel):
    TYPE = "AWS::SQS::QueuePolicy"

    @classmethod
    def make(cls, properties: Mapping[str, Any]) -> None:
        policy = json.dumps(properties["PolicyDocument"])
        for url in properties["Queues"]:
            client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})


class Subscription(Made, CloudFormationModel):
    TYPE = "AWS::SNS::Subscription"

    @classmethod
    def make(cls, properties: Mapping[str, Any]) -> str:
        said = {name: properties[name] for name in ("TopicArn", "Protocol", "Endpoint")}
        others = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in properties.items()
            if name not in said
        }
        return str(client("sns").subscribe(**said, Attributes=others)["SubscriptionArn"])


class ConfigurationSet(Made, CloudFormationModel):
    TYPE = "AWS::SES::ConfigurationSet"

    @classmethod
    def make(cls, properties: Mapping[str, Any]) -> str:
        client("ses").create_configuration_set(ConfigurationSet=properties)
        return str(properties["Name"])


class EventDestination(Made, CloudFormationModel):
    TYPE = "AWS::SES::ConfigurationSetEventDestination"

    @classmethod
    def make(cls, properties: Mapping[str, Any]) -> None:
        said = dict(properties["EventDestination"])
        said["SNSDestination"] = said.pop("SnsDestination")
        client("ses").create_configuration_set_event_destination(
            ConfigurationSetName=properties["ConfigurationSetName"], EventDestination=said
        )


@dataclass(frozen=True)
class Stack:
    """What was made. outputs: of the template. resources: their types."""

    outputs: Mapping[str, str]
    resources: Mapping[str, str]

    def destination(self) -> Mapping[str, Any]:
        """Where SES publishes what becomes of mails that are sent with the configuration set."""
        said = client("ses").describe_configuration_set(
            ConfigurationSetName=self.outputs["ConfigurationSet"],
            ConfigurationSetAttributeNames=["eventDestinations"],
        )
        (found,) = said["EventDestinations"]
        return dict(found)

    def topic_policy(self) -> list[dict[str, Any]]:
        said = client("sns").get_topic_attributes(TopicArn=self.outputs["TopicArn"])
        return list(json.loads(said["Attributes"]["Policy"])["Statement"])

    def subscription(self) -> Mapping[str, Any]:
        """The attributes of the one that the topic has."""
        sns = client("sns")
        (found,) = sns.list_subscriptions_by_topic(TopicArn=self.outputs["TopicArn"])["Subscriptions"]
        return dict(sns.get_subscription_attributes(SubscriptionArn=found["SubscriptionArn"])["Attributes"])

    def queue(self) -> Mapping[str, Any]:
        """The attributes of the dead-letter queue."""
        url = self.outputs["DeadLetterQueueUrl"]
        said = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        return dict(said["Attributes"])


@contextmanager
def made(webhook_url: str, **parameters: str) -> Iterator[Stack]:
    """The template's stack, for as long as moto stands in for AWS.

    webhook_url, parameters: of the template.
    """
    with pytest.MonkeyPatch.context() as patched, mock_aws():
        patched.setenv("AWS_ACCESS_KEY_ID", "made-up")
        patched.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
        for each in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
            getattr(each, "cache_clear", int)()  # they may be of before our kinds were known
        wanted = {"WebhookUrl": webhook_url, **parameters}
        formation, name = client("cloudformation"), parameters.get("Name", "ses-metrics")
        formation.create_stack(
            StackName=name,
            TemplateBody=TEMPLATE.read_text(),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in wanted.items()],
        )
        (stack,) = formation.describe_stacks(StackName=name)["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        resources = formation.list_stack_resources(StackName=name)["StackResourceSummaries"]
        yield Stack(
            {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]},
            {each["LogicalResourceId"]: each["ResourceType"] for each in resources},
        )
