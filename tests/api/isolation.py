"""`python -m tests.api.isolation`: the long form of `test_isolation`, on the true program and by the wire.

Hypothesis makes two tenants with names and ids out of each other; schemathesis makes queries from the
API's own description. All of these queries are asked for every id of either, by both, as JSON and as CSV.
One tenant counts in ones and the other in millions, so a foreign cell shows in any count. It ends with
status 1 at the first foreign cell, unknown answer or 5xx, and says which tenants and which query.
"""

import argparse
import asyncio
import csv
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import msgspec
import redis
from confluent_kafka import Producer
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from api.keys.form import ENTROPY_BYTES, new_key
from api.sender_health import SENT_LEAST
from deploy.processes import say
from schemas.topics import API_KEYS, API_KEYS_TOPIC
from tests import services
from tests.api.isolation_queries import queries_of_schema, targets_of
from tests.api.model import ALL
from tests.api.site import Site, until
from tests.api.test_isolation import MANY, SPAN, SPANS, counted, neighbours
from tests.api.wire import Answer, Query, ask_all
from tests.api.writer import SCOPES, Writer

MEDIA_TYPES = ("application/json", "text/csv")
HEALTH_KNOWN = b'"bounce":{"rate":1.0,'
"""In an answer: the health of a sender who sent much, all of it bounced, as both of them do."""

EXAMPLES_A_ROUND = 50
PROGRAMS = 2
"""APIs that share the queries: one uses a core and no more."""
DRAWN = 16
"""How many queries of schemathesis's making an example has."""

Neighbours = tuple[tuple[str, list[str]], tuple[str, list[str]]]


class ForeignCellError(AssertionError):
    """An answer holds what is not the caller's, or is none that may be given."""


@dataclass(frozen=True)
class Caller:
    """One of the two tenants: its key, its ids, and what each of its counts is a multiple of."""

    key: str
    ids: frozenset[str]
    unit: int

    def validate(self, query: Query, answer: Answer) -> None:
        """Look at everything in an answer. Raises: ForeignCellError."""
        if answer.status >= 500 or answer.status not in (200, 400, 404):
            raise ForeignCellError(f"{query} was answered by {answer.status}: {answer.body[:500]!r}")
        if answer.status != 200:
            return
        counts, ids = _numbers_and_ids(answer)
        most = self.unit * len(self.ids) * SPANS  # which one long range may hold
        foreign = [count for count in counts if count % self.unit or not 0 <= count <= most]
        if most < SENT_LEAST and HEALTH_KNOWN in answer.body:
            raise ForeignCellError(f"{query} knows of a health: {answer.body[:500]!r}")
        known = SCOPES if query.target.partition("?")[0] == "/api/metrics/by" else self.ids
        if foreign or not ids <= set(known):
            raise ForeignCellError(f"{query} answered {foreign} and {ids - set(known)}")


def _numbers_and_ids(answer: Answer) -> tuple[list[int], set[str]]:
    """All counts and all ids in an answer."""
    if answer.content_type.startswith("text/csv"):
        rows = list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))
        counts = [int(row[name]) for row in rows for name in ALL if name in row]
        return counts, {row["id"] for row in rows if "id" in row and row.get("row") != "others"}
    counts, ids = [], set()
    left: list[Any] = [msgspec.json.decode(answer.body)]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            counts += [part[name] for name in ALL if isinstance(part.get(name), int)]
            if "id" in part:
                ids.add(part["id"])
            left += [each for each in part.values() if isinstance(each, dict | list)]
        else:
            left += part
    return counts, ids


