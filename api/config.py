"""The settings of the API, from the environment."""

from typing import Annotated, Self

from limits import RateLimitItem, parse
from pydantic import AfterValidator, Field, model_validator

from schemas.shared.settings import KafkaSettings, Processes, RedisSettings, ServerSettings


def _rate(text: str) -> str:
    rate_limit_of(text)
    return text


def rate_limit_of(text: str) -> RateLimitItem:
    """The limit that a text like `1000/second` or `60 per 1 minute` names. Raises: ValueError."""
    return parse(text)


class ApiSettings(KafkaSettings, RedisSettings, ServerSettings):
    """Where the API listens, how much a key may ask, what it and its page say, and where it reads."""

    api_port: int = Field(default=8080, ge=1, le=65535)
    api_processes: Processes = 1
    rate_limit: Annotated[str, AfterValidator(_rate)] = Field(
        default="1000/second", description="requests of one key to one process"
    )
    health_metrics: bool = Field(
        default=False, description="true: /metrics names tenants and their health; takes METRICS_PORT"
    )
    page_notice: str = Field(default="", description="a sentence at the top of the page, for all who look")

    @model_validator(mode="after")
    def _tells_of_tenants_apart(self) -> Self:
        if self.health_metrics and self.metrics_port is None:
            raise ValueError(
                "HEALTH_METRICS=true takes METRICS_PORT: /metrics names tenants then, which is not for"
                " whoever reaches API_PORT"
            )
        return self
