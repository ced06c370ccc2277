"""The aggregator's settings: environment variables."""

from typing import Self

from pydantic import Field, model_validator

from aggregator.rules import Rules
from schemas.settings import RedisSettings, TopicsSettings


class AggregatorSettings(TopicsSettings, RedisSettings):
    """Where Kafka and Redis are, the group's name, and the rules of counting.

    A change of `*_TAG` or `DEFAULT_TENANT` changes numbers: it takes a new generation (`rebuild`).
    """

    consumer_group: str = Field(default="aggregator", description="the consumer group of the workers")
    aggregator_port: int = Field(default=8082, ge=0, le=65535, description="of /readyz; 0: any free one")
    default_tenant: str | None = Field(default=None, description="of events without a tenant tag")
    tenant_tag: str = Field(default="tenant", description="SES message tag that names the tenant")
    sequence_tag: str = Field(default="sequence", description="SES message tag that names the sequence")
    template_tag: str = Field(default="template", description="SES message tag that names the template")

    @model_validator(mode="after")
    def _tags_differ(self) -> Self:
        if len({self.tenant_tag, self.sequence_tag, self.template_tag}) < 3:
            raise ValueError("TENANT_TAG, SEQUENCE_TAG and TEMPLATE_TAG must differ")
        return self

    @property
    def rules(self) -> Rules:
        """The rules of counting."""
        return Rules(self.tenant_tag, self.sequence_tag, self.template_tag, self.default_tenant)
