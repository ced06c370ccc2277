"""The work that every Python peer does: which facts an event states, and which cells of Redis they count in.

Law: the same facts as ours for the benchmark's workloads, so that totals can be compared; the rest of our
rules (details, horizons, retractions, dead letters, the earliest report) is left out, which is in the peers'
favour.

A cell is a field (`2025-09-01T08 sent`) of a hash (`tenant:ID`, `sequence:ID:ID`, `template:ID:ID`). Peers
that have no state of their own keep what they have counted in sets, `seen:ID` for each tenant.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import redis
from confluent_kafka import Consumer, TopicPartition

Cell = tuple[str, str]
"""The key of a hash, and a field of it."""

ASK_S: Final = 60.0
"""How long Kafka may take to say where a topic ends."""


class Kind(NamedTuple):
    """Where an event of one type has its time and its recipients; no recipients: it is about the message."""

    field: str
    body: str
    recipients: str | None


KINDS: Final[dict[str, Kind]] = {
    "Send": Kind("sent", "mail", "destination"),
    "Delivery": Kind("delivered", "delivery", "recipients"),
    "Open": Kind("opened", "open", None),
    "Click": Kind("clicked", "click", None),
    "Bounce": Kind("bounced", "bounce", "bouncedRecipients"),
    "Complaint": Kind("complained", "complaint", "complainedRecipients"),
}


FIELDS: Final = tuple(kind.field for kind in KINDS.values())


class Fact(NamedTuple):
    """What is counted once: a kind of a message, or of a message and a recipient.

    what: distinguishes the facts of one message.
    """

    tenant: str
    message: str
    what: str
    cells: tuple[Cell, Cell, Cell]


def facts(event: dict[str, Any]) -> list[Fact]:
    """The facts that a decoded event states; none where its type is not counted."""
    kind = KINDS.get(event["eventType"])
    if kind is None:
        return []
    mail, body = event["mail"], event[kind.body]
    tags = mail["tags"]
    tenant = tags["tenant"][0]
    cell = f"{body['timestamp'][:13]} {kind.field}"
    cells = (
        (f"tenant:{tenant}", cell),
        (f"sequence:{tenant}:{tags['sequence'][0]}", cell),
        (f"template:{tenant}:{tags['template'][0]}", cell),
    )
    people = body[kind.recipients] if kind.recipients else [""]
    return [
        Fact(
            tenant,
            mail["messageId"],
            f"{kind.field} {person['emailAddress'] if isinstance(person, dict) else person}",
            cells,
        )
        for person in people
    ]


def write_counts(client: redis.Redis, counts: Iterable[tuple[Cell, int]]) -> None:
    """Add to cells, in one pipeline."""
    with client.pipeline(transaction=False) as pipe:
        for (key, field), count in counts:
            pipe.hincrby(key, field, count)
        pipe.execute()


def count_new(client: redis.Redis, stated: list[Fact]) -> None:
    """Count the facts that Redis has not seen: SADD says which these are, then HINCRBY; two pipelines.

    A crash between the two loses what was marked as seen and not yet counted.
    """
    with client.pipeline(transaction=False) as pipe:
        for fact in stated:
            pipe.sadd(f"seen:{fact.tenant}", f"{fact.message} {fact.what}")
        new = pipe.execute()
    fresh = Counter(cell for fact, added in zip(stated, new, strict=True) if added for cell in fact.cells)
    write_counts(client, fresh.items())


@dataclass
class Job:
    """What a peer is to do, and how far it is.

    nothing: read and do nothing with each event. events: how many the topic has.
    """

    bootstrap: str
    topic: str
    redis_url: str
    nothing: bool
    events: int
    partitions: int
    done: int = 0
    _first_s: float = 0.0
    _last_s: float = 0.0

    def read(self, count: int = 1) -> None:
        """Some events are here; the clock starts with the first ones."""
        if not self.done:
            self._first_s = time.monotonic()
        self.done += count

    @property
    def complete(self) -> bool:
        """Whether all events were read."""
        return self.done >= self.events

    def wrote(self) -> None:
        """All that there is to write up to now is in Redis; the last call stops the clock."""
        self._last_s = time.monotonic()

    def tell(self) -> None:
        """Print the line that `tests.benchmarks.peer.read_last_line` reads; totals come from Redis."""
        reported: dict[str, Any] = {"events": self.done, "seconds": self._last_s - self._first_s}
        if not self.nothing:
            with redis.Redis.from_url(self.redis_url, decode_responses=True) as client:
                reported["totals"] = _totals(client)
        print(json.dumps(reported), flush=True)  # noqa: T201  # that is how a peer answers


def _totals(client: redis.Redis) -> dict[str, list[int]]:
    totals = {}
    for key in client.scan_iter("tenant:*", count=1_000):
        row = totals[key.removeprefix("tenant:")] = [0] * len(FIELDS)
        for field, count in client.hgetall(key).items():
            row[FIELDS.index(field.split()[1])] += int(count)
    return totals


def read_job() -> Job:
    """The job from the command line: `BOOTSTRAP TOPIC REDIS_URL [--nothing]`; asks Kafka for its size."""
    parser = argparse.ArgumentParser()
    for name in ("bootstrap", "topic", "redis_url"):
        parser.add_argument(name)
    parser.add_argument("--nothing", action="store_true")
    given = parser.parse_args()
    consumer = Consumer({"bootstrap.servers": given.bootstrap, "group.id": "asks-only"})
    try:
        partitions = consumer.list_topics(given.topic, timeout=ASK_S).topics[given.topic].partitions
        marks = [
            consumer.get_watermark_offsets(TopicPartition(given.topic, number), timeout=ASK_S)
            for number in partitions
        ]
    finally:
        consumer.close()
    return Job(**vars(given), events=sum(high - low for low, high in marks), partitions=len(partitions))
