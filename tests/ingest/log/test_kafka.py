"""The true program and a real Kafka.

Long because all of it uses one Kafka, and each case is one way for it to fail.
"""

import asyncio
import itertools
import json
import random
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from structlog.contextvars import bound_contextvars, get_contextvars

from deploy.kafka import Kafka
from deploy.processes import Waiting, free_port
from deploy.signing import Signer
from ingest.errors import TryAgain
from ingest.log.publish import ANSWER_SECONDS, KafkaPublisher
from ingest.log.record import EventRecord
from schemas.shared.settings import EventsSettings
from schemas.topics import EVENTS, TopicConfig
from tests import services
from tests.ingest.program import LIMIT_S, Program, environment, program
from tests.ingest.support import TOPIC, comes, event
from tests.librdkafka import break_for_good

WAIT_S = 120.0
RENEWED_WITHIN_S = 30.0


def records(bootstrap: str, topic: str) -> "list[Message[bytes, bytes]]":
    """Everything that the topic holds, in the order of partition and offset."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False})
    found = []
    try:
        for partition in consumer.list_topics(topic, timeout=WAIT_S).topics[topic].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=WAIT_S)
            consumer.assign([TopicPartition(topic, partition, low)])
            until = time.monotonic() + WAIT_S
            while low < high:
                assert time.monotonic() < until, f"{low} of {high} records read"
                message = consumer.poll(1.0)
                if message is not None:
                    assert message.error() is None
                    found.append(message)
                    low += 1
    finally:
        consumer.close()
    return found


def deliver(to: Program, envelope: dict[str, str]) -> int:
    body = json.dumps(envelope)
    return httpx.post(f"{to.url}/webhooks/sns", content=body, trust_env=False, timeout=60).status_code


@pytest.fixture
def topic(kafka_bootstrap: str, topic_prefix: str) -> str:
    name = f"{topic_prefix}ses-events"
    services.create_topics(kafka_bootstrap, {name: EVENTS})
    return name


def test_what_is_answered_with_200_is_on_the_topic(
    kafka_bootstrap: str, topic: str, signer: Signer, certificates: Path, tmp_path: Path
) -> None:
    """Byte for byte, under its key, with where it came from, at the producer's own time."""
    messages = {
        "mail-1": event("mail-1"),
        "mail-\N{ROCKET}": event("mail-\N{ROCKET}"),
        "sns-3": "not an event \0\N{SNOWMAN}\n",
        "sns-4": "",
        "sns-5": "5" * 1_000_000,
        "k" * 10_000: event("k" * 10_000),
    }
    settings = {"SNS_TOPIC_ARNS": TOPIC, "SNS_CERTIFICATE_DIR": str(certificates), "EVENTS_TOPIC": topic}
    began = time.time() * 1000
    with program(tmp_path, KAFKA_BOOTSTRAP_SERVERS=kafka_bootstrap, **settings) as it:
        for number, message in enumerate(messages.values(), 1):
            envelope = signer.notification(TOPIC, message, message_id=f"sns-{number}")
            wait_until(partial(is_taken, it, envelope))  # again, as SNS does it: found once below, by its key
        assert deliver(it, signer.notification(TOPIC, event()) | {"Message": "forged"}) == 403
        wait_until(lambda: httpx.get(f"{it.url}/readyz", trust_env=False, timeout=60).status_code == 200)
    found = {(message.key() or b"").decode(): message for message in records(kafka_bootstrap, topic)}
    assert {key: (message.value() or b"").decode() for key, message in found.items()} == messages
    for number, key in enumerate(messages, 1):
        headers = [("sns-message-id", f"sns-{number}".encode()), ("sns-topic-arn", TOPIC.encode())]
        assert found[key].headers() == headers
        assert began - 1000 <= found[key].timestamp()[1] <= time.time() * 1000 + 1000