@dataclass
class Attack:
    """The running programs and how much it was asked so far.

    found: answers with all of one's own numbers; healths: with one's own health; by_status: by their status.
    """

    producer: Producer
    writer: Writer
    ports: list[int]
    runner: asyncio.Runner
    asked: int = 0
    found: int = 0
    healths: int = 0
    by_status: dict[int, int] = field(default_factory=dict)
    _keys: int = 0

    def example(self, tenants: Neighbours, drawn: Sequence[Any]) -> None:
        """Write the counters of two tenants, and ask everything as either. Raises: ForeignCellError."""
        (mine, own), (theirs, other) = tenants
        self.writer.client.flushdb()
        writer = Writer(self.writer.client, lanes=1)  # in one lane, so that only the names keep them apart
        writer.go_live()
        for tenant, ids, count in ((mine, own, 1), (theirs, other, MANY)):
            writer.write(counted(tenant, ids, count))
        keys = self._new_keys((mine, theirs))
        callers = [Caller(keys[0], frozenset(own), 1), Caller(keys[1], frozenset(other), MANY)]
        targets = list(targets_of({*own, *other, mine, theirs}, drawn))
        for caller in callers:
            queries = [Query(each, caller.key, accept) for each in targets for accept in MEDIA_TYPES]
            self.runner.run(ask_all(self.ports, queries, self._validate(caller)))
            self.asked += len(queries)

    def _validate(self, caller: Caller) -> Callable[[Query, Answer], None]:
        def validate(query: Query, answer: Answer) -> None:
            self.by_status[answer.status] = self.by_status.get(answer.status, 0) + 1
            caller.validate(query, answer)
            self.healths += HEALTH_KNOWN in answer.body
            if query.target == f"/api/metrics?{SPAN}" and answer.content_type == "application/json":
                sent = msgspec.json.decode(answer.body)["totals"]["sent"]
                if sent != caller.unit * len(caller.ids):
                    raise ForeignCellError(f"{query} has {sent}, not its own numbers")
                self.found += 1

        return validate

    def _new_keys(self, tenants: Sequence[str]) -> list[str]:
        """A key for each tenant, straight into the topic; returns once the APIs have them."""
        offsets: list[int] = []
        texts = []
        for tenant in tenants:
            self._keys += 1
            key = new_key(self._keys.to_bytes(ENTROPY_BYTES, "little"))
            self.producer.produce(
                API_KEYS_TOPIC,
                key=key.id,
                value=msgspec.json.encode(key.record(tenant, 0)),
                on_delivery=lambda _error, message: offsets.append(message.offset() or 0),
            )
            texts.append(key.text)
        self.producer.flush()
        while not all(_offset_at(port) > max(offsets) for port in self.ports):
            time.sleep(0.002)
        return texts


def _offset_at(port: int) -> int:
    """Up to where an API has read the keys."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=services.LIMIT_S)) as door:
        door.request("GET", "/readyz")
        return int(json.load(door.getresponse())["api_keys_offset"] or 0)


@contextmanager
def attack(bootstrap: str, redis_url: str, directory: Path) -> Iterator[Attack]:
    """The true programs on a Kafka and a Redis that are the attack's own. directory: for their logs."""
    services.create_topics(bootstrap, {API_KEYS_TOPIC: API_KEYS})
    sites = []
    with redis.Redis.from_url(redis_url) as client, asyncio.Runner() as runner:
        writer = Writer(client, lanes=1)
        writer.go_live()
        try:
            for number in range(PROGRAMS):
                place = directory / str(number)
                place.mkdir()
                settings_ = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "REDIS_URL": redis_url}
                sites.append(Site(place, **settings_, RATE_LIMIT="1000000000/second"))
                sites[-1].start()
            for site in sites:
                until(site.ready)
            producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "log_level": 0})
            yield Attack(producer, writer, [site.port for site in sites], runner)
        finally:
            for site in sites:
                site.kill()


def run(running: Attack, requests: int, first_seed: int) -> None:
    """Ask at least so many queries. Raises: ForeignCellError."""
    cases = st.lists(queries_of_schema(), min_size=DRAWN, max_size=DRAWN)
    started, round_number = time.monotonic(), 0
    while running.asked < requests:

        @seed(first_seed + round_number)
        @settings(
            max_examples=EXAMPLES_A_ROUND,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # what is found is reported as it was found
            suppress_health_check=list(HealthCheck),
        )
        @given(neighbours(), cases)
        def one_round(tenants: Neighbours, drawn: Sequence[Any]) -> None:
            if running.asked < requests:
                running.example(tenants, drawn)

        one_round()
        round_number += 1
        statuses = ", ".join(f"{count:,} of {status}" for status, count in sorted(running.by_status.items()))
        say(f"{running.asked:,} queries in {time.monotonic() - started:.0f} s: {statuses}")


def main() -> int:
    """Attack a program of its own; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.api.isolation", description="See above.")
    parser.add_argument("--requests", type=int, default=1_000_000, help="how many queries at least")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of tenants, ids and queries")
    given_ = parser.parse_args()
    say(f"seed {given_.seed}")
    with (
        tempfile.TemporaryDirectory(prefix="ses-metrics-isolation-") as directory,
        services.kafka_server() as kafka,
        services.valkey_server() as valkey,
        attack(kafka.bootstrap, valkey.url, Path(directory)) as running,
    ):
        found: list[BaseException] = []
        try:
            run(running, given_.requests, given_.seed)
        except* ForeignCellError as errors:
            found += errors.exceptions
        if found:
            say(f"FAILED: {found}", error=True)
            return 1
        say(
            f"not one foreign cell, no 5xx; {running.found:,} times all of one's own numbers, "
            f"{running.healths:,} times one's own health"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
