"""Dead letters: a worker writes each once, however often it resyncs; they are redriven as a stream."""

import time

from confluent_kafka import Producer

from aggregator.counting.facts import Refusal
from aggregator.counting.reading import DeadLetter
from aggregator.log.dead_letters import DeadLetterWriter
from schemas import topics
from schemas.shared.settings import TopicsSettings
from tests.memory import MIB, peaks_until_ended
from tests.pipeline import log
from tests.pipeline.log import Outgoing
from tests.pipeline.place import Place
from tests.pipeline.programs import LIMIT_S
from tests.pipeline.test_hostile import send_of

UNREADABLE, GOOD = 250, 150
RESYNCS = 6
"""So often they are read again: more than half of far more than 1,000, and still 250 records."""

MANY = 120_000


def test_begins_repeat_no_dead_letter_and_make_no_flood(place: Place) -> None:
    """While Redis takes no writes a worker resyncs over and over: its dead letters are there once."""
    worker = place.programs.worker()
    worker.wait_until_ready()
    place.redis.config_set("maxmemory", 1)
    now_ms = time.time_ns() // 1_000_000
    values = [b"{"] * UNREADABLE + [send_of(n, now_ms) for n in range(GOOD)]
    place.send(Outgoing(None, value, now_ms, 0) for value in values)

    def began_often() -> bool:
        return worker.metric("aggregator_resyncs_total", why="error") >= RESYNCS

    worker.wait_until(began_often, f"it has begun {RESYNCS} times")
    place.redis.config_set("maxmemory", 0)
    place.wait_until_counted(worker)
    dead_letters = log.read(place.bootstrap, place.programs.dead_letter_topic)
    assert len(dead_letters) == UNREADABLE
    assert len(place.dead_letters()) == UNREADABLE
    assert worker.stop() == 0


def write_dead_letters(place: Place, number: int, reason: str) -> None:
    """Dead letters of records that were just written, without a worker."""
    producer = Producer({"bootstrap.servers": place.bootstrap, "linger.ms": 20})
    now = str(time.time_ns() // 1_000_000)
    for offset in range(number):
        headers: list[tuple[str, str | bytes | None]] = [
            (topics.REASON, reason),
            (topics.SOURCE_TIMESTAMP, now),
            (topics.SOURCE_KEY, b"key"),
        ]
        key = f"{place.programs.events_topic}:{reason}:{offset}"
        if len(producer) > 50_000:
            producer.flush()
        producer.produce(place.programs.dead_letter_topic, value=b"{}", key=key, headers=headers)
    assert producer.flush(LIMIT_S) == 0


def test_more_dead_letters_than_a_producer_queues_are_redriven(place: Place) -> None:
    """All of them, in memory that does not follow their number; `too_large` ones stay where they are."""
    write_dead_letters(place, MANY, "no_tenant")
    write_dead_letters(place, 3, "too_large")
    for reason in ((), ("--reason", "no_tenant")):
        started = place.programs.command("dead-letters", "redrive", *reason)
        peaks = peaks_until_ended(started, LIMIT_S)
        out, err = started.communicate()
        assert started.returncode == 0, err
        assert "120,000 records are on the events topic again" in out
        assert ("3 are too large" in out) == (reason == ())
        assert max(peaks.values()) < 256 * MIB
    events = log.read(place.bootstrap, place.programs.events_topic)
    assert len(events) == 2 * MANY
    assert {(each.key, each.value) for each in events} == {(b"key", b"{}")}


def test_too_large_dead_letters_are_not_redriven(place: Place) -> None:
    """Asked for by name they are refused with a clear word, and nothing is written."""
    write_dead_letters(place, 3, "too_large")
    started = place.programs.command("dead-letters", "redrive", "--reason", "too_large")
    _, err = started.communicate(timeout=LIMIT_S)
    assert (started.returncode, "holds only a part of its record" in err) == (1, True)
    assert sum(place.ends()) == 0


def test_what_was_acknowledged_is_not_written_again(place: Place) -> None:
    """Each dead letter once, however often and from where it is given; those of another log are others."""
    dead_letters = DeadLetterWriter(TopicsSettings.model_validate(place.programs.settings()))

    def give(*offsets: int) -> None:
        dead_letters.write(0, [DeadLetter(offset, 1, b"key", b"{", Refusal.UNREADABLE) for offset in offsets])

    def written() -> list[int]:
        found = log.read(place.bootstrap, place.programs.dead_letter_topic)
        return [int(each.headers[topics.SOURCE_OFFSET]) for each in found]

    dead_letters.of_log("one")
    give(100, 107, 110)
    give(100, 107, 110, 111)
    give(107)
    assert written() == [100, 107, 110, 111]
    give(90, 100)  # read again from further back than this object was at
    give(90, 100, 107, 110, 111)
    assert written()[4:] == [90, 100, 107, 110, 111]
    dead_letters.of_log("one")
    give(111)
    dead_letters.of_log("another")
    give(90)
    assert written()[9:] == [90]
