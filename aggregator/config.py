"""The aggregator's settings: environment variables."""

from typing import Self

from pydantic import model_validator

from aggregator.rules import Rules
from schemas.settings import KafkaSettings, RedisSettings


class AggregatorSettings(KafkaSettings, RedisSettings):
    """Where Kafka and Redis are, the group's name, and the rules of counting.

    A change of `*_TAG` or `DEFAULT_TENANT` changes numbers: it takes a new generation (`rebuild`).
    """

    consumer_group: str = "aggregator"
    aggregator_port: int = 8082
    default_tenant: str | None = None
    tenant_tag: str = "tenant"
    sequence_tag: str = "sequence"
    template_tag: str = "template"

    @model_validator(mode="after")
    def _tags_differ(self) -> Self:
        if len({self.tenant_tag, self.sequence_tag, self.template_tag}) < 3:
            raise ValueError("TENANT_TAG, SEQUENCE_TAG and TEMPLATE_TAG must differ")
        return self

    @property
    def rules(self) -> Rules:
        """The rules of counting."""
        return Rules(self.tenant_tag, self.sequence_tag, self.template_tag, self.default_tenant)
