"""The settings of the API, from the environment."""

from typing import Annotated, Self

from limits import RateLimitItem, parse
from pydantic import AfterValidator, Field, model_validator

from schemas.shared.settings import KafkaSettings, Processes, RedisSettings, RedisUrl, ServerSettings


def _rate(text: str) -> str:
    rate_limit_of(text)
    return text


def rate_limit_of(text: str) -> RateLimitItem:
    """The limit that a text like `1000/second` or `60 per 1 minute` names. Raises: ValueError."""
    return parse(text)


class ApiSettings(KafkaSettings, RedisSettings, ServerSettings):
    """Where the API listens, how much a key may ask, what it and its page say, and where it reads."""

    redis_read_url: RedisUrl | None = Field(
        default=None,
        repr=False,  # it may hold a password
        description="where counters are read: a replica of the server at REDIS_URL; none: there",
    )
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

    @model_validator(mode="after")
    def _reads_one_server(self) -> Self:
        """One server, so that the numbers of a caller do not go back from one answer to the next.

        The replicas of a cluster are those of its shards, which no single URL names; and redis-py would ask
        a shard's servers in turn, whichever of them lags.
        """
        if self.redis_read_url is None:
            return self
        if self.redis_cluster:
            raise ValueError("REDIS_READ_URL takes REDIS_CLUSTER=false: of a cluster the primaries are read")
        if "," in self.redis_read_url:
            raise ValueError("REDIS_READ_URL names several servers, and takes one")
        if self._redis_is_encrypted != self.redis_reads._redis_is_encrypted:
            raise ValueError("REDIS_READ_URL begins with rediss:// where REDIS_URL does, and only there")
        return self

    @property
    def redis_reads(self) -> RedisSettings:
        """Where counters are read, and everything else that the API wants of Redis: it writes nothing."""
        return self.model_copy(update={"redis_url": self.redis_read_url or self.redis_url})
