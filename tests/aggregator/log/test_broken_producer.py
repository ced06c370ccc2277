"""Who may not write hears which right is lacking, also from a call that says only that all is broken."""

from collections.abc import Mapping
from typing import Any

import pytest
from confluent_kafka import KafkaError, Producer

from aggregator.counting.facts import Refusal
from aggregator.counting.reading import DeadLetter
from aggregator.errors import UndeliveredError
from aggregator.log import dead_letters, redrive
from aggregator.log.dead_letters import DeadLetterWriter
from schemas.shared.kafka_causes import Causes
from schemas.shared.settings import TopicsSettings
from tests.librdkafka import break_for_good

NOWHERE = "127.0.0.1:1"


def broken(config: Mapping[str, Any]) -> Producer:
    """A producer that Kafka has told to write nowhere, before it was given anything."""
    producer = Producer({**config, "log_level": 0})
    break_for_good(producer, KafkaError.CLUSTER_AUTHORIZATION_FAILED)
    return producer


def test_a_redrive_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redrive, "Producer", broken)
    sender = redrive._Sender("ses-events", {"bootstrap.servers": NOWHERE}, Causes())
    with pytest.raises(UndeliveredError, match="lacks WRITE on ses-events; 0 records"):
        sender.send(redrive.StoredDeadLetter("key", "unreadable", 1, None, b"{"))


def test_who_writes_dead_letters_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "Producer", broken)
    writer = DeadLetterWriter(TopicsSettings(kafka_bootstrap_servers=NOWHERE, dead_letter_topic="letters"))
    with pytest.raises(UndeliveredError, match="lacks WRITE on letters"):
        writer.write(0, [DeadLetter(1, 1, b"key", b"{", Refusal.UNREADABLE)])
