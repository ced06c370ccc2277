"""Whether a topic is as its contract says (`schemas.topics`), and as safe as its cluster allows. Pure."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from deploy.doctor.check import Finding, ok, problem
from schemas.topics import TopicConfig

REPLICAS: Final = 3
"""As `deploy/security.md` says: one broker may fail, and two still have each event."""

_WHY: Final = {
    "cleanup.policy": "records vanish that numbers are proved by, or keys that must be known",
    "retention.ms": "Kafka deletes records by their age, and the topic is the truth",
    "retention.bytes": "Kafka deletes the oldest records, and the topic is the truth",
    "message.timestamp.type": "the rules check each record against its writer's own time",
    "max.message.bytes": "Kafka refuses large records, which ingest then answers with 503",
}

MIN_INSYNC: Final = "min.insync.replicas"
UNCLEAN: Final = "unclean.leader.election.enable"


class Topic(NamedTuple):
    """A topic as it is.

    partitions: how many. replicas: of the partition that has the fewest. config: its settings, those too
    that it has from the brokers. brokers: of the cluster.
    """

    name: str
    partitions: int
    replicas: int
    config: Mapping[str, str]
    brokers: int


def judge(topic: Topic, wanted: TopicConfig) -> list[Finding]:
    """What is wrong with a topic; that it is well where nothing is. wanted: its contract."""
    found = [
        problem(f"{topic.name} has {name}={is_} instead of {needed}: {_WHY[name]}", _set(topic, name, needed))
        for name, needed in wanted.config.items()
        if not _fits(name, is_ := topic.config.get(name, ""), needed)
    ]
    if wanted.config["cleanup.policy"] == "compact" and topic.partitions != wanted.partitions:
        found.append(
            problem(
                f"{topic.name} has {topic.partitions} partitions instead of {wanted.partitions}: nobody can"
                " say which of two records is the later one",
                "make it anew with `ses-metrics-topics`, and write its records again: partitions cannot be"
                " taken away",
            )
        )
    if topic.config.get(UNCLEAN) == "true":
        found.append(
            problem(
                f"{topic.name} has {UNCLEAN}=true: after a crash acknowledged events may vanish",
                _set(topic, UNCLEAN, "false"),
            )
        )
    found += _judge_replicas(topic)
    return found or [
        ok(f"{topic.name}: {topic.partitions} partitions, {topic.replicas} of {topic.brokers} brokers each")
    ]


def _fits(name: str, is_: str, needed: str) -> bool:
    if name == "max.message.bytes":
        return is_.isdigit() and int(is_) >= int(needed)
    return is_ == needed


def _judge_replicas(topic: Topic) -> list[Finding]:
    insync, name = int(topic.config.get(MIN_INSYNC, "1")), topic.name
    has = f"{name} has {MIN_INSYNC}={insync} and {topic.replicas} replicas"
    if insync > topic.replicas:
        safe = str(max(1, topic.replicas - 1))
        return [problem(f"{has}: Kafka takes no record at all", _set(topic, MIN_INSYNC, safe))]
    if topic.brokers == 1:
        return []
    if topic.replicas < min(REPLICAS, topic.brokers):
        return [
            problem(
                f"{name} has {topic.replicas} replicas on {topic.brokers} brokers: with one broker events can"
                " be lost",
                f"kafka-reassign-partitions.sh, to {REPLICAS} replicas on as many brokers",
            )
        ]
    if insync < 2:
        return [problem(f"{has}: a 200 of ingest is one broker's word", _set(topic, MIN_INSYNC, "2"))]
    if insync == topic.replicas:
        return [
            problem(
                f"{has}: with one broker down ingest answers 503",
                f"{REPLICAS} replicas on as many brokers, with {MIN_INSYNC}=2",
            )
        ]
    return []


def _set(topic: Topic, name: str, value: str) -> str:
    command = "kafka-configs.sh --alter --entity-type topics --entity-name"
    return f"{command} {topic.name} --add-config {name}={value}"
