"""`dead-letters`: list, show, redrive and purge what could not be read.

A dead letter may have been written twice; dead letters are counted by key. A redrive puts the original bytes
back on the events topic, with the original key and record time, as the rules go by a record's time. Dead
letters are read one after the other and none is held: there may be millions.
"""

import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient

from aggregator.counting.facts import Refusal
from aggregator.counting.reading import KafkaRecord
from aggregator.errors import KafkaUnavailableError, UndeliveredError
from aggregator.log.admin import delete_below
from aggregator.log.bulk_reader import BulkReader
from schemas import topics
from schemas.kinds import REMEMBERED_MS
from schemas.shared.kafka_causes import Causes
from schemas.shared.settings import TopicsSettings

_TIMEOUT_S: Final = 30.0
_QUEUE_KIB: Final = 64 * 1024
_SEEN_A_PAGE: Final = 512
_Ranges = Mapping[int, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class StoredDeadLetter:
    """A dead letter. timestamp: the record's own time, in ms since 1970."""

    key: str
    reason: str
    timestamp: int
    source_key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Redriven:
    """How many dead letters are on the events topic again.

    old: how many of them are of more than 14 days ago. left: how many were left where they are, as they are
    `too_large`: they hold a part of the record, and the whole one would only come back.
    """

    dead_letters: int
    old: int
    left: int


class CannotRedriveError(Exception):
    """Dead letters that may not be redriven, or only with `--old`."""


class DeadLetterTopic:
    """The dead-letter topic, as an operator sees it."""

    def __init__(self, settings: TopicsSettings) -> None:
        """Prepare.

        settings: where Kafka is and what the topics are called.
        """
        self._settings = settings
        self._causes = Causes()
        self._client: dict[str, Any] = {**settings.librdkafka(), "error_cb": self._causes.hear}
        self._admin = AdminClient(self._client)

    def read(self, reason: str | None = None, upto: _Ranges | None = None) -> Iterator[StoredDeadLetter]:
        """All dead letters, each once, in the order in which they were written.

        reason: only these. upto: only those of this `extent`, none for all that there are now.
        Raises: KafkaUnavailableError.
        """
        seen = _Seen()
        ranges = self.extent() if upto is None else upto
        start = {number: first for number, (first, _) in ranges.items()}
        with BulkReader(self._settings, self._settings.dead_letter_topic) as bulk:
            for number, rows in bulk.until(start, {number: end for number, (_, end) in ranges.items()}):
                for dead_letter in (_dead_letter(row, number) for row in rows):
                    if reason in (None, dead_letter.reason) and seen.is_new(dead_letter.key):
                        yield dead_letter

    def extent(self) -> dict[int, tuple[int, int]]:
        """Where the topic begins and ends now, by partition. Raises: KafkaUnavailableError."""
        topic = self._settings.dead_letter_topic
        with BulkReader(self._settings, topic) as bulk:
            return bulk.ranges(self._partitions(topic))

    def count(self) -> Counter[str]:
        """How many dead letters there are of each reason. Raises: KafkaUnavailableError."""
        return Counter(dead_letter.reason for dead_letter in self.read())

    def redrive(self, *, reason: str | None, now_ms: int, old: bool) -> Redriven:
        """Put dead letters back on the events topic, but for those `too_large`. Doing it twice counts once.

        reason: only these. old: also records of more than 14 days ago.
        Raises: CannotRedriveError, before anything is written; UndeliveredError, KafkaUnavailableError.
        """
        if reason == Refusal.TOO_LARGE:
            raise CannotRedriveError(
                "a dead letter `too_large` holds only a part of its record, which no reader would take"
            )
        upto = self.extent()
        dead_letters = too_old = left = 0
        for dead_letter in self.read(reason, upto):
            if dead_letter.reason == Refusal.TOO_LARGE:
                left += 1
            else:
                dead_letters += 1
                too_old += now_ms - dead_letter.timestamp > REMEMBERED_MS
        if too_old and not old:
            raise CannotRedriveError(
                f"{too_old} of {dead_letters} records are more than 14 days old: facts of theirs that were"
                " counted may count again. --old redrives them all the same, and a `rebuild` must follow"
            )
        sender = _Sender(self._settings.events_topic, self._client, self._causes)
        for dead_letter in self.read(reason, upto):
            if dead_letter.reason != Refusal.TOO_LARGE:
                sender.send(dead_letter)
        sender.finish()
        return Redriven(dead_letters, too_old, left)

    def purge(self) -> int:
        """Delete all dead letters there are now. Returns: how many records. Raises: KafkaUnavailableError."""
        topic, ranges = self._settings.dead_letter_topic, self.extent()
        upto = {number: end for number, (start, end) in ranges.items() if end > start}
        delete_below(self._admin, self._causes, topic, upto, _TIMEOUT_S)
        return sum(end - start for start, end in ranges.values())

    def _partitions(self, topic: str) -> int:
        try:
            found = self._admin.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
        except KafkaException as error:
            self._admin.poll(0)  # delivers what librdkafka has for `error_cb`
            raise KafkaUnavailableError(f"topic {topic}: {self._causes.why(error)}") from error
        if found.error is not None:
            why = self._causes.why(found.error, f"READ on {topic}")
            raise KafkaUnavailableError(f"topic {topic}: {why}")
        return len(found.partitions)


class _Sender:
    """Writes records to the events topic; what waits for Kafka is bounded."""

    def __init__(self, topic: str, client: Mapping[str, Any], causes: Causes) -> None:
        self._topic = topic
        self._causes = causes
        self._failed: KafkaError | None = None
        self._acknowledged = 0
        self._producer = Producer(
            {
                **client,
                "acks": "all",
                "enable.idempotence": True,
                "compression.type": "zstd",  # a record that came so packed may fit no other way
                "message.max.bytes": topics.DEAD_LETTER_MAX_BYTES,  # the broker measures what is packed
                "queue.buffering.max.kbytes": _QUEUE_KIB,
            }
        )

    def send(self, dead_letter: StoredDeadLetter) -> None:
        """Give a record to the producer; waits where its queue is full.

        Raises: UndeliveredError, where one before it failed or Kafka takes none for some time.
        """
        acknowledged, since = self._acknowledged, time.monotonic()
        while self._failed is None:
            try:
                self._producer.produce(
                    self._topic,
                    value=dead_letter.value,
                    key=dead_letter.source_key,
                    timestamp=dead_letter.timestamp,
                    on_delivery=self._delivered,
                )
            except BufferError:
                self._serve(self._producer.poll, 1.0)
                if acknowledged != self._acknowledged:
                    acknowledged, since = self._acknowledged, time.monotonic()
                elif time.monotonic() - since > _TIMEOUT_S:
                    raise self._undelivered(f"no acknowledgement for {_TIMEOUT_S:.0f} s") from None
            except KafkaException as error:
                raise self._undelivered(self._why(error)) from error
            else:
                self._serve(self._producer.poll, 0)
                return
        raise self._undelivered(self._why(self._failed))

    def finish(self) -> None:
        """Wait until Kafka has all of them. Raises: UndeliveredError."""
        waiting = self._serve(self._producer.flush, _TIMEOUT_S)
        if self._failed is not None:
            raise self._undelivered(self._why(self._failed))
        if waiting:
            raise self._undelivered(f"{waiting} without an answer")

    def _serve(self, wait: Callable[[float], int], limit_s: float) -> int:
        """Take in what became of records. Raises: UndeliveredError, where the producer is broken for good."""
        try:
            return wait(limit_s)
        except KafkaException as error:
            raise self._undelivered(self._why(error)) from error

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self._acknowledged += 1
        else:
            self._failed = self._failed or error

    def _why(self, error: KafkaError | KafkaException) -> str:
        return self._causes.why_not_sent(self._producer, error, f"WRITE on {self._topic}")

    def _undelivered(self, why: str) -> UndeliveredError:
        return UndeliveredError(f"{why}; {self._acknowledged} records are on the events topic again")


class _Seen:
    """Keys of dead letters, remembered in a bit each where their records lie close together."""

    def __init__(self) -> None:
        self._pages: defaultdict[tuple[str, int], int] = defaultdict(int)

    def is_new(self, key: str) -> bool:
        """Whether it was not asked for before."""
        place, _, offset = key.rpartition(":")
        page, bit = divmod(int(offset), _SEEN_A_PAGE)
        if self._pages[place, page] >> bit & 1:
            return False
        self._pages[place, page] |= 1 << bit
        return True


def _dead_letter(row: KafkaRecord, partition: int) -> StoredDeadLetter:
    """What a record of the dead-letter topic says; one that no worker wrote is known by its own place."""
    headers: dict[str, bytes | None] = dict(getattr(row, "headers", ()))
    key = (row.key or b"").decode(errors="replace")
    return StoredDeadLetter(
        key=key if re.fullmatch(r".+:[0-9]+:[0-9]+", key) else f":{partition}:{row.offset}",
        reason=(headers.get(topics.REASON) or b"").decode(),
        timestamp=int(headers.get(topics.SOURCE_TIMESTAMP) or row.timestamp),
        source_key=headers.get(topics.SOURCE_KEY),
        value=row.value,
    )
