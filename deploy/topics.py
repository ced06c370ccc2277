"""Create the topics of `schemas.topics` where they are missing; what exists is left as it is.

`python -m deploy.topics` does it for the Kafka of `KAFKA_BOOTSTRAP_SERVERS` (and its SASL and TLS
settings), with the names of `EVENTS_TOPIC` and `DEAD_LETTER_TOPIC`. The programs create no topic.
"""

import sys
from collections.abc import Mapping

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.processes import StackError
from schemas import topics
from schemas.settings import TopicsSettings

TIMEOUT_S = 30.0


def all_topics(settings: TopicsSettings) -> dict[str, topics.TopicConfig]:
    """The topics that the three programs need, by the names that the settings give them."""
    return {
        settings.events_topic: topics.EVENTS,
        settings.dead_letter_topic: topics.DEAD_LETTERS,
        topics.API_KEYS_TOPIC: topics.API_KEYS,
    }


def create(
    client: Mapping[str, str | int | float | bool], wanted: Mapping[str, topics.TopicConfig]
) -> list[str]:
    """Create those that are missing, each with as many replicas as the cluster's own default says.

    client: librdkafka's properties for the connection. wanted: configuration by name.
    Returns: the names of those that were made.
    Raises: StackError where Kafka does not answer within 30 s or refuses.
    """
    admin = AdminClient(dict(client))
    requests = [
        NewTopic(name, num_partitions=topic.partitions, replication_factor=-1, config=topic.config)
        for name, topic in wanted.items()
    ]
    made = []
    answers = admin.create_topics(requests, operation_timeout=TIMEOUT_S, request_timeout=TIMEOUT_S)
    for name, answer in answers.items():
        try:
            answer.result()
        except KafkaException as refused:
            error: KafkaError = refused.args[0]
            if error.code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise StackError(f"topic {name} could not be created: {error.str()}") from refused
        else:
            made.append(name)
    return made


def main() -> int:
    """Create them for the Kafka of the environment; returns the exit status."""
    settings = TopicsSettings()
    try:
        made = create(settings.librdkafka(), all_topics(settings))
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"created {', '.join(made)}" if made else "all topics exist")
    return 0


if __name__ == "__main__":
    sys.exit(main())
