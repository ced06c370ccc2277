"""The settings of the API, from the environment."""

from pydantic import Field

from schemas.settings import KafkaSettings, RedisSettings


class ApiSettings(KafkaSettings, RedisSettings):
    """Where the API listens (`API_PORT`), and the Kafka and Redis that it reads."""

    api_port: int = Field(default=8080, ge=1, le=65535)
