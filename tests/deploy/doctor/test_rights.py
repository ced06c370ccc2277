"""The rights are those that `deploy/security` grants, and what is lacking is named with its grant."""

from pathlib import Path

import pytest

from deploy.doctor.check import State
from deploy.doctor.rights import (
    THE_RECORD,
    USERS,
    KafkaRight,
    judge_kafka,
    judge_redis,
    kafka_rights,
    redis_calls,
    redis_commands,
)
from tests.pipeline import secured

NAMES = {"ses-events": "mail", "aggregator": "counters"}


@pytest.mark.programs  # runs the script, with stand-ins for Kafka's tools
def test_kafkas_rights_are_those_that_the_script_grants(tmp_path: Path) -> None:
    granted = secured.kafka_rights(tmp_path / "bin")
    for program, user in USERS.items():
        wanted = [
            KafkaRight(each.operation.upper(), each.kind, each.name) for each in granted if each.user == user
        ]
        assert wanted
        assert kafka_rights([program], {}) == wanted


def test_topics_and_groups_have_the_names_of_the_settings() -> None:
    wanted = kafka_rights(["ingest", "aggregator"], NAMES)
    assert {str(each) for each in wanted} >= {
        "WRITE on mail",
        "READ on mail",
        "READ on group counters",
        "WRITE on ses-events-dlq",
    }
    assert len(set(wanted)) == len(wanted)


def test_a_lacking_right_is_named_with_the_command_that_grants_it() -> None:
    wanted = [KafkaRight("WRITE", "topic", "mail"), KafkaRight("READ", "group", "counters")]
    granted = {("topic", "mail"): {"READ", "DESCRIBE"}, ("group", "counters"): {"READ"}}
    [finding] = judge_kafka(wanted, granted, "ses-ingest")
    assert finding.state is State.PROBLEM
    assert finding.what == "this Kafka user lacks WRITE on mail"
    assert "--allow-principal User:ses-ingest --operation Write --topic mail" in finding.fix
    granted["topic", "mail"].add("WRITE")
    assert [each.state for each in judge_kafka(wanted, granted, "ses-ingest")] == [State.OK]


def test_redis_commands_are_those_of_the_users_line() -> None:
    worker, api = redis_commands(["aggregator"]), redis_commands(["api"])
    assert {"hset", "script|load", "evalsha", "expireat"} <= set(worker)
    assert "hset" not in api
    assert set(redis_commands(["aggregator", "api"])) == {*worker, *api}
    assert redis_commands(["ingest"]) == []


def test_each_command_is_asked_for_with_a_key_of_ours_where_it_takes_one() -> None:
    assert dict(redis_calls(["hset", "ping", "script|load", "eval", "scan"])) == {
        THE_RECORD: ["GET", "{ses-metrics}:generations"],
        "hset": ["hset", "{doctor:0}"],
        "ping": ["ping"],
        "script|load": ["script", "load", "x"],
        "eval": ["eval", "x", "1", "{doctor:0}"],
        "scan": ["scan", "0"],
    }


def test_lacking_commands_and_keys_are_told_apart() -> None:
    wanted = ["hset", "script|load"]
    assert judge_redis(wanted, [], "w")[0].state is State.OK
    [commands] = judge_redis(wanted, ["hset", "script|load"], "w")
    assert commands.fix.startswith("ACL SETUSER w +hset +script|load")
    [keys] = judge_redis(wanted, [THE_RECORD, "hset"], "w")
    assert "record of the generations" in keys.what
    assert "~{ses-metrics}:*" in keys.fix