def test_a_topic_that_is_missing_is_neither_made_nor_believed_to_be_there(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    settings = EventsSettings(kafka_bootstrap_servers=kafka_bootstrap, events_topic=f"{topic_prefix}missing")

    async def use() -> None:
        async with KafkaPublisher(settings, pytest.fail) as publisher:
            with pytest.raises(TryAgain, match="missing"):
                await publisher.check()
            with pytest.raises(TryAgain):
                await publisher.publish(EventRecord(b"k", b"v", ()))
            services.create_topics(kafka_bootstrap, {settings.events_topic: EVENTS})
            await until_it_publishes(publisher)

    asyncio.run(use())


async def until_it_publishes(publisher: KafkaPublisher) -> None:
    until = time.monotonic() + WAIT_S
    while True:
        try:
            await publisher.publish(EventRecord(b"k", b"v", ()))
        except TryAgain:
            assert time.monotonic() < until
        else:
            return


def wait_until(done: Callable[[], bool], why_not: str = "", limit_s: float = WAIT_S) -> None:
    until = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < until, why_not
        time.sleep(0.05)


def is_taken(it: Program, envelope: dict[str, str]) -> bool:
    return deliver(it, envelope) == 200


def is_replaced(publisher: KafkaPublisher, producer: Producer) -> bool:
    return publisher._producer is not producer


def test_a_producer_that_is_broken_for_good_is_replaced(
    kafka_bootstrap: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What librdkafka calls a fatal error ends with the producer, not with the program, however often.

    Who waits meanwhile hears it in time, we are not ready until it works again, and what was said to be taken
    is on the topic.
    """
    settings = EventsSettings(kafka_bootstrap_servers=kafka_bootstrap, events_topic=topic)
    faults, taken = list[str](), list[bytes]()
    monkeypatch.setattr("ingest.log.publish.TROUBLE_SECONDS", 600.0)  # only a record that is taken ends it

    async def use() -> None:
        async with KafkaPublisher(settings, faults.append) as publisher:

            async def send(value: bytes) -> None:
                await publisher.publish(EventRecord(b"k", value, ()))
                taken.append(value)

            await send(b"before")
            await publisher.check()
            for turn in range(2):
                broken = publisher._producer
                many = asyncio.gather(
                    *(send(b"%d %d" % (turn, n)) for n in range(200)), return_exceptions=True
                )
                await asyncio.sleep(0)
                break_for_good(broken)
                ends = await asyncio.wait_for(many, ANSWER_SECONDS + 1)
                assert all(isinstance(end, TryAgain | None) for end in ends)
                replaced = partial(is_replaced, publisher, broken)
                why_not = "the producer is not replaced"
                await asyncio.to_thread(wait_until, replaced, why_not, RENEWED_WITHIN_S)
                with pytest.raises(TryAgain, match="takes no records"):
                    await publisher.check()
                await send(b"after %d" % turn)
                await publisher.check()

    asyncio.run(use())
    assert faults == []
    found = [message.value() or b"" for message in records(kafka_bootstrap, topic)]
    assert set(taken) <= set(found)
    assert {b"before", b"after 0", b"after 1"} <= set(found)


@pytest.mark.programs
def test_a_producer_may_break_for_good_while_kafka_is_away() -> None:
    """It is replaced then too, and who waits for it hears it at once, not when time has run out."""
    settings = EventsSettings(kafka_bootstrap_servers=f"127.0.0.1:{free_port()}")

    async def use() -> None:
        async with KafkaPublisher(settings, pytest.fail) as publisher:
            for _ in range(2):
                broken = publisher._producer
                waiting = asyncio.create_task(publisher.publish(EventRecord(b"k", b"v", ())))
                await asyncio.sleep(0)
                break_for_good(broken)
                replaced = partial(is_replaced, publisher, broken)
                why_not = "the producer is not replaced"
                await asyncio.to_thread(wait_until, replaced, why_not, RENEWED_WITHIN_S)
                with pytest.raises(TryAgain):
                    await waiting
                with pytest.raises(TryAgain, match="out of order"):
                    await publisher.check()

    asyncio.run(use())


@pytest.mark.programs
def test_a_new_producer_that_breaks_at_once_is_replaced_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A producer says once that it is broken: it is heard also while the one before is being replaced.

    Nor is that told of in the name of the delivery that happened to be under way.
    """
    settings = EventsSettings(kafka_bootstrap_servers=f"127.0.0.1:{free_port()}")
    said: list[dict[str, Any]] = []
    monkeypatch.setattr("ingest.log.publish.log.error", lambda *_, **__: said.append(get_contextvars()))
    renew = KafkaPublisher._renew
    made: list[Producer] = []

    def renew_and_break(publisher: KafkaPublisher) -> None:
        renew(publisher)
        made.append(publisher._producer)
        if len(made) == 1:
            break_for_good(publisher._producer)
            time.sleep(0.3)  # the loop asks the new one before it knows that this has ended

    monkeypatch.setattr(KafkaPublisher, "_renew", renew_and_break)

    async def use() -> None:
        async with KafkaPublisher(settings, pytest.fail) as publisher:
            await asyncio.sleep(0.2)  # idle by now, so the delivery has the polling begin anew
            assert publisher._idle
            with bound_contextvars(request_id="of one delivery"):
                waiting = asyncio.create_task(publisher.publish(EventRecord(b"k", b"v", ())))
            await asyncio.sleep(0.05)
            break_for_good(publisher._producer)
            why_not = "the new producer is not replaced"
            await asyncio.to_thread(wait_until, lambda: len(made) > 1, why_not, RENEWED_WITHIN_S)
            with pytest.raises(TryAgain):
                await waiting

    asyncio.run(use())
    assert made[0] is not made[1]
    assert len([each for each in said if each]) <= 1, "but that the delivery itself was not taken"


@pytest.mark.programs
def test_the_end_of_the_polling_ends_the_program(tmp_path: Path) -> None:
    """Whatever it dies of: exit status 1 and the reason, so that a supervisor starts it anew."""
    for polls in (0, 5):
        script = f"""
import itertools
from ingest import __main__
from ingest.log import publish
polls = itertools.count()
poll = publish.KafkaPublisher._serve_callbacks
def serve_callbacks(publisher, producer):
    if next(polls) == {polls}:
        raise RuntimeError("nobody thought of this")
    poll(publisher, producer)
publish.KafkaPublisher._serve_callbacks = serve_callbacks
__main__.cli([])
"""
        ended = subprocess.run(
            [sys.executable, "-c", script],
            env=environment(
                INGEST_PORT=str(free_port()),
                KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}",
                SHUTDOWN_GRACE_S="60",
            ),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert ended.returncode == 1, ended.stderr
        last = ended.stderr.splitlines()[-1]
        assert last.startswith("ingest: what serves Kafka has ended")
        assert "nobody thought of this" in last


def in_partition(partition: int, number: int) -> bytes:
    """The key of that number among those that belong to a partition, as Kafka's clients in C spread keys."""
    keys = (b"mail-%d" % n for n in itertools.count())
    return next(
        itertools.islice((k for k in keys if zlib.crc32(k) % EVENTS.partitions == partition), number, None)
    )


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No record is given up because Kafka or this machine pauses."""
    monkeypatch.setattr("ingest.log.publish.MESSAGE_TIMEOUT_MS", 60_000)
    monkeypatch.setattr("ingest.log.publish.ANSWER_SECONDS", 60.0)


@pytest.mark.usefixtures("patient")
def test_of_many_in_flight_each_is_reported_of_itself(kafka_bootstrap: str, topic_prefix: str) -> None:
    """A record that Kafka refuses fails alone, whatever is acknowledged in the same moment."""
    settings = EventsSettings(kafka_bootstrap_servers=kafka_bootstrap, events_topic=f"{topic_prefix}small")
    small = TopicConfig(EVENTS.partitions, {**EVENTS.config, "max.message.bytes": "50000"})
    services.create_topics(kafka_bootstrap, {settings.events_topic: small})
    taken = [EventRecord(in_partition(n % 3, n), b"%d" % n, ()) for n in range(90)]
    refused = [EventRecord(in_partition(3, n), random.randbytes(100_000), ()) for n in range(3)]
    sent = [*taken[:30], refused[0], *taken[30:50], refused[1], refused[2], *taken[50:]]

    async def use() -> list[BaseException | None]:
        async with KafkaPublisher(settings, pytest.fail) as publisher:
            return await asyncio.gather(*map(publisher.publish, sent), return_exceptions=True)

    answers = asyncio.run(use())
    assert [isinstance(answer, TryAgain) for answer in answers] == [record in refused for record in sent]
    assert [answer for answer in answers if not isinstance(answer, TryAgain)] == [None] * len(taken)
    found = sorted(
        (message.key(), message.value()) for message in records(kafka_bootstrap, settings.events_topic)
    )
    assert found == sorted((record.key, record.value) for record in taken)


@pytest.mark.usefixtures("patient")
def test_an_answer_that_was_given_is_not_changed_by_a_late_report(
    kafka_bootstrap: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who gave up has heard so; the others, before and after, learn of their own records."""
    settings = EventsSettings(kafka_bootstrap_servers=kafka_bootstrap, events_topic=topic)

    async def use() -> None:
        async with KafkaPublisher(settings, pytest.fail) as publisher:
            await publisher.publish(EventRecord(b"k", b"before", ()))
            with monkeypatch.context() as impatient:
                impatient.setattr("ingest.log.publish.ANSWER_SECONDS", 0.0)
                with pytest.raises(TryAgain):
                    await publisher.publish(EventRecord(b"k", b"given up", ()))
            await publisher.publish(EventRecord(b"k", b"after", ()))

    asyncio.run(use())
    found = [message.value() for message in records(kafka_bootstrap, topic)]
    assert found == [b"before", b"given up", b"after"]


@pytest.mark.usefixtures("patient")
def test_a_record_is_reported_soon_however_long_none_was_under_way(
    kafka_bootstrap: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its acknowledgement does not wait for the next of the polls that are far between."""
    settings = EventsSettings(kafka_bootstrap_servers=kafka_bootstrap, events_topic=topic)
    monkeypatch.setattr("ingest.log.publish.IDLE_POLL_S", 3_600.0)

    async def use() -> None:
        async with KafkaPublisher(settings, pytest.fail) as publisher:
            for _ in range(3):
                await comes(lambda: publisher._idle)
                await publisher.publish(EventRecord(b"k", b"v", ()))

    asyncio.run(use())


@pytest.mark.usefixtures("patient")
def test_what_is_in_flight_at_the_end_is_still_reported(kafka_bootstrap: str, topic: str) -> None:
    settings = EventsSettings(kafka_bootstrap_servers=kafka_bootstrap, events_topic=topic)

    async def use() -> list[None]:
        async with KafkaPublisher(settings, pytest.fail) as publisher:
            sent = [EventRecord(b"k", b"%d" % number, ()) for number in range(500)]
            waiting = asyncio.gather(*map(publisher.publish, sent))
            await asyncio.sleep(0)
        return await asyncio.wait_for(waiting, timeout=0.1)

    assert asyncio.run(use()) == [None] * 500
    assert [message.value() for message in records(kafka_bootstrap, topic)] == [b"%d" % n for n in range(500)]


def test_an_outage_is_503_in_time_and_ends_with_it(
    kafka_factory: Callable[[], Kafka], signer: Signer, certificates: Path, tmp_path: Path
) -> None:
    """While Kafka is away SNS is answered 503; when it is back, messages are taken again."""
    kafka = kafka_factory()
    services.create_topics(kafka.bootstrap, {"ses-events": EVENTS})
    settings = {"SNS_TOPIC_ARNS": TOPIC, "SNS_CERTIFICATE_DIR": str(certificates)}
    taken = []

    def send(it: Program) -> int:
        name = f"mail-{time.monotonic_ns()}"
        status = deliver(it, signer.notification(TOPIC, event(name)))
        if status == 200:
            taken.append(name)
        return status

    with program(tmp_path, KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap, **settings) as it:
        wait_until(lambda: send(it) == 200)
        for _ in range(2):
            kafka.kill()
            assert send(it) == 503
            assert httpx.get(f"{it.url}/readyz", trust_env=False, timeout=60).status_code == 503
            kafka.start(Waiting(limit_s=WAIT_S))
            wait_until(lambda: send(it) == 200)
        wait_until(lambda: httpx.get(f"{it.url}/readyz", trust_env=False, timeout=60).status_code == 200)
    assert set(taken) <= {
        (message.key() or b"").decode() for message in records(kafka.bootstrap, "ses-events")
    }
