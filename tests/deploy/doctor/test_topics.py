"""Topics against their contracts: each thing that can be set wrongly, and the command that sets it right."""

from collections.abc import Mapping

import pytest

from deploy.doctor.check import State
from deploy.doctor.topics import Topic, judge
from schemas import topics
from schemas.topics import TopicConfig


def topic(
    of: TopicConfig, *, partitions: int = 0, replicas: int = 3, brokers: int = 3, **config: str
) -> Topic:
    """A topic as its contract says, on three brokers, but for what is named (`retention_ms="1"`)."""
    usual = {"min.insync.replicas": "2", "unclean.leader.election.enable": "false"}
    changed = {name.replace("_", "."): value for name, value in config.items()}
    return Topic("t", partitions or of.partitions, replicas, {**of.config, **usual, **changed}, brokers)


@pytest.mark.parametrize("contract", [topics.EVENTS, topics.DEAD_LETTERS, topics.ERASURES, topics.API_KEYS])
def test_a_topic_as_its_contract_says_is_well(contract: TopicConfig) -> None:
    for replicas, brokers, insync in ((3, 3, "2"), (3, 5, "2"), (1, 1, "1")):
        made = topic(contract, replicas=replicas, brokers=brokers, min_insync_replicas=insync)
        assert [finding.state for finding in judge(made, contract)] == [State.OK]


EVENTS, KEYS = topics.EVENTS, topics.API_KEYS


@pytest.mark.parametrize(
    ("contract", "changed", "fix"),
    [
        (EVENTS, {"retention_ms": "604800000"}, "--entity-name t --add-config retention.ms=-1"),
        (EVENTS, {"retention_bytes": "1"}, "--add-config retention.bytes=-1"),
        (EVENTS, {"cleanup_policy": "compact"}, "--add-config cleanup.policy=delete"),
        (KEYS, {"cleanup_policy": "delete"}, "--add-config cleanup.policy=compact"),
        (EVENTS, {"message_timestamp_type": "LogAppendTime"}, "message.timestamp.type=CreateTime"),
        (EVENTS, {"max_message_bytes": "1048588"}, "max.message.bytes=1114112"),
        (EVENTS, {"unclean_leader_election_enable": "true"}, "unclean.leader.election.enable=false"),
        (EVENTS, {"min_insync_replicas": "1"}, "min.insync.replicas=2"),
        (EVENTS, {"min_insync_replicas": "3"}, "3 replicas on as many brokers, with min.insync.replicas=2"),
        (EVENTS, {"min_insync_replicas": "4"}, "min.insync.replicas=2"),
    ],
)
def test_each_wrong_setting_is_named_with_what_sets_it_right(
    contract: TopicConfig, changed: Mapping[str, str], fix: str
) -> None:
    [finding] = judge(topic(contract, **changed), contract)  # type: ignore[arg-type]
    assert finding.state is State.PROBLEM
    assert fix in finding.fix
    assert next(iter(changed)).replace("_", ".") in finding.what


def test_larger_records_than_ours_may_be_taken() -> None:
    assert judge(topic(EVENTS, max_message_bytes="9999999"), EVENTS)[0].state is State.OK


def test_too_few_replicas_are_named_where_there_are_brokers_for_more() -> None:
    [finding] = judge(topic(EVENTS, replicas=1, brokers=2, min_insync_replicas="1"), EVENTS)
    assert "1 replicas on 2 brokers" in finding.what
    assert "kafka-reassign-partitions.sh" in finding.fix


def test_keys_in_two_partitions_have_no_order() -> None:
    [finding] = judge(topic(KEYS, partitions=2), KEYS)
    assert "2 partitions instead of 1" in finding.what
    assert "ses-metrics-topics" in finding.fix
    assert judge(topic(EVENTS, partitions=12), EVENTS)[0].state is State.OK


def test_all_that_is_wrong_is_said_at_once() -> None:
    found = judge(topic(EVENTS, retention_ms="1", min_insync_replicas="1"), EVENTS)
    assert [finding.state for finding in found] == [State.PROBLEM] * 2
