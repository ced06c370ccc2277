"""A whole stack without logins: healthy, nothing is found; broken in one thing, just that is, with its fix.

Each fault is planted in the real servers and programs, or in the settings, and taken away again.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from confluent_kafka import OFFSET_END, TopicPartition
from confluent_kafka.admin import AdminClient

from api.clock import now_ms
from deploy.doctor.check import State
from deploy.doctor.kafka_side import TRY_S, Kafka
from schemas.shared.settings import KafkaSettings
from schemas.topics import API_KEYS_TOPIC
from tests.chaos.proxy import Proxy
from tests.deploy.doctor.conftest import REAL_ARN, Plain
from tests.deploy.doctor.stand import Seen, check_names, look, redis_setting, topic_setting
from tests.deploy.doctor.wrong_settings import wrong_settings
from tests.pipeline import webhook
from tests.pipeline.programs import LIMIT_S

pytestmark = pytest.mark.programs

MINUTE_MS: Final = 60_000


def test_nothing_is_found_where_all_is_well(plain: Plain) -> None:
    """And nothing is left out. A server that is read by its own name is one that follows itself."""
    rows = look(plain.environment | {"REDIS_READ_URL": plain.environment["REDIS_URL"]})
    assert [row for row in rows if row.finding.state is not State.OK] == []
    assert {row.check for row in rows} == {
        *("settings", "kafka address", "kafka login", "kafka brokers", "kafka rights"),
        *(
            f"topic {plain.environment[name]}"
            for name in ("EVENTS_TOPIC", "DEAD_LETTER_TOPIC", "ERASURES_TOPIC")
        ),
        f"topic {API_KEYS_TOPIC}",
        *("redis address", "redis login", "redis server", "redis persistence", "redis memory"),
        *("redis rights", "redis clock", "ingest answers", "aggregator answers", "api answers"),
        *("replica address", "replica login", "replica rights", "replica"),
        *("sns topics", "signing certificates", "last delivery", "refused deliveries"),
        *("generation", "rules", "lag", "freshness"),
    }


@pytest.mark.parametrize("program", ["ingest", "aggregator", "api"])
def test_each_program_by_itself_is_well(plain: Plain, program: str) -> None:
    """What its settings do not tell of is not looked at."""
    rows = look(plain.environment, [program])
    assert [row for row in rows if row.finding.state is not State.OK] == []
    assert ("generation" in {row.check for row in rows}) is (program != "ingest")


def test_each_wrong_setting_is_named_with_its_fix(plain: Plain) -> None:
    for name, (settings, seen) in wrong_settings(plain).items():
        rows = look(plain.environment | settings)
        try:
            check_names(rows, *seen)
        except AssertionError as error:
            error.add_note(name)
            raise


def broken_parts(plain: Plain) -> dict[str, tuple[AbstractContextManager[None], tuple[Seen, ...]]]:
    """Faults of the servers: what breaks them meanwhile, and what must be seen."""
    kafka, dead_letters = plain.place.bootstrap, plain.environment["DEAD_LETTER_TOPIC"]

    def setting(topic: str, name: str, value: str) -> AbstractContextManager[None]:
        return topic_setting(kafka, topic, name, value)

    def seen(topic: str, what: str, fix: str) -> tuple[Seen, ...]:
        return (Seen(f"topic {topic}", what, f"--entity-name {topic} --add-config {fix}"),)

    valkey = plain.place.redis
    return {
        "events are deleted by age": (
            setting(plain.events, "retention.ms", "604800000"),
            seen(plain.events, "retention.ms=604800000", "retention.ms=-1"),
        ),
        "dead letters are compacted": (
            setting(dead_letters, "cleanup.policy", "compact"),
            seen(dead_letters, "cleanup.policy=compact", "cleanup.policy=delete"),
        ),
        "the broker stamps records": (
            setting(plain.events, "message.timestamp.type", "LogAppendTime"),
            seen(plain.events, "message.timestamp.type=LogAppendTime", "message.timestamp.type=CreateTime"),
        ),
        "large records are refused": (
            setting(plain.events, "max.message.bytes", "1000000"),
            seen(plain.events, "max.message.bytes=1000000", "max.message.bytes=1114112"),
        ),
        "more replicas in sync than there are": (
            setting(plain.events, "min.insync.replicas", "2"),
            seen(plain.events, "Kafka takes no record at all", "min.insync.replicas=1"),
        ),
        "leaders that lack events": (
            setting(plain.events, "unclean.leader.election.enable", "true"),
            seen(plain.events, "acknowledged events may vanish", "unclean.leader.election.enable=false"),
        ),
        "keys are not compacted": (
            setting(API_KEYS_TOPIC, "cleanup.policy", "delete"),
            seen(API_KEYS_TOPIC, "cleanup.policy=delete", "cleanup.policy=compact"),
        ),
        "redis loses all at a restart": (
            redis_setting(valkey, "appendonly", "no"),
            (Seen("redis persistence", "a restart loses counters", "CONFIG SET appendonly yes"),),
        ),
        "redis has no memory left": (
            redis_setting(valkey, "maxmemory", str(int(valkey.info("memory")["used_memory"]) + 2**17)),
            (Seen("redis memory", "it will soon take no writes", "generations drop --retired"),),
        ),
        "a certificate that is none": (
            broken_certificate(plain.certificates),
            (Seen("signing certificates", "cannot be used", "fetch it anew"),),
        ),
    }


def test_each_broken_part_is_named_with_its_fix(plain: Plain) -> None:
    """The worker is not asked: some of these it notices too, and says so when it does."""
    for name, (planted, seen) in broken_parts(plain).items():
        with planted:
            rows = look(plain.environment | {"AGGREGATOR_PORT": "0"})
        try:
            check_names(rows, *seen)
        except AssertionError as error:
            error.add_note(name)
            raise
    plain.worker.wait_until_ready()


@contextmanager
def broken_certificate(folder: Path) -> Iterator[None]:
    path = folder / "SimpleNotificationService-00000000000000000000000000000000.pem"
    path.write_text("<html>captive portal</html>")
    yield
    path.unlink()


def test_a_redis_that_evicts_is_named_and_so_is_the_worker_that_waits(plain: Plain) -> None:
    """The worker looks at it by itself and says so, sooner or later."""
    with redis_setting(plain.place.redis, "maxmemory-policy", "allkeys-lru"):
        plain.worker.wait_until_unready_because("maxmemory-policy")
        rows = look(plain.environment)
    plain.worker.wait_until_ready()
    check_names(
        rows,
        Seen("redis server", "maxmemory-policy is allkeys-lru", "CONFIG SET maxmemory-policy noeviction"),
        Seen("aggregator answers", "maxmemory-policy", "runbook"),
    )


def test_a_clock_that_is_wrong_is_named(plain: Plain) -> None:
    """By Redis's clock, and by that of the ingest that stamped the last delivery."""
    behind = look(plain.environment, clock_ms=lambda: now_ms() - 10 * MINUTE_MS)
    [delivery] = [row for row in behind if row.check == "last delivery"]
    check_names(
        behind,
        Seen("redis clock", "s ahead of ours", "NTP"),
        Seen("last delivery", "ahead of our clock", "NTP"),
    )
    assert webhook.TOPIC_ARN not in delivery.finding.what


