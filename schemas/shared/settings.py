"""Where Kafka and Redis are: the environment variables that all three programs share.

Environment variables are an outside contract. Each program has a settings class of its own that
inherits what it uses from here and adds the rest.
"""

import re
import ssl
from typing import Annotated, Any, Final, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.shared.tls import client_context


class Settings(BaseSettings):
    """Base of all settings: read from the environment alone, immutable, empty variables are unset.

    What is wrong with a setting is reported without its value, which may hold a password.
    """

    model_config = SettingsConfigDict(
        frozen=True, env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )


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


class MetricsSettings(Settings):
    """Where a program tells of itself."""

    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="where /metrics is, and nowhere else then, with /livez and /readyz; 0: any free one",
    )


class ServerSettings(MetricsSettings):
    """Where a program that serves its users tells of itself, and how it ends."""

    shutdown_grace_s: float = Field(
        default=5.0,
        ge=0,
        le=300,
        description="seconds for which a stopping program is not ready but still listens",
    )


PROCESSES_MAX: Final = 16
"""Every two have a pair of sockets; who wants more of a host starts the program there more than once."""

Processes: TypeAlias = Annotated[
    int,
    Field(
        ge=1, le=PROCESSES_MAX, description="processes that share the port, for one host with several cores"
    ),
]
"""The setting of a program that may run in several processes."""


class KafkaSettings(Settings):
    """Where Kafka is and how to log in (`KAFKA_*`).

    What is set and would not be used is refused: whoever names a CA or a user believes that it is.
    """

    kafka_bootstrap_servers: str = Field(default="localhost:9092", description="host:port, comma-separated")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_sasl_username: str = ""
    kafka_sasl_password: str = Field(default="", repr=False)
    kafka_ssl_ca_location: str = Field(default="", description="PEM file of CAs; none: this machine's")
    kafka_ssl_certificate_location: str = Field(default="", description="PEM file of our own certificate")
    kafka_ssl_key_location: str = Field(default="", description="PEM file of its key, not encrypted")

    @model_validator(mode="after")
    def _can_log_in(self) -> Self:
        login = bool(self.kafka_sasl_username), bool(self.kafka_sasl_password)
        if self._kafka_logs_in and not all(login):
            raise ValueError(
                f"KAFKA_SECURITY_PROTOCOL={self.kafka_security_protocol} takes KAFKA_SASL_USERNAME and"
                " KAFKA_SASL_PASSWORD"
            )
        if any(login) and not self._kafka_logs_in:
            raise ValueError(
                "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD take KAFKA_SECURITY_PROTOCOL=SASL_SSL, not"
                f" {self.kafka_security_protocol}"
            )
        if any(self._kafka_files) and not self._kafka_is_encrypted:
            raise ValueError(
                "KAFKA_SSL_* take KAFKA_SECURITY_PROTOCOL=SASL_SSL or SSL, not"
                f" {self.kafka_security_protocol}"
            )
        self._kafka_context()
        return self

    @property
    def _kafka_logs_in(self) -> bool:
        return self.kafka_security_protocol.startswith("SASL")

    @property
    def _kafka_is_encrypted(self) -> bool:
        return self.kafka_security_protocol.endswith("SSL")

    @property
    def _kafka_files(self) -> tuple[str, str, str]:
        return self.kafka_ssl_ca_location, self.kafka_ssl_certificate_location, self.kafka_ssl_key_location

    def _kafka_context(self) -> ssl.SSLContext | None:
        return client_context("KAFKA", *self._kafka_files) if self._kafka_is_encrypted else None

    def librdkafka(self) -> dict[str, str | int | float | bool]:
        """The connection part of a confluent-kafka configuration.

        Returns: librdkafka properties; those that are not set are absent.
        """
        config: dict[str, str | int | float | bool] = {
            "bootstrap.servers": self.kafka_bootstrap_servers,
            "security.protocol": self.kafka_security_protocol,
            "log_level": 2,  # its lines are of a shape of their own; what fails is said in ours
        }
        if self._kafka_logs_in:
            config["sasl.mechanism"] = self.kafka_sasl_mechanism
            config["sasl.username"] = self.kafka_sasl_username
            config["sasl.password"] = self.kafka_sasl_password
        names = "ssl.ca.location", "ssl.certificate.location", "ssl.key.location"
        return config | {name: path for name, path in zip(names, self._kafka_files, strict=True) if path}

    def aiokafka(self) -> dict[str, Any]:
        """The same for a client of aiokafka.

        Returns: keyword arguments; those of a login are absent where there is none.
        """
        config: dict[str, Any] = {
            "bootstrap_servers": self.kafka_bootstrap_servers,
            "security_protocol": self.kafka_security_protocol,
            "ssl_context": self._kafka_context(),
        }
        if self._kafka_logs_in:
            config["sasl_mechanism"] = self.kafka_sasl_mechanism
            config["sasl_plain_username"] = self.kafka_sasl_username
            config["sasl_plain_password"] = self.kafka_sasl_password
        return config


