"""Which generation a worker may count into: on a real Valkey and a real Kafka."""

import time
from collections.abc import Callable

import pytest
import redis
from confluent_kafka import Consumer, TopicPartition

from aggregator.config import AggregatorSettings
from aggregator.counters.generation import find_or_make_first, validate
from aggregator.counters.store import LaneCall, Store
from aggregator.counting.checkpoints import Move
from aggregator.counting.pack import pack_moves
from aggregator.counting.rules import Rules
from aggregator.errors import (
    ClosedError,
    GoneError,
    KafkaUnavailableError,
    OtherLogError,
    OtherRulesError,
    StoreUnavailableError,
    StoreUnsupportedError,
)
from aggregator.log.admin import Cluster, Log
from deploy.valkey import Valkey
from schemas.counters import LAYOUT, Generation
from schemas.kinds import FAMILIES, FIELDS
from schemas.redis_keys import RECORD_KEY, lane_key
from schemas.topics import EVENTS
from tests import services

RULES = Rules()
LOG = Log("cluster", "topic", 4)


def generation(**changes: object) -> Generation:
    fields: dict[str, object] = {
        "name": "g",
        "lanes": 2,
        "rules": RULES.fingerprint,
        "layout": LAYOUT,
        "kinds": FIELDS,
        "families": tuple(FAMILIES.items()),
        "scopes": RULES.scope_names,
        "identity_key": "00112233445566778899aabbccddeeff",
        "cluster_id": LOG.cluster_id,
        "topic_id": LOG.topic_id,
        "created_ms": 1,
    }
    return Generation(**(fields | changes))  # type: ignore[arg-type]  # a mapping has one type of value


def find(settings: AggregatorSettings, store: Store) -> Generation:
    """The generation, asked as a worker asks: a Kafka with its first group is not ready at once."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return find_or_make_first(store, Cluster(settings), RULES, settings.consumer_group, lanes=3)
        except KafkaUnavailableError:
            assert time.monotonic() < deadline, "Kafka does not answer"
            time.sleep(0.2)


@pytest.fixture
def settings(
    kafka_bootstrap: str, topic_prefix: str, valkey_factory: Callable[[], Valkey]
) -> AggregatorSettings:
    topic = f"{topic_prefix}events"
    services.create_topics(kafka_bootstrap, {topic: EVENTS})
    return AggregatorSettings(
        kafka_bootstrap_servers=kafka_bootstrap,
        redis_url=valkey_factory().url,
        events_topic=topic,
        consumer_group=f"{topic_prefix}group",
    )


@pytest.fixture
def store(settings: AggregatorSettings) -> Store:
    opened = Store(settings)
    opened.open()
    return opened


@pytest.mark.parametrize(
    ("live", "error"),
    [
        (None, GoneError),
        (generation(rules="others"), OtherRulesError),
        (generation(layout=LAYOUT + 1), OtherRulesError),
        (generation(layout=LAYOUT - 1), OtherRulesError),
        (generation(families=()), OtherRulesError),
        (generation(families=tuple(FAMILIES.items())[:1]), OtherRulesError),
        (generation(families=tuple(FAMILIES.items())[::-1]), OtherRulesError),
        (generation(families=(*FAMILIES.items(), ("more", ("printed",)))), OtherRulesError),
        (generation(families=tuple((name, of[::-1]) for name, of in FAMILIES.items())), OtherRulesError),
        (generation(cluster_id="another"), OtherLogError),
        (generation(topic_id="another"), OtherLogError),
    ],
)
def test_only_the_generation_of_these_rules_and_this_log_is_counted_into(
    live: Generation | None, error: type[Exception]
) -> None:
    """A worker counts into a generation of its own rules, layout, cluster and topic, and no other."""
    with pytest.raises(error):
        validate(live, RULES, LOG)
    assert validate(generation(), RULES, LOG) == generation()


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        (LAYOUT + 1, f"has layout {LAYOUT + 1}, of a newer version; .*: start workers of that version"),
        (LAYOUT - 1, f"has layout {LAYOUT - 1}, of an older version; .*: run `python -m aggregator rebuild`"),
    ],
)
def test_it_is_said_which_version_is_the_older_one(layout: int, said: str) -> None:
    """An old worker does not send its operator to a rebuild, which would go back."""
    with pytest.raises(OtherRulesError, match=said):
        validate(generation(layout=layout, rules="others"), RULES, LOG)


def test_the_first_generation_is_made_once(settings: AggregatorSettings, store: Store) -> None:
    """An empty Redis and a new group: the first worker makes it, the second finds it; all lanes are there."""
    first = find(settings, store)
    assert find(settings, store) == first
    assert store.checkpoints(first) == [{}] * first.lanes
    assert store.create(generation(name="late")) is False
    with pytest.raises(GoneError):
        store.checkpoints(generation(name="late"))


def test_no_generation_is_made_where_one_may_have_been(settings: AggregatorSettings, store: Store) -> None:
    """A wiped Redis is not a new one: neither with keys left, nor with offsets that the group committed."""
    with redis.Redis.from_url(settings.redis_url) as client:
        client.set("left", "over")
        with pytest.raises(GoneError):
            find(settings, store)
        client.flushall()
    consumer = Consumer({**settings.librdkafka(), "group.id": settings.consumer_group})
    consumer.commit(offsets=[TopicPartition(settings.events_topic, 2, 0)], asynchronous=False)
    consumer.close()
    with pytest.raises(GoneError, match="rebuild"):
        find(settings, store)
    assert store.live() is None


def test_a_topic_that_is_not_there_is_waited_for(settings: AggregatorSettings, store: Store) -> None:
    """No topic, no generation."""
    elsewhere = settings.model_copy(update={"events_topic": "never-made"})
    with pytest.raises(KafkaUnavailableError, match="never-made"):
        find_or_make_first(store, Cluster(elsewhere), RULES, "group", lanes=3)


def test_a_missing_or_retired_lane_is_gone(store: Store, settings: AggregatorSettings) -> None:
    """Checkpoints are read from whole generations only; and no hash is gone, never zero."""
    assert store.create(generation())
    answers = store.apply(
        generation(), [LaneCall(lane, pack_moves([Move(0, 0, lane + 3)])) for lane in (0, 1)]
    )
    assert [answer.status for answer in answers] == ["OK", "OK"]
    assert store.checkpoints(generation()) == [{0: 3}, {0: 4}]
    with redis.Redis.from_url(settings.redis_url) as client:
        client.hset(lane_key("g", 0), "retired", "h:1")
        with pytest.raises(ClosedError):
            store.checkpoints(generation())
        client.delete(lane_key("g", 0))
        with pytest.raises(GoneError):
            store.checkpoints(generation())


def test_an_unreadable_record_is_no_missing_one(store: Store, settings: AggregatorSettings) -> None:
    """What stands in the generation's key and cannot be read stops counting; it is not taken for nothing."""
    with redis.Redis.from_url(settings.redis_url) as client:
        client.set(RECORD_KEY, "{}")
    with pytest.raises(StoreUnavailableError):
        store.live()


def test_a_redis_that_evicts_keys_is_refused(settings: AggregatorSettings) -> None:
    """An evicted counter would be a wrong number, so such a server is not counted into."""
    with redis.Redis.from_url(settings.redis_url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(StoreUnsupportedError, match="noeviction"):
        Store(settings).open()


def test_a_redis_that_is_not_there_is_waited_for(settings: AggregatorSettings) -> None:
    """No answer is an error that the worker waits on, at once and without a second try inside."""
    nowhere = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    with pytest.raises(StoreUnavailableError):
        Store(nowhere).open()
