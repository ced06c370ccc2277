"""The settings of any program, as it would read them: from the environment, and from a file."""

from pathlib import Path

import pytest

from deploy.doctor.check import State
from deploy.doctor.site import (
    PROGRAMS,
    as_env_file,
    check_settings,
    kafka_addresses,
    misspelt,
    read,
    redis_addresses,
    redis_user,
)
from schemas.topics import API_KEYS, DEAD_LETTERS, EVENTS


@pytest.fixture(autouse=True)
def no_settings_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for settings in PROGRAMS.values():
        for name in settings.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)


def test_a_program_is_looked_at_by_its_own_settings_and_no_others() -> None:
    ingest = read(["ingest"], None)
    assert ingest.names == ["ingest"]
    assert ingest.redis is None
    assert ingest.topics == {"ses-events": EVENTS}
    api = read(["api"], None)
    assert (api.events_topic, set(api.topics)) == (None, {"api-keys"})
    assert api.redis is not None
    worker = read(["aggregator"], None)
    assert worker.topics["ses-events-dlq"] == DEAD_LETTERS
    assert "api-keys" not in worker.topics
    assert read(list(PROGRAMS), None).topics["api-keys"] == API_KEYS


def test_names_are_those_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTS_TOPIC", "mail")
    monkeypatch.setenv("CONSUMER_GROUP", "counters")
    names = read(["aggregator"], None).names_in_kafka
    assert names["ses-events"] == "mail"
    assert names["aggregator"] == "counters"
    assert names["ses-events-dlq"] == "ses-events-dlq"


def test_a_file_is_read_and_the_environment_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".env"
    file.write_text("EVENTS_TOPIC=of-the-file\nINGEST_PORT=1234\nPATH=/nowhere\n")
    monkeypatch.setenv("EVENTS_TOPIC", "of-the-environment")
    settings = read(["ingest"], file).ingest
    assert settings is not None
    assert (settings.events_topic, settings.ingest_port) == ("of-the-environment", 1234)


def test_what_the_stack_writes_down_is_read_back(tmp_path: Path) -> None:
    environment = {
        "PAGE_NOTICE": "it's a \\ of 100 % # here",
        "SNS_TOPIC_ARNS": "arn:aws:sns:eu-central-1:000000000000:a",
        "HOME": "no setting",
    }
    file = tmp_path / "stack.env"
    file.write_text(as_env_file(environment))
    assert "HOME" not in file.read_text()
    site = read(list(PROGRAMS), file)
    assert site.api is not None
    assert site.ingest is not None
    assert site.api.page_notice == environment["PAGE_NOTICE"]
    assert site.ingest.sns_topic_arns == {environment["SNS_TOPIC_ARNS"]}


def test_a_setting_that_cannot_be_right_is_a_problem_of_the_programs_that_read_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SNS_TOPIC_ARNS", "mail-events")
    site = read(list(PROGRAMS), None)
    assert site.names == ["aggregator", "api"]
    [finding] = check_settings(site, [])
    assert finding.state is State.PROBLEM
    assert finding.what.startswith("ingest cannot start: SNS_TOPIC_ARNS")
    monkeypatch.setenv("KAFKA_SSL_CA_LOCATION", "/nope")
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SSL")
    found = check_settings(read(["aggregator", "api"], None), [])
    assert ["aggregator, api cannot start" in each.what for each in found] == [True]
    assert "/nope" in found[0].what


def test_a_variable_that_nearly_is_a_setting_is_named_and_others_are_not() -> None:
    assert misspelt(["SNS_TOPIC_ARN", "KAFKA_BOOTSTRAP_SERVER", "redis_urls"]) == {
        "SNS_TOPIC_ARN": "SNS_TOPIC_ARNS",
        "KAFKA_BOOTSTRAP_SERVER": "KAFKA_BOOTSTRAP_SERVERS",
        "REDIS_URLS": "REDIS_URL",
    }
    assert misspelt(["PATH", "REDIS_PORT", "KAFKA_HEAP_OPTS", "SNS_TOPIC_ARNS", "redis_url"]) == {}
    site = read(["ingest"], None)
    assert [each.fix for each in check_settings(site, ["TENANT_TAGS"])] == ["do you mean TENANT_TAG?"]
    assert [each.state for each in check_settings(site, ["PATH"])] == [State.OK]


def test_addresses_and_users_are_read_off_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "a.example:9093, b.example,[::1]:9094,c:port")
    monkeypatch.setenv("REDIS_URL", "redis://us%2Fer:p%40ss@c.example:7000/0,redis://d.example")
    monkeypatch.setenv("REDIS_CLUSTER", "true")
    site = read(["aggregator"], None)
    assert site.kafka is not None
    assert site.redis is not None
    assert kafka_addresses(site.kafka) == [
        ("a.example", 9093),
        ("b.example", 9092),
        ("::1", 9094),
        ("c:port", 9092),
    ]
    assert redis_addresses(site.redis) == [("c.example", 7000), ("d.example", 6379)]
    assert redis_user(site.redis) == "us/er"
    monkeypatch.setenv("REDIS_URL", "unix:///run/redis.sock")
    local = read(["aggregator"], None).redis
    assert local is not None
    assert redis_addresses(local) == []
