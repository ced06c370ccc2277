"""Writes a workload to a topic: `python -m tests.benchmarks.load --bootstrap HOST:PORT --topic T`.

The records are what ingest would have written: same key, value, headers, partitioner, compression and record
time, each partition in the order of time. What they add up to is counted on the way.
"""

import json
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Final

import typer
from confluent_kafka import KafkaError, Producer

from schemas import topics
from tests import services
from tests.benchmarks.events import Record, records
from tests.benchmarks.expected import Expected
from tests.benchmarks.workload import SHAPES, Happening, Shape, happenings

FLUSH_S: Final = 300.0
BY_KEY: Final = -1
"""No certain partition, but the one that follows from the key."""
TOPIC_ARN: Final = b"arn:aws:sns:eu-central-1:111122223333:ses-events"


class Loader:
    """Produces records to one topic."""

    def __init__(self, bootstrap: str, topic: str, batch: int = 0) -> None:
        """Create the topic where it does not exist. batch: as in `Shape`."""
        services.create_topics(bootstrap, {topic: topics.EVENTS})
        self._topic = topic
        self._failed: list[KafkaError] = []
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "acks": "all",
                "enable.idempotence": True,  # keeps the order when something is sent again
                "compression.type": "lz4",
                "linger.ms": 50,
                "batch.size": 1_000_000,
                "batch.num.messages": batch or 10_000,
                "queue.buffering.max.messages": 200_000,
                "queue.buffering.max.kbytes": 400_000,
            }
        )

    def send(self, record: Record, partition: int = BY_KEY) -> None:
        """Hand a record over; waits where Kafka is slower than we."""
        sns_message_id = record.key[-43:-7]  # as good as any other UUID
        while True:
            try:
                self._producer.produce(
                    self._topic,
                    key=record.key,
                    value=record.value,
                    timestamp=record.timestamp_ms,
                    partition=partition,
                    headers=[(topics.SNS_MESSAGE_ID, sns_message_id), (topics.SNS_TOPIC_ARN, TOPIC_ARN)],
                    on_delivery=self._delivered,
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def poll(self) -> None:
        """Let acknowledgements in."""
        self._producer.poll(0)

    def finish(self) -> None:
        """Wait until Kafka has all of it. Raises: RuntimeError where it has not."""
        left = self._producer.flush(FLUSH_S)
        if left or self._failed:
            raise RuntimeError(f"Kafka has not acknowledged {left} records, refused {self._failed[:3]}")

    def _delivered(self, error: KafkaError | None, _record: object) -> None:
        if error is not None:
            self._failed.append(error)


def load(bootstrap: str, topic: str, shape: Shape, events: int) -> Expected:
    """Write a workload to a topic that is empty or does not exist; returns what must be counted of it.

    Raises: RuntimeError where Kafka does not take it.
    """
    expected = Expected()
    write(bootstrap, topic, map(expected.pass_on, happenings(shape, events)), batch=shape.batch)
    return expected


def write(
    bootstrap: str, topic: str, reported: Iterable[Happening], partition: int = BY_KEY, batch: int = 0
) -> None:
    """Write happenings to a topic, all to one partition where one is named. batch: as in `Shape`.

    Raises: RuntimeError where Kafka does not take it.
    """
    loader = Loader(bootstrap, topic, batch)
    for number, record in enumerate(records(reported)):
        loader.send(record, partition)
        if number % 5_000 == 0:
            loader.poll()
    loader.finish()


def main(
    bootstrap: Annotated[str, typer.Option(help="Kafka's HOST:PORT")],
    topic: Annotated[str, typer.Option(help="is created where it does not exist")],
    workload: Annotated[str, typer.Option(help=", ".join(SHAPES))] = "reference",
    events: Annotated[int, typer.Option(help="how many")] = 1_000_000,
    seed: Annotated[int, typer.Option(help="another seed is another workload of the same shape")] = 1,
) -> None:
    """Write a workload to a topic; prints what was written as one line of JSON."""
    began = time.monotonic()
    expected = load(bootstrap, topic, replace(SHAPES[workload], seed=seed), events)
    reported = {
        "workload": workload,
        "events": expected.events,
        "messages": expected.messages,
        "seconds": round(time.monotonic() - began, 2),
        "tenants": expected.totals(),
    }
    typer.echo(json.dumps(reported))


if __name__ == "__main__":
    typer.run(main)
