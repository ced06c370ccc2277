"""What went wrong with Kafka, in a sentence that anybody may read.

Law: the sentence is chosen by the error's code alone and never quotes librdkafka's own text, which names
brokers and their addresses; that text belongs into the log, by `detail`.
"""

from typing import Final

from confluent_kafka import KafkaError, KafkaException

_LOGIN: Final = (
    "Kafka refuses the login; check KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM"
)
_TLS: Final = (
    "the TLS handshake with Kafka fails; check KAFKA_SSL_CA_LOCATION, "
    "and that the broker's certificate holds the name in KAFKA_BOOTSTRAP_SERVERS"
)
_CERTIFICATE: Final = (
    "Kafka refuses the TLS handshake; check KAFKA_SSL_CERTIFICATE_LOCATION and KAFKA_SSL_KEY_LOCATION"
)
_NAME: Final = "the host name of a broker is not known; check KAFKA_BOOTSTRAP_SERVERS"
_AWAY: Final = "no broker can be reached; is Kafka up, and KAFKA_BOOTSTRAP_SERVERS right?"
_SILENT: Final = "Kafka does not answer in time"
_MISSING: Final = "the topic does not exist; ses-metrics-topics (python -m deploy.topics) creates it"

_SENTENCES: Final = {
    KafkaError._AUTHENTICATION: _LOGIN,
    KafkaError.SASL_AUTHENTICATION_FAILED: _LOGIN,
    KafkaError.UNSUPPORTED_SASL_MECHANISM: _LOGIN,
    KafkaError._SSL: _TLS,
    KafkaError._RESOLVE: _NAME,
    KafkaError._TRANSPORT: _AWAY,
    KafkaError._ALL_BROKERS_DOWN: _AWAY,
    KafkaError._TIMED_OUT: _SILENT,
    KafkaError._MSG_TIMED_OUT: _SILENT,
    KafkaError._UNKNOWN_TOPIC: _MISSING,
    KafkaError.UNKNOWN_TOPIC_OR_PART: _MISSING,
}
"""By code: what is wrong and what to look at."""

_RIGHTS: Final = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "a right on the topic",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "READ on the consumer group",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "a right on the cluster",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "WRITE on the transactional id",
}
"""By code: the right that is lacking, where the caller does not say what it asked for."""

_SYMPTOMS: Final = {
    KafkaError._TIMED_OUT,
    KafkaError._MSG_TIMED_OUT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TRANSPORT,
    KafkaError._FATAL,
    KafkaError._PURGE_QUEUE,
    KafkaError._PURGE_INFLIGHT,
}
"""Codes that say that it does not work, and not why."""


def describe(error: KafkaError | KafkaException, *, wants: str = "") -> str:
    """What is wrong, without any address: no capital, no full stop.

    error: as librdkafka reported or raised it. wants: the right that the call takes (`WRITE on ses-events`).
    """
    error = _bare(error)
    if _is_of_tls(error):
        return _CERTIFICATE if "alert" in error.str() else _TLS
    if error.code() in _RIGHTS:
        return f"this Kafka user lacks {wants or _RIGHTS[error.code()]}"
    return _SENTENCES.get(error.code()) or KafkaError(error.code()).str()


def is_cause(error: KafkaError | KafkaException) -> bool:
    """Whether the error says why (a wrong password, name or CA) rather than that there was no answer.

    librdkafka reports the cause to `error_cb` and tries on; the call itself only says that time ran out.
    """
    error = _bare(error)
    return error.code() not in _SYMPTOMS or _is_of_tls(error)


def lacks_a_right(error: KafkaError | KafkaException) -> bool:
    """Whether Kafka knows the user well, and does not let it."""
    return _bare(error).code() in _RIGHTS


def says_only_broken(error: KafkaError | KafkaException) -> bool:
    """Whether a producer is broken for good, and the error does not say by what."""
    return _bare(error).code() == KafkaError._FATAL


def detail(error: KafkaError | KafkaException) -> str:
    """What librdkafka says, which may name brokers and addresses: for the log alone."""
    return _bare(error).str()


def _is_of_tls(error: KafkaError) -> bool:
    """Whether a connection was lost over TLS, which librdkafka does not always call by that name.

    With TLS 1.3 a client hears only after its own part of the handshake that the broker refuses it (an
    alert), as where it asks for a certificate of ours and gets none.
    """
    return error.code() == KafkaError._TRANSPORT and "SSL routines" in error.str()


def _bare(error: KafkaError | KafkaException) -> KafkaError:
    return error.args[0] if isinstance(error, KafkaException) else error
