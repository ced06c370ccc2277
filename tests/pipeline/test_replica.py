"""The API reads a replica: whatever becomes of it, an answer is the count of a beginning of the log.

A worker counts one partition all the while, so that each beginning is a number of records. An answer names
that number by its total; every other number of it must be the oracle's for just so many records, and all that
Kafka had before `complete_through` must be among them. What is no such answer is 503.
"""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

import pytest
import redis

from deploy.processes import Waiting
from deploy.traffic import HOUR
from tests import services
from tests.chaos.arena import Arena, event, now_ms, open_arena
from tests.chaos.proxy import Proxy
from tests.metrics_text import by_partition
from tests.pipeline import oracle
from tests.pipeline.log import Outgoing
from tests.pipeline.place import naive_count, time_of
from tests.pipeline.programs import Program, wait_until
from tests.valkey_replica import Replica, replica_of

TENANT: Final = "acme"
SCOPE: Final = (TENANT, "tenant", "")
HOURS: Final = 5
AT_ONCE: Final = 5
EVERY_S: Final = 0.3
BACKLOG: Final = 2**16
"""Bytes that the primary keeps for replicas that come back."""

FILLER: Final = 32


@dataclass
class Written:
    """The log as it is being written. had: since when (ms since 1970) Kafka has how many records."""

    began_ms: int = field(default_factory=now_ms)
    records: list[Outgoing] = field(default_factory=list)
    had: list[tuple[int, int]] = field(default_factory=list)

    def more(self) -> list[Outgoing]:
        """The next records: of several hours, in a sequence of three."""
        first = len(self.records)
        for number in range(first, first + AT_ONCE):
            at_ms = self.began_ms - number % HOURS * HOUR
            tags = {"tenant": TENANT, "sequence": f"s{number % 3}"}
            self.records.append(event("Send", f"mail {number}", (at_ms, at_ms), 0, **tags))
        return self.records[first:]

    def before(self, ms: int) -> int:
        """How many records Kafka had by then, at least."""
        return max((number for since, number in list(self.had) if since < ms), default=0)


@contextmanager
def being_written(arena: Arena) -> Iterator[Written]:
    """Records come all the while."""
    written, ends = Written(), threading.Event()

    def write() -> None:
        while not ends.is_set():
            arena.place.send(written.more())
            written.had.append((now_ms(), len(written.records)))
            ends.wait(EVERY_S)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield written
    finally:
        ends.set()
        writer.join()


@dataclass
class Stand:
    """An API that reads where `reads` leads."""

    arena: Arena
    api: Program
    reads: Proxy
    written: Written

    def ask(self) -> int | None:
        """Ask for all numbers and check them. Returns: how many records are counted; none where it is 503."""
        last = time_of(self.written.began_ms)
        first = last - timedelta(hours=HOURS)
        span = {"from": oracle.iso(first), "to": oracle.iso(last)}
        query = urlencode({"period": "hour", "group_by": "sequence", **span})
        key = self.arena.place.keys[TENANT]
        answer = self.api.get(f"/api/metrics?{query}", {"Authorization": f"Bearer {key}"})
        body = answer.json()
        if answer.status_code == 503:
            assert (body["code"], answer.headers["Retry-After"]) == ("UNAVAILABLE", "5")
            return None
        assert answer.status_code == 200, body
        number: int = body["totals"]["sent"]
        want = naive_count(self.written.records[:number], self.arena.place.tags)
        expected = want.body(SCOPE, "hour", first, last)
        assert {name: body[name] for name in expected} == expected
        groups = Counter(f"s{each % 3}" for each in range(number))
        assert {each["id"]: each["sent"] for each in body["groups"]} == groups
        through_ms = 0 if (said := body["complete_through"]) is None else ms_of(said)
        assert number >= self.written.before(through_ms), body["complete_through"]
        return number

    def ask_until(self, holds: Callable[[int | None], bool]) -> list[int | None]:
        """Ask again and again. holds: of the last answer. Returns: all of them; none goes back."""
        answers: list[int | None] = []

        def asked() -> bool:
            answers.append(self.ask())
            return holds(answers[-1])

        wait_until(asked, "the answer that must come")
        numbers = [each for each in answers if each is not None]
        assert numbers == sorted(numbers)
        return answers

    def is_counted(self, number: int) -> bool:
        """Whether the worker has counted so many records, where it counts."""
        return all(lane[0] >= number for lane in self.arena.place.checkpoints())

    def catch_up(self) -> list[int | None]:
        """Ask until all that is written by now is in the answer."""
        number = len(self.written.records)
        return self.ask_until(lambda answered: answered is not None and answered >= number)

    def stands(self) -> int:
        """More is written and counted, and the answers stay as they are. Returns: how much is in them."""
        [number] = {self.ask()}
        assert number is not None
        later = len(self.written.records) + 2 * AT_ONCE
        wait_until(lambda: self.is_counted(later), "the worker counts on")
        assert {self.ask() for _ in range(5)} == {number}
        return number


