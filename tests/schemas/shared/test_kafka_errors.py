import pytest
from confluent_kafka import KafkaError, KafkaException

from schemas.shared.kafka_errors import describe, detail, is_cause

WORDS = "sasl_ssl://broker-1.internal:9093/bootstrap: it failed (after 3ms in state CONNECT)"


def error(code: int) -> KafkaError:
    return KafkaError(code, WORDS)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (KafkaError._AUTHENTICATION, "KAFKA_SASL_PASSWORD"),
        (KafkaError._SSL, "KAFKA_SSL_CA_LOCATION"),
        (KafkaError._RESOLVE, "KAFKA_BOOTSTRAP_SERVERS"),
        (KafkaError._TRANSPORT, "no broker can be reached"),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, "ses-metrics-topics (python -m deploy.topics)"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "lacks WRITE on ses-events"),
        (KafkaError.MSG_SIZE_TOO_LARGE, "Message size too large"),
        (9_999, "9999"),
    ],
)
def test_an_error_is_reported_by_its_code_and_never_with_an_address(code: int, said: str) -> None:
    for given in (error(code), KafkaException(error(code))):
        sentence = describe(given, wants="WRITE on ses-events")
        assert said in sentence
        assert "9093" not in sentence
        assert detail(given) == WORDS


def test_a_right_is_named_though_the_caller_does_not_say_which() -> None:
    assert "READ on the consumer group" in describe(error(KafkaError.GROUP_AUTHORIZATION_FAILED))


def test_a_timeout_is_no_cause_and_a_wrong_password_is() -> None:
    assert is_cause(error(KafkaError._AUTHENTICATION))
    assert not is_cause(KafkaException(error(KafkaError._TIMED_OUT)))


def test_a_connection_that_is_lost_over_tls_says_whose_certificate_is_wrong() -> None:
    """It is a cause, though it comes as a lost connection."""
    for words, said in (
        ("tlsv13 alert certificate required", "KAFKA_SSL_CERTIFICATE_LOCATION"),
        ("certificate verify failed", "KAFKA_SSL_CA_LOCATION"),
    ):
        lost = KafkaError(KafkaError._TRANSPORT, f"{WORDS}: error:0A00045C:SSL routines::{words}")
        assert is_cause(lost)
        assert said in describe(lost)
