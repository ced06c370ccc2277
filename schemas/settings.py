"""How a program is told where Kafka and Redis are: the environment variables that all three share.

Environment variables are an outside contract. Each program has a settings class of its own that
inherits what it uses from here and adds the rest.
"""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Base of all settings: read from the environment alone, immutable, empty variables are unset."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")


class KafkaSettings(Settings):
    """Where Kafka is and how to log in (`KAFKA_*`), and the names of the topics."""

    kafka_bootstrap_servers: str = "localhost:9092"
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_sasl_username: str = ""
    kafka_sasl_password: str = Field(default="", repr=False)
    kafka_ssl_ca_location: str = ""
    kafka_ssl_certificate_location: str = ""
    kafka_ssl_key_location: str = ""
    events_topic: str = "ses-events"
    dead_letter_topic: str = "ses-events-dlq"

    def librdkafka(self) -> dict[str, str | int | float | bool]:
        """The connection part of a confluent-kafka configuration.

        Returns: librdkafka properties; those that are not set are absent.
        """
        config: dict[str, str | int | float | bool] = {
            "bootstrap.servers": self.kafka_bootstrap_servers,
            "security.protocol": self.kafka_security_protocol,
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


class RedisSettings(Settings):
    """Where Redis (or Valkey) is. A cluster is named by any of its nodes and `REDIS_CLUSTER=true`."""

    redis_url: str = "redis://localhost:6379/0"
    redis_cluster: bool = False