class EventsSettings(KafkaSettings):
    """Kafka, and the topic of events."""

    events_topic: str = Field(default="ses-events", description="the topic of events")


class TopicsSettings(EventsSettings):
    """Kafka, and all topics of the log: events, dead letters and erasures."""

    dead_letter_topic: str = Field(default="ses-events-dlq", description="the topic of unreadable events")
    erasures_topic: str = Field(default="ses-erasures", description="the topic of erased tenants")


_DATABASE: Final = re.compile(r"\A/?[0-9]*\Z")


def _is_redis_url(url: str) -> bool:
    """Whether a URL of Redis says the same to everybody: no unencoded password has moved its parts."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    moved = parts.fragment or "@" in parts.query
    if parts.scheme == "unix":
        return bool(parts.path) and not moved
    there = parts.scheme in {"redis", "rediss"} and parts.hostname and port != 0
    return bool(there and not moved and _DATABASE.match(parts.path))


def _understood(urls: str) -> str:
    """Refuse what redis-py would misread, or quote in an error with a part of the password in it."""
    for url in urls.split(","):
        if not _is_redis_url(url.strip()):
            raise ValueError(
                "no URL like redis://user:password@host:6379/0. In user and password, write"
                " / # ? , [ ] and % as %2F %23 %3F %2C %5B %5D and %25"
            )
    return urls


RedisUrl: TypeAlias = Annotated[str, AfterValidator(_understood)]
"""One or more URLs of Redis, comma-separated, that every client reads alike."""


class RedisSettings(Settings):
    """Where Redis (or Valkey) is. A cluster is named by any of its nodes and `REDIS_CLUSTER=true`.

    Several nodes of a cluster may be named, so that a program starts while one of them is down.
    """

    redis_url: RedisUrl = Field(
        default="redis://localhost:6379/0",
        repr=False,  # it may hold a password
        description="of the server; of a cluster one or more nodes, comma-separated",
    )
    redis_cluster: bool = Field(default=False, description="true: the URL names nodes of a cluster")

    redis_ssl_ca_location: str = Field(default="", description="PEM file of CAs; none: this machine's")
    redis_ssl_certificate_location: str = Field(default="", description="PEM file of our own certificate")
    redis_ssl_key_location: str = Field(default="", description="PEM file of its key, not encrypted")

    @model_validator(mode="after")
    def _can_speak_tls(self) -> Self:
        if self._redis_is_encrypted:
            client_context("REDIS", *self._redis_files)
        elif any(self._redis_files):
            raise ValueError("REDIS_SSL_* take a REDIS_URL that begins with rediss://")
        return self

    @model_validator(mode="after")
    def _names_nodes(self) -> Self:
        if self.redis_nodes[1] and not self.redis_cluster:
            raise ValueError("REDIS_URL names several servers, which takes REDIS_CLUSTER=true")
        return self

    @property
    def _redis_is_encrypted(self) -> bool:
        return self.redis_url.strip().startswith("rediss://")

    @property
    def _redis_files(self) -> tuple[str, str, str]:
        return self.redis_ssl_ca_location, self.redis_ssl_certificate_location, self.redis_ssl_key_location

    def redis_tls(self) -> dict[str, str]:
        """What a client of redis-py needs for TLS beside the URL: keyword arguments; none: absent."""
        names = "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"
        return {name: path for name, path in zip(names, self._redis_files, strict=True) if path}

    @property
    def redis_nodes(self) -> tuple[str, list[tuple[str, int]]]:
        """The first URL, and host and port of those after it; login and TLS are those of the first."""
        first, *others = (url.strip() for url in self.redis_url.split(","))
        parts = [urlsplit(url) for url in others]
        return first, [(part.hostname or "", part.port or 6379) for part in parts]