def ms_of(instant: str) -> int:
    return round((datetime.fromisoformat(instant) - time_of(0)).total_seconds() * 1000)


@pytest.fixture(scope="module")
def stand(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """Records that come, a worker that counts them, and an API."""
    with open_arena(kafka_bootstrap, tmp_path_factory.mktemp("replica")) as arena, Proxy(1) as reads:
        programs = arena.place.programs
        arena.redis.config_set("repl-backlog-size", BACKLOG)
        programs.worker().wait_until_ready()
        api = programs.api(REDIS_READ_URL=reads.url)
        wait_until(lambda: api.get("/livez").status_code == 200, "the API answers")
        with being_written(arena) as written:
            stand = Stand(arena, api, reads, written)
            with replica_of(arena.valkey) as replica:  # a key is made once the API is ready
                reads.target = replica.server.port
                api.wait_until_ready()
                arena.place.make_keys([TENANT])
            yield stand


@pytest.fixture
def replica(stand: Stand) -> Iterator[Replica]:
    """The one that is read, which has all that is written by now."""
    with replica_of(stand.arena.valkey) as replica:
        stand.reads.target = replica.server.port
        stand.reads.cut()
        stand.catch_up()
        yield replica


def test_one_that_lags(stand: Stand, replica: Replica) -> None:
    """Its numbers stand, and so does the time up to which they are complete; the metric says so too."""
    with replica.held_link():
        number = stand.stands()
        stored = [replica.client.hget(lane, "c0") for lane in stand.arena.place.lanes()]
        through_s = min(map(int, stored)) / 1000

        def shown() -> float:
            return by_partition(stand.api.get("/metrics").text, "api_complete_through_timestamp_seconds")[0]

        wait_until(lambda: shown() == through_s, "the metric is that of the replica")
        assert stand.ask() == number
    assert None not in stand.catch_up()


def test_one_that_lost_its_primary(stand: Stand, replica: Replica) -> None:
    """It goes on with what it has, or says nothing where it is told to; with its link it catches up."""
    replica.lose_link()
    stand.stands()
    replica.client.config_set("replica-serve-stale-data", "no")
    assert {stand.ask() for _ in range(3)} == {None}
    replica.link.open = True
    stand.catch_up()


@pytest.mark.parametrize("load", ["disabled", "flush-before-load", "swapdb"])
def test_one_that_is_copied_anew(stand: Stand, replica: Replica, load: str) -> None:
    """While it loads there are its old numbers or none, and never a part; also where the copy breaks off."""
    client = replica.client
    client.config_set("repl-diskless-load", load)
    client.config_set("loading-process-events-interval-bytes", 1024)
    # us; where there must be no numbers meanwhile it loads so long that three questions find it at that
    client.config_set("key-load-delay", 20_000 if load == "swapdb" else 400_000)
    replica.lose_link()
    stand.stands()
    with redis.Redis(host="127.0.0.1", port=stand.arena.valkey.port, db=1) as aside:
        for number in range(FILLER):  # so much that its primary no longer knows what it lacks
            aside.set(f"filler {number}", random.randbytes(BACKLOG // FILLER * 2))
    replica.link.open = True
    wait_until(lambda: is_loading(client), "it loads")
    answers = [stand.ask() for _ in range(3)]
    replica.link.cut()
    client.config_set("key-load-delay", 0)
    answers += stand.catch_up()
    numbers = [each for each in answers if each is not None]
    assert numbers == sorted(numbers)
    assert (None in answers) is (load != "swapdb")


def is_loading(client: Any) -> bool:
    said = client.info("persistence")
    return bool(said["loading"] or said.get("async_loading"))


def test_one_that_died(stand: Stand, replica: Replica) -> None:
    """503, and nothing else is read instead; then what it had, though it knows no primary; then all."""
    replica.server.kill()
    assert {stand.ask() for _ in range(3)} == {None}
    assert stand.api.get("/readyz").status_code == 503
    replica.server.start(Waiting(limit_s=services.LIMIT_S))
    stand.ask_until(lambda answered: answered is not None)
    stand.stands()
    replica.follow()
    stand.catch_up()


def test_one_that_was_promoted(stand: Stand, replica: Replica) -> None:
    """Left alone its numbers stand; where the worker comes to it, they go on."""
    arena = stand.arena
    replica.client.replicaof("NO", "ONE")
    stand.stands()
    arena.proxy.target = replica.server.port
    arena.proxy.cut()
    stand.catch_up()
    arena.proxy.target = arena.valkey.port  # the old primary is back, as it was then
    arena.proxy.cut()
    stand.stands()
