"""The topics are made as the schemas say, and what is refused is said in a line."""

import pytest
from confluent_kafka.admin import AdminClient

from schemas.shared import create_topics as topics
from schemas.shared.settings import TopicsSettings
from schemas.topics import EVENTS


def test_topics_are_created_once_and_as_the_schemas_say(kafka_bootstrap: str, topic_prefix: str) -> None:
    settings = TopicsSettings(
        kafka_bootstrap_servers=kafka_bootstrap,
        events_topic=f"{topic_prefix}events",
        dead_letter_topic=f"{topic_prefix}dlq",
        erasures_topic=f"{topic_prefix}erasures",
    )
    wanted = topics.all_topics(settings)
    assert {settings.events_topic, settings.dead_letter_topic, settings.erasures_topic} <= set(
        topics.create(settings.librdkafka(), wanted)
    )
    assert topics.create(settings.librdkafka(), wanted) == []
    found = AdminClient(settings.librdkafka()).list_topics(timeout=30).topics
    assert {name: len(found[name].partitions) for name in wanted} == {
        name: topic.partitions for name, topic in wanted.items()
    }


def test_a_kafka_that_refuses_is_said_in_one_line(kafka_bootstrap: str) -> None:
    with pytest.raises(topics.TopicError, match="topic not/a/name could not be created"):
        topics.create({"bootstrap.servers": kafka_bootstrap}, {"not/a/name": EVENTS})