def test_counting_that_stands_still_is_named_with_what_waits(plain: Plain) -> None:
    """The worker is frozen, and what it last said is long ago."""
    with plain.frozen_worker() as environment:
        plain.deliver()
        for lane in plain.place.lanes():
            plain.place.redis.hset(lane, "c0", now_ms() - 10 * MINUTE_MS)
        rows = look(environment)
    plain.place.wait_until_counted(plain.worker)
    check_names(
        rows,
        Seen("lag", "1 records are not counted", "start `python -m aggregator`"),
        Seen("freshness", "partition 0", "start `python -m aggregator`"),
    )


@pytest.mark.parametrize(("name", "what"), [("end", "its log ends at"), ("lane", "are not there")])
def test_counters_that_do_not_fit_the_log_are_named(plain: Plain, name: str, what: str) -> None:
    """The worker is frozen, or it would say so itself, and count no more."""
    valkey, lane = plain.place.redis, plain.place.lanes()[3]
    before: Any = valkey.hgetall(lane)
    with plain.frozen_worker() as environment:
        if name == "end":
            valkey.hset(lane, "f0", 1_000_000)
        else:
            valkey.delete(lane)
        rows = look(environment)
        valkey.delete(lane)
        valkey.hset(lane, mapping=before)
    plain.worker.wait_until_ready()
    check_names(rows, Seen("lag" if name == "end" else "generation", what, "rebuild"))


