"""A call that fails for a wrong login says only that time ran out; what was heard beside it says why."""

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from schemas.shared.kafka_causes import Causes
from tests.librdkafka import break_for_good

TIMED_OUT = KafkaError(KafkaError._TIMED_OUT, "broker-1:9093: timed out")
LOGIN = KafkaError(KafkaError._AUTHENTICATION, "broker-1:9093: authentication failed")


def test_what_was_heard_says_why_and_once() -> None:
    """A cause that has passed must not explain what fails afterwards."""
    causes = Causes()
    causes.hear(LOGIN)
    causes.hear(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))
    assert "KAFKA_SASL_PASSWORD" in causes.why(TIMED_OUT)
    assert "in time" in causes.why(TIMED_OUT)


def test_a_call_that_says_why_itself_is_believed() -> None:
    causes = Causes()
    causes.hear(LOGIN)
    refused = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    assert causes.why(refused, "READ on ses-events").endswith("lacks READ on ses-events")


def test_a_broken_producer_says_what_broke_it() -> None:
    """Also where a call that only says that it is broken came first."""
    producer = Producer({"bootstrap.servers": "127.0.0.1:1", "enable.idempotence": True, "log_level": 0})
    break_for_good(producer, KafkaError.CLUSTER_AUTHORIZATION_FAILED)
    with pytest.raises(KafkaException) as refused:
        producer.produce("ses-events", b"{}")
    assert refused.value.args[0].code() == KafkaError._FATAL
    why = Causes().why_not_sent(producer, refused.value, "WRITE on ses-events")
    assert why == "this Kafka user lacks WRITE on ses-events"
