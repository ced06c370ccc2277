"""The checks after an attack: each of them can fail."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from deploy.valkey import Valkey
from schemas import topics
from tests.attack import webhook
from tests.attack.__main__ import EVERY, chosen
from tests.attack.batches import CODECS, Rec, Writer, batch
from tests.attack.book import COPIES_MOST, Book
from tests.attack.measure import MIB, Limits, Measured, Memory, ended, slowest_call, validate, watch_calls
from tests.attack.records import event, now_ms
from tests.attack.report import Row, all_held, read, table, write
from tests.chaos import view
from tests.pipeline import log
from tests.pipeline.log import Stored
from tests.pipeline.place import dead_letter_of
from tests.pipeline.programs import wait_until
from tests.services import create_topics

FINE = Measured(tries=1)
LIMITS = Limits(valkey_ms=10, api_ms=20, webhook_ms=30, grown_bytes=MIB)
TOPIC = "events"
REFUSED = Stored(0, 7, 1_000, b"k", b"unreadable")


def test_what_is_within_all_limits_is_held() -> None:
    at_the_limits = Measured(tries=1, ping_ms=20, call_ms=10, api_ms=20, webhook_ms=30, grown={"api": MIB})
    assert validate(FINE, LIMITS) == []
    assert validate(at_the_limits, LIMITS) == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"tries": 0}, "nothing was tried"),
        ({"call_ms": 11.0}, "held Valkey up"),
        ({"ping_ms": 21.0}, "PING"),
        ({"api_ms": 21.0}, "answer of the API"),
        ({"webhook_ms": 31.0}, "post to the webhook"),
        ({"grown": {"worker": MIB + 1}}, "worker grew"),
        ({"api_refused": 1}, "refused 1 innocent"),
        ({"webhook_lost": 1}, "never took 1"),
        ({"wrong": ["cells differ"]}, "cells differ"),
    ],
)
def test_each_measure_can_break_an_attack(change: dict[str, Any], word: str) -> None:
    (reported,) = validate(replace(FINE, **change), LIMITS)
    assert word in reported


def test_the_api_may_refuse_where_the_attack_says_so() -> None:
    assert validate(Measured(tries=1, api_refused=5), Limits(api_refused=True)) == []


def _book() -> Book:
    book = Book(TOPIC)
    book.note(REFUSED)
    return book


def _dead_letter() -> Stored:
    value, headers = dead_letter_of(TOPIC, REFUSED, "unreadable")
    return Stored(0, 0, 0, f"{TOPIC}:0:7".encode(), value, headers)


def test_dead_letters_that_are_as_they_must_be() -> None:
    assert _book().dead_letters_differ([_dead_letter()] * COPIES_MOST) == []


@pytest.mark.parametrize(
    ("dead_letters", "word"),
    [
        ([], "missing"),
        ([_dead_letter(), replace(_dead_letter(), key=b"events:0:8")], "too many"),
        ([replace(_dead_letter(), value=b"another")], "other than they must be"),
        ([_dead_letter()] * (COPIES_MOST + 1), "written 4 times"),
    ],
)
def test_each_fault_of_dead_letters_is_reported(dead_letters: list[Stored], word: str) -> None:
    (reported,) = _book().dead_letters_differ(dead_letters)
    assert word in reported


def test_what_is_too_large_is_kept_in_part() -> None:
    """By the law of reading, whatever stands in it; a key or a header may be to blame."""
    book = Book(TOPIC)
    right = event("one")
    book.note(Stored(0, 0, now_ms(), b"k" * 2 * MIB, right))
    book.note(Stored(0, 1, now_ms(), None, right, {"h": b"h" * 2 * MIB}))
    book.note(Stored(0, 2, now_ms(), None, right + b" " * MIB))
    assert not view.flat(book.count())
    (reported,) = book.dead_letters_differ([])
    assert reported.startswith("3 dead letters are missing")
    value, headers = dead_letter_of(TOPIC, Stored(0, 2, 5, b"k" * 2_000, b"x" * 100_000), "too_large")
    assert (len(value or b""), headers["value-bytes"], len(headers["source-key"])) == (
        65_536,
        b"100000",
        1_024,
    )


def test_a_cell_that_differs_is_reported() -> None:
    book = Book(TOPIC)
    book.note(Stored(0, 0, now_ms(), None, event("one")))
    right = view.flat(book.count())
    assert right
    assert book.cells_differ(right) == []
    assert book.cells_differ(view.Cells()) != []
    assert book.cells_differ(right + right) != []


def test_an_answer_that_must_not_be_is_reported() -> None:
    """The check of the attacks by HTTP."""
    scene: Any = SimpleNamespace(wrong=[])
    webhook.expect(scene, [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""], 400, 0)
    assert scene.wrong == []
    webhook.expect(scene, [b"HTTP/1.1 200 OK\r\n\r\n"], 400, 0)
    assert len(scene.wrong) == 1


@pytest.mark.programs
def test_memory_that_was_given_back_is_seen() -> None:
    """What counts is the highest, not what is left."""
    grow = "import sys; print(flush=True); input(); x = b'x' * 50_000_000; del x; print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", grow], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        memory = Memory()
        memory.begin({"child": child.pid})
        assert memory.grown()["child"] < MIB
        child.stdin.write(b"\n")
        child.stdin.flush()
        child.stdout.readline()
        assert memory.grown()["child"] > 45 * MIB
        child.kill()


@pytest.mark.programs
def test_a_command_that_does_not_end_is_killed(tmp_path: Path) -> None:
    said = tmp_path / "said"
    program = f"import time; print('words', flush=True); open({str(said)!r}, 'w'); time.sleep(600)"
    started = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(said.exists, "it has said something")
    status, most, words = ended(started, 2.0)
    assert (status, words) == (None, "words")
    assert most > MIB


def test_a_slow_call_is_seen(valkey_factory: Callable[[], Valkey]) -> None:
    with redis.Redis.from_url(valkey_factory().url) as client:
        watch_calls(client)
        assert slowest_call(client) == (0.0, "")
        client.eval("local x = 0; for i = 1, 3000000 do x = x + i end; return x", 0)
        slowest_ms, call = slowest_call(client)
    assert slowest_ms > 2
    assert call.startswith("EVAL")


@pytest.mark.parametrize("packed_by", CODECS)
def test_batches_made_by_hand_are_what_others_read(
    kafka_bootstrap: str, topic_prefix: str, packed_by: str
) -> None:
    """Librdkafka checks the checksum and reads what was written, with keys, headers and times."""
    topic = f"{topic_prefix}events"
    create_topics(kafka_bootstrap, {topic: topics.EVENTS})
    at = now_ms()
    records = [Rec(b"one", at, b"k", (("h", b"v"),)), Rec(None, at + 1), Rec(b"x" * 1_000, at - 5, b"")]
    with closing(Writer(kafka_bootstrap, topic)) as writer:
        assert writer.write(2, batch(records, packed_by)) == 0
        assert writer.write(2, batch(records, packed_by)) == 3
    want = [
        Stored(2, offset, each.time_ms, each.key, each.value, {name: v or b"" for name, v in each.headers})
        for offset, each in enumerate(records * 2)
    ]
    assert log.read(kafka_bootstrap, topic) == want


def test_each_attack_has_a_name_of_its_own_and_can_be_chosen() -> None:
    names = [attack.name for attack in EVERY]
    assert len(names) == len(set(names))
    assert chosen([]) == list(EVERY)
    assert {attack.name for attack in chosen(["webhook"])} == {each.name for each in webhook.ATTACKS}
    assert all(0 <= attack.short <= attack.tries for attack in EVERY)


def test_the_table_tells_what_broke(tmp_path: Path) -> None:
    rows = [
        Row(name="a", tries=1_000, held="it goes on", valkey_ms=3.4, grown=2 * MIB),
        Row(name="b", tries=1, held="it goes on", broke=["the worker ended"]),
    ]
    write(rows, tmp_path / "attack" / "report.json")
    kept = read(tmp_path / "attack" / "report.json")
    assert kept == rows
    assert all_held(kept[:1])
    assert not all_held(kept)
    lines = table(kept).splitlines()
    assert [cell.strip() for cell in lines[2].split("|")[1:6]] == ["a", "it goes on", "1,000", "3", "0"]
    assert "**BROKE**" in lines[3]
    assert lines[-1] == "- b: the worker ended"
