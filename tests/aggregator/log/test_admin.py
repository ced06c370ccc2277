"""What is asked of Kafka beside records, on a real one."""

from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException

from aggregator.config import AggregatorSettings
from aggregator.errors import KafkaUnavailableError
from aggregator.log import admin
from aggregator.log.admin import Cluster
from schemas import topics
from tests import services

GROUP = "nobody-yet"


class Moving(Consumer):
    """Its group has no coordinator for so many queries."""

    left = 0

    def committed(self, *arguments: Any, **more: Any) -> Any:
        if Moving.left:
            Moving.left -= 1
            raise KafkaException(KafkaError(KafkaError.NOT_COORDINATOR))
        return super().committed(*arguments, **more)


@pytest.fixture
def cluster(kafka_bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    services.create_topics(kafka_bootstrap, {f"{topic_prefix}events": topics.EVENTS})
    monkeypatch.setattr(admin, "Consumer", Moving)
    return Cluster(
        AggregatorSettings(kafka_bootstrap_servers=kafka_bootstrap, events_topic=f"{topic_prefix}events")
    )


def test_a_coordinator_that_comes_up_is_waited_for(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Moving, "left", 3)
    assert cluster.commits(GROUP, topics.EVENTS.partitions) == {}
    assert Moving.left == 0


def test_one_that_does_not_come_up_is_told(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Moving, "left", 1_000_000)
    monkeypatch.setattr(admin, "_TIMEOUT_S", 1.0)
    with pytest.raises(KafkaUnavailableError, match="Not coordinator"):
        cluster.commits(GROUP, topics.EVENTS.partitions)