def test_a_log_that_begins_above_what_is_counted_is_named(plain: Plain) -> None:
    """With an archive in the settings of the aggregator the fix is another one."""
    valkey, lane = plain.place.redis, plain.place.lanes()[3]
    admin = AdminClient({"bootstrap.servers": plain.place.bootstrap})
    partitions = range(len(admin.list_topics(plain.events, timeout=LIMIT_S).topics[plain.events].partitions))
    with plain.frozen_worker() as environment:
        cut = admin.delete_records([TopicPartition(plain.events, each, OFFSET_END) for each in partitions])
        begins = {each.partition: done.result(LIMIT_S).low_watermark for each, done in cut.items()}
        partition = max(begins, key=begins.__getitem__)
        before: Any = valkey.hget(lane, f"f{partition}")
        valkey.hset(lane, f"f{partition}", begins[partition] - 1)
        plain.deliver()  # else nothing was delivered as far as the topic tells
        unnamed, named = (look(environment | {"ARCHIVE_URL": url}) for url in ("", "file:///archive"))
        valkey.hset(lane, f"f{partition}", before)
    plain.place.wait_until_counted(plain.worker)
    what = f"its log starts at {begins[partition]}: records are gone"
    check_names(unnamed, Seen("lag", what, "else `python -m aggregator rebuild --allow-truncated`"))
    check_names(named, Seen("lag", what, "`python -m aggregator catch-up` counts them"))


def test_refused_deliveries_are_named_with_what_somebody_forgot(plain: Plain) -> None:
    """By an ingest of its own, which counts them until it ends."""
    ingest = plain.place.programs.ingest(REAL_ARN, plain.certificates)
    ingest.wait_until_ready()
    envelope = plain.signer.notification(webhook.TOPIC_ARN, "{}")
    url, raw = f"{ingest.url}/webhooks/sns", {"x-amz-sns-rawdelivery": "true"}
    assert httpx.post(url, json=envelope, trust_env=False).status_code == 403
    assert httpx.post(url, content="{}", headers=raw, trust_env=False).status_code == 403
    rows = look(plain.environment | {"INGEST_PORT": ingest.url.rpartition(":")[2]})
    ingest.stop()
    check_names(
        rows,
        Seen("refused deliveries", "1 deliveries were refused as unlisted_topic", "add that topic"),
        Seen(
            "refused deliveries", "1 deliveries were refused as raw_delivery", "switch raw message delivery"
        ),
    )


def test_a_kafka_that_is_slow_to_begin_is_there(plain: Plain) -> None:
    """Where connecting takes longer than one try, it is not called away."""
    host, _, port = plain.place.bootstrap.rpartition(":")
    with Proxy(int(port)) as network:
        late = network.at_call(b"", after=partial(time.sleep, TRY_S + 0.5))
        kafka = Kafka(KafkaSettings(kafka_bootstrap_servers=f"{host}:{network.port}"))
        assert list(kafka.brokers.values()) == [(host, int(port))]
        assert late.is_set()
