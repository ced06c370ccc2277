"""The aggregator's settings: environment variables."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from aggregator.counting.decode import ID_MAX_BYTES
from aggregator.counting.rules import Rules
from schemas.counters import LANES, LANES_MAX
from schemas.shared.settings import RedisSettings, TopicsSettings

TagName = Annotated[str, StringConstraints(pattern=r"\A[A-Za-z0-9_.:@-]{1,255}\z")]
"""What SES lets a message tag be called, and the names of its own tags (`ses:...`)."""


class AggregatorSettings(TopicsSettings, RedisSettings):
    """Where Kafka and Redis are, the group's name, and the rules of counting.

    A change of `*_TAG` or `DEFAULT_TENANT` changes numbers: it takes a new generation (`rebuild`).
    """

    consumer_group: str = Field(default="aggregator", description="the consumer group of the workers")
    aggregator_port: int = Field(default=8082, ge=0, le=65535, description="of /readyz; 0: any free one")
    default_tenant: str | None = Field(default=None, description="of events without a tenant tag")
    tenant_tag: TagName = Field(default="tenant", description="SES message tag that names the tenant")
    sequence_tag: TagName = Field(default="sequence", description="SES message tag that names the sequence")
    template_tag: TagName = Field(default="template", description="SES message tag that names the template")

    lanes: int = Field(
        default=LANES,
        ge=1,
        le=LANES_MAX,
        description="of the first generation; one that is there keeps its own (the next: `rebuild --lanes`)",
    )

    @field_validator("default_tenant")
    @classmethod
    def _can_be_a_tenant(cls, tenant: str | None) -> str | None:
        try:
            if tenant is not None and len(tenant.encode()) > ID_MAX_BYTES:
                raise ValueError(f"longer than {ID_MAX_BYTES} bytes")
        except UnicodeEncodeError:
            raise ValueError("not UTF-8") from None
        return tenant

    @model_validator(mode="after")
    def _tags_differ(self) -> Self:
        if len({self.tenant_tag, self.sequence_tag, self.template_tag}) < 3:
            raise ValueError("TENANT_TAG, SEQUENCE_TAG and TEMPLATE_TAG must differ")
        return self

    @property
    def rules(self) -> Rules:
        """The rules of counting."""
        return Rules(self.tenant_tag, self.sequence_tag, self.template_tag, self.default_tenant)


class AuditSettings(AggregatorSettings):
    """Those of the worker, and what `audit` does beside it."""

    audit_port: int = Field(default=8083, ge=0, le=65535, description="of /metrics; 0: any free one")
    audit_interval_s: int = Field(default=3600, ge=1, description="the pause between two audits")
    audit_tenant_days: int = Field(default=10, ge=1, description="how many days of a tenant are drawn")
    audit_oldest_days: int = Field(
        default=30, ge=0, description="no older day is drawn (63 more of the log are read); 0: any day"
    )
