"""How aiokafka logs in to Kafka: what `KafkaSettings.librdkafka` says, in its words."""

import ssl
from typing import Any

from schemas.settings import KafkaSettings


def ssl_context(settings: KafkaSettings) -> ssl.SSLContext | None:
    """For TLS, none where the settings ask for none. Raises: OSError where a file is missing or wrong."""
    if not settings.kafka_security_protocol.endswith("SSL"):
        return None
    context = ssl.create_default_context(cafile=settings.kafka_ssl_ca_location or None)
    if settings.kafka_ssl_certificate_location:
        context.load_cert_chain(
            settings.kafka_ssl_certificate_location, settings.kafka_ssl_key_location or None
        )
    return context


def aiokafka_connection(settings: KafkaSettings) -> dict[str, Any]:
    """The connection part of the arguments of an aiokafka client. Raises: OSError, as `ssl_context`."""
    connection: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": settings.kafka_security_protocol,
        "ssl_context": ssl_context(settings),
    }
    if settings.kafka_security_protocol.startswith("SASL"):
        connection |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": settings.kafka_sasl_password,
        }
    return connection
