"""The ceiling: consume the topic and decode each event into typed structs, and do nothing with it.

No stream processor in Python that looks at an event can be faster than this on the same machine, so all rates
are given as ratios to it, measured in the same run. It is a program, so that it starts as fresh as those that
it is compared with:

    python -m tests.benchmarks.ceiling --bootstrap HOST:PORT --topic T --processes 2

With several processes each reads its share of the partitions by assignment, without a group. Timed from the
first record that any of them holds to the last one decoded.
"""

import json
import multiprocessing
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import typer
from confluent_kafka import Consumer, Message, TopicPartition

BATCH: Final = 10_000
SILENCE_S: Final = 60.0


class Tags(msgspec.Struct, gc=False):
    """The tags that are counted by."""

    tenant: tuple[str]
    sequence: tuple[str]
    template: tuple[str]


class Mail(msgspec.Struct, rename="camel", gc=False):
    """What is read of the mail."""

    message_id: str
    timestamp: str
    destination: list[str]
    tags: Tags


class Address(msgspec.Struct, rename="camel", gc=False):
    """A recipient of a bounce, a complaint or a delay."""

    email_address: str


class Preferences(msgspec.Struct, rename="camel", gc=False):
    """What a reader wants to get."""

    unsubscribe_all: bool


class Body(msgspec.Struct, rename="camel", gc=False):
    """What is read of the object with the details."""

    timestamp: str
    recipients: list[str] | None = None
    bounced_recipients: list[Address] | None = None
    complained_recipients: list[Address] | None = None
    complaint_feedback_type: str | None = None
    delayed_recipients: list[Address] | None = None
    bounce_type: str | None = None
    bounce_sub_type: str | None = None
    user_agent: str | None = None
    is_bot_event: str | None = None
    new_topic_preferences: Preferences | None = None


class Event(msgspec.Struct, rename="camel", gc=False):
    """What is read of an event."""

    event_type: str
    mail: Mail
    delivery: Body | None = None
    open: Body | None = None
    click: Body | None = None
    bounce: Body | None = None
    complaint: Body | None = None
    delivery_delay: Body | None = None
    subscription: Body | None = None


class Span(NamedTuple):
    """What one process did: how many events, and its first and last moment (`time.monotonic`)."""

    events: int
    first_s: float
    last_s: float


def fetches(bootstrap: str, topic: str, share: tuple[int, int] = (0, 1)) -> Iterator[list[Message]]:
    """Read a topic from its start to its end as it is now.

    share: which share of the partitions, of how many. Yields: records as they are fetched.
    Raises: RuntimeError where Kafka says nothing for a minute.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "ceiling",  # librdkafka asks for one; nothing is joined or committed
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "fetch.max.bytes": 64 * 1024 * 1024,
            "max.partition.fetch.bytes": 8 * 1024 * 1024,
            "queued.max.messages.kbytes": 128 * 1024,
        }
    )
    try:
        mine = sorted(consumer.list_topics(topic, timeout=30).topics[topic].partitions)[share[0] :: share[1]]
        partitions = [TopicPartition(topic, number, 0) for number in mine]
        missing = sum(consumer.get_watermark_offsets(each, timeout=30)[1] for each in partitions)
        consumer.assign(partitions)
        while missing > 0:
            found = consumer.consume(min(BATCH, missing), timeout=SILENCE_S)
            if not found:
                raise RuntimeError(f"no record of {topic} for {SILENCE_S:.0f} s, {missing} are missing")
            yield found
            missing -= len(found)
    finally:
        consumer.close()


def read(bootstrap: str, topic: str, share: tuple[int, int] = (0, 1)) -> Span:
    """Read and decode a share of a topic, and forget it."""
    decode: Callable[[Any], Event] = msgspec.json.Decoder(Event).decode
    events, first_s = 0, 0.0
    for found in fetches(bootstrap, topic, share):
        first_s = first_s or time.monotonic()
        for message in found:
            decode(message.value())
        events += len(found)
    return Span(events, first_s, time.monotonic())


def main(
    bootstrap: Annotated[str, typer.Option()],
    topic: Annotated[str, typer.Option()],
    processes: Annotated[int, typer.Option()] = 1,
) -> None:
    """Read and decode a whole topic; prints the events and the seconds as one line of JSON."""
    shares = [(bootstrap, topic, (number, processes)) for number in range(processes)]
    if processes == 1:
        spans = [read(*shares[0])]
    else:
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            spans = pool.starmap(read, shares, chunksize=1)
    seconds = max(span.last_s for span in spans) - min(span.first_s for span in spans)
    typer.echo(json.dumps({"events": sum(span.events for span in spans), "seconds": seconds}))


if __name__ == "__main__":
    typer.run(main)
