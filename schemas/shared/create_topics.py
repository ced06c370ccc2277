"""Create the topics of `schemas.topics` where they are missing; what exists is left as it is.

`ses-metrics-topics`, in a checkout also `python -m deploy.topics`, does it for the Kafka of
`KAFKA_BOOTSTRAP_SERVERS` (and its SASL and TLS settings), with the names of `EVENTS_TOPIC`,
`DEAD_LETTER_TOPIC` and `ERASURES_TOPIC`. The three programs create no topic. It stands here because it
belongs to none of them: whoever may create topics is no user of theirs.
"""

import logging
from collections.abc import Mapping
from typing import Any

import typer
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from schemas import topics
from schemas.shared import logs
from schemas.shared.kafka_causes import Causes
from schemas.shared.kafka_errors import detail
from schemas.shared.settings import TopicsSettings, describe
from schemas.shared.startup import wrong_settings_in_a_line

TIMEOUT_S = 30.0

_HELP = f"""Create the Kafka topics that are missing; what exists is left as it is.

\b
Settings, from the environment:
{describe(TopicsSettings)}

\b
Exit codes: 0 all are there; 1 one could not be created, and why; 2 the command line is wrong.
"""


class TopicError(Exception):
    """A topic could not be created; the text is for a person and says which and why."""


cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def all_topics(settings: TopicsSettings) -> dict[str, topics.TopicConfig]:
    """The topics that the three programs need, by the names that the settings give them."""
    return {
        settings.events_topic: topics.EVENTS,
        settings.dead_letter_topic: topics.DEAD_LETTERS,
        settings.erasures_topic: topics.ERASURES,
        topics.API_KEYS_TOPIC: topics.API_KEYS,
    }


def create(
    client: Mapping[str, str | int | float | bool], wanted: Mapping[str, topics.TopicConfig]
) -> list[str]:
    """Create those that are missing, each with as many replicas as the cluster's own default says.

    client: librdkafka's properties for the connection. wanted: configuration by name.
    Returns: the names of those that were made.
    Raises: TopicError where Kafka does not answer within 30 s or refuses, and why; KafkaException where
    librdkafka can't make sense of `client`.
    """
    causes = Causes()
    config: dict[str, Any] = {**client, "error_cb": causes.hear}
    admin = AdminClient(config)
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
                admin.poll(0)  # calls `error_cb` with what is wrong
                why = causes.why(error, f"CREATE on {name}")
                raise TopicError(f"topic {name} could not be created: {why} ({detail(error)})") from refused
        else:
            made.append(name)
    return made


@cli.command(help=_HELP)
def main() -> None:
    """Create them for the Kafka of the environment."""
    logs.configure(logging.ERROR)  # what goes wrong is said in a line of our own
    settings = TopicsSettings()
    try:
        made = create(settings.librdkafka(), all_topics(settings))
    except TopicError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    typer.echo(f"created {', '.join(made)}" if made else "all topics exist")


def run() -> None:
    """Enter here, whatever the program was called by."""
    with wrong_settings_in_a_line():
        cli()
