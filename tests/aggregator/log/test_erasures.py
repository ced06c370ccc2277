"""The topic of erasures on a real Kafka: all of it is read, or nothing is known."""

from collections.abc import Iterator
from contextlib import closing

import msgspec
import pytest
from confluent_kafka import Producer

from aggregator.errors import KafkaUnavailableError, OtherLogError
from aggregator.log.erasures import ErasureTopic
from schemas.shared.settings import TopicsSettings
from schemas.topics import ERASURES, ErasureRecord
from tests import services
from tests.pipeline.programs import wait_until


@pytest.fixture
def settings(kafka_bootstrap: str, topic_prefix: str) -> TopicsSettings:
    found = TopicsSettings(kafka_bootstrap_servers=kafka_bootstrap, erasures_topic=f"{topic_prefix}erasures")
    services.create_topics(kafka_bootstrap, {found.erasures_topic: ERASURES})
    wait_until(lambda: answers(found), "its partition has a leader")
    return found


def answers(settings: TopicsSettings) -> bool:
    with closing(ErasureTopic(settings)) as topic:
        try:
            topic.end()
        except KafkaUnavailableError:
            return False
    return True


@pytest.fixture
def topic(settings: TopicsSettings) -> Iterator[ErasureTopic]:
    with closing(ErasureTopic(settings)) as made:
        yield made


def write(settings: TopicsSettings, key: str, value: bytes | None) -> None:
    producer = Producer(settings.librdkafka())
    producer.produce(settings.erasures_topic, key=key, value=value, partition=0)
    assert producer.flush(20) == 0


def test_each_reading_goes_to_the_end_as_it_is_then(settings: TopicsSettings, topic: ErasureTopic) -> None:
    """By one that has read before, and by one that has not; a record without a value changes nothing."""
    assert (topic.read().table, topic.read().end) == ({}, 0)
    expected: dict[str, tuple[int, int]] = {}
    for number, (tenant, through_ms) in enumerate([("ünï:{x}", 7), ("b", 5), ("b", 3)], 1):
        topic.write(ErasureRecord(tenant=tenant, through_ms=through_ms))
        expected[tenant] = max(through_ms, expected.get(tenant, (0, 0))[0]), number
        assert topic.end() == number
        with closing(ErasureTopic(settings)) as other:
            for each in (topic.read(), other.read()):
                assert (each.table, each.end) == (expected, number)
    write(settings, "5:b", None)
    assert (topic.read().table, topic.read().end) == (expected, 4)


def test_a_topic_that_is_not_there_is_not_taken_for_an_empty_one(settings: TopicsSettings) -> None:
    missing = settings.model_copy(update={"erasures_topic": f"{settings.erasures_topic}-never-made"})
    with closing(ErasureTopic(missing)) as topic:
        for ask in (topic.read, topic.end):
            with pytest.raises(KafkaUnavailableError, match="ses-metrics-topics"):
                ask()


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b'{"version": 2, "tenant": "a", "through_ms": 1}', b'{"tenant": "a", "through_ms": -1}'],
)
def test_what_cannot_be_understood_is_not_passed_over(
    settings: TopicsSettings, topic: ErasureTopic, value: bytes
) -> None:
    """It may erase somebody: nothing is counted until it is known whom."""
    topic.write(ErasureRecord(tenant="a", through_ms=1))
    write(settings, "k", value)
    for _ in range(2):
        with pytest.raises(OtherLogError, match="offset 1"):
            topic.read()


def test_a_record_is_keyed_by_what_it_says() -> None:
    """So compaction takes away only what is said again."""
    records = [ErasureRecord(tenant=t, through_ms=at) for t in ("a", "b", "1:a") for at in (1, 11)]
    assert len({each.key for each in records}) == len(records)
    assert msgspec.json.decode(msgspec.json.encode(records[0]), type=ErasureRecord) == records[0]
