"""The past goes straight to the events topic: SNS would stamp it with today's time.

A record's own time is a little later than its event's, as if SNS had delivered it then; so no fact is late or
stale, and none lies in the future. What was sent is noted in a file, and the next run goes on from there. A
run that was killed before it could note it sends some events again: same message ids, so nothing counts
twice.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple, Self
from uuid import UUID

import msgspec
from confluent_kafka import KafkaError, Producer

from deploy.demo.timeline import Timeline
from deploy.traffic import SECOND, Event
from schemas.shared.settings import EventsSettings
from schemas.topics import SNS_MESSAGE_ID, SNS_TOPIC_ARN

BATCH: Final = 5_000
DELAY_MS: Final = 2 * SECOND
"""A record is younger than its event by less."""

FLUSH_S: Final = 30.0


class PastError(Exception):
    """Kafka did not take what happened."""


class Record(NamedTuple):
    """A record of the events topic, as ingest would have written it. time_ms: its own, since 1970."""

    key: bytes
    value: bytes
    time_ms: int
    sns_message_id: str


@dataclass(frozen=True)
class Progress:
    """How far the demo has come: the day on which it began, and up to when its past is in the topic (ms)."""

    first_day: int
    through_ms: int

    @classmethod
    def load(cls, file: Path, first_day: int) -> Self:
        """What an earlier run noted; where there was none, nothing is sent yet and `first_day` is today."""
        return cls(**json.loads(file.read_text())) if file.exists() else cls(first_day, 0)

    def save(self, file: Path) -> None:
        """Note it, so that it is whole or not there."""
        part = file.with_suffix(".part")
        part.write_text(json.dumps(asdict(self)) + "\n")
        part.replace(file)


def records(timeline: Timeline, after_ms: int, now_ms: int) -> Iterator[Record]:
    """What happened after one time up to another, in the order of the events' times.

    A record's time and SNS id follow from its event, so the same event gives the same record.
    """
    encoder = msgspec.json.Encoder()
    for at_ms, event in timeline.until(now_ms):
        if at_ms > after_ms:
            yield _record(encoder, at_ms, event, now_ms)


def _record(encoder: msgspec.json.Encoder, at_ms: int, event: Event, now_ms: int) -> Record:
    value = encoder.encode(event) + b"\n"
    digest = hashlib.blake2b(value, digest_size=18).digest()
    delay_ms = int.from_bytes(digest[16:]) % DELAY_MS
    sns_message_id = str(UUID(bytes=digest[:16], version=4))
    return Record(event["mail"]["messageId"].encode(), value, min(at_ms + delay_ms, now_ms), sns_message_id)


class Topic:
    """The events topic of the environment's settings."""

    def __init__(self, topic_arn: str) -> None:
        """topic_arn: of the SNS topic that the records say they came by."""
        settings = EventsSettings()
        self._name = settings.events_topic
        self._topic_arn = topic_arn.encode()
        self._failed: list[KafkaError] = []
        self._producer = Producer(
            {
                **settings.librdkafka(),
                "acks": "all",
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": 20,
            }
        )

    def write(self, records: Iterable[Record]) -> Iterator[list[Record]]:
        """Write records batch by batch; yields each batch once Kafka has all of it.

        Raises: PastError where Kafka does not take one within 30 s.
        """
        rest = iter(records)
        while batch := list(islice(rest, BATCH)):
            for record in batch:
                self._producer.produce(
                    self._name,
                    key=record.key,
                    value=record.value,
                    timestamp=record.time_ms,
                    headers=[
                        (SNS_MESSAGE_ID, record.sns_message_id.encode()),
                        (SNS_TOPIC_ARN, self._topic_arn),
                    ],
                    on_delivery=self._delivered,
                )
            left = self._producer.flush(FLUSH_S)
            if left or self._failed:
                why = self._failed[0].str() if self._failed else f"{left} records were not acknowledged"
                raise PastError(f"Kafka did not take the demo's past: {why}")
            yield batch

    def _delivered(self, error: KafkaError | None, _record: object) -> None:
        if error is not None:
            self._failed.append(error)
