"""How a program is told where Kafka and Redis are: the environment variables that all three share.

Environment variables are an outside contract. Each program has a settings class of its own that
inherits what it uses from here and adds the rest.
"""

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Base of all settings: read from the environment alone, immutable, empty variables are unset."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")


def describe(settings: type[Settings]) -> str:
    """The settings of a program as lines of its `--help`: the variable, its default, what it means."""
    lines = []
    for name, field in settings.model_fields.items():
        default = f" [{field.default}]" if field.default not in (None, "", frozenset()) else ""
        meaning = f"  {field.description}" if field.description else ""
        lines.append(f"  {name.upper()}{default}{meaning}")
    return "\n".join(lines)


def complaint(error: ValidationError) -> str:
    """What is wrong with which settings, on one line.

    error: as a settings class raised it.
    """
    return "; ".join(
        ": ".join([*(str(part).upper() for part in each["loc"][:1]), each["msg"]]) for each in error.errors()
    )


class ServerSettings(Settings):
    """How a program that serves HTTP ends."""

    shutdown_grace_s: float = Field(
        default=5.0,
        ge=0,
        le=300,
        description="seconds for which a stopping program is not ready but still listens",
    )


class KafkaSettings(Settings):
    """Where Kafka is and how to log in (`KAFKA_*`)."""

    kafka_bootstrap_servers: str = Field(default="localhost:9092", description="host:port, comma-separated")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_sasl_username: str = ""
    kafka_sasl_password: str = Field(default="", repr=False)
    kafka_ssl_ca_location: str = ""
    kafka_ssl_certificate_location: str = ""
    kafka_ssl_key_location: str = ""

    def librdkafka(self) -> dict[str, str | int | float | bool]:
        """The connection part of a confluent-kafka configuration.

        Returns: librdkafka properties; those that are not set are absent.
        """
        config: dict[str, str | int | float | bool] = {
            "bootstrap.servers": self.kafka_bootstrap_servers,
            "security.protocol": self.kafka_security_protocol,
            "log_level": 2,  # its lines are of a shape of their own; what fails is said in ours
        }
        if self.kafka_security_protocol.startswith("SASL"):
            config["sasl.mechanism"] = self.kafka_sasl_mechanism
            config["sasl.username"] = self.kafka_sasl_username
            config["sasl.password"] = self.kafka_sasl_password
        files = {
            "ssl.ca.location": self.kafka_ssl_ca_location,
            "ssl.certificate.location": self.kafka_ssl_certificate_location,
            "ssl.key.location": self.kafka_ssl_key_location,
        }
        return config | {name: path for name, path in files.items() if path}


class EventsSettings(KafkaSettings):
    """Kafka, and the topic of events."""

    events_topic: str = Field(default="ses-events", description="the topic of events")


class TopicsSettings(EventsSettings):
    """Kafka, the topic of events and that of dead letters."""

    dead_letter_topic: str = Field(default="ses-events-dlq", description="the topic of unreadable events")


class RedisSettings(Settings):
    """Where Redis (or Valkey) is. A cluster is named by any of its nodes and `REDIS_CLUSTER=true`.

    Several nodes of a cluster may be named, so that a program starts while one of them is down.
    """

    redis_url: str = Field(
        default="redis://localhost:6379/0",
        description="of the server; of a cluster one or more nodes, comma-separated",
    )
    redis_cluster: bool = Field(default=False, description="true: the URL names nodes of a cluster")

    @model_validator(mode="after")
    def _names_nodes(self) -> Self:
        if self.redis_nodes[1] and not self.redis_cluster:
            raise ValueError("REDIS_URL names several servers, which takes REDIS_CLUSTER=true")
        return self

    @property
    def redis_nodes(self) -> tuple[str, list[tuple[str, int]]]:
        """The first URL, and host and port of those after it; login and TLS are those of the first."""
        first, *others = (url.strip() for url in self.redis_url.split(","))
        parts = [urlsplit(url) for url in others]
        return first, [(part.hostname or "", part.port or 6379) for part in parts]
