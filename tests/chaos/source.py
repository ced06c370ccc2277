"""The events of a chaos run: seeded, in disorder, three in ten of them repeated, written at a steady rate.

The records of `tests.pipeline.events` come in pieces, each a wild mix of two weeks of event time with one in
five records twice; a seventh more is sent again from earlier pieces.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from random import Random

from confluent_kafka import KafkaError, Message, Producer

from tests.chaos.ledger import Ledger
from tests.pipeline import events
from tests.pipeline.log import MAX_BYTES, Outgoing

PIECE = 1_000
REMEMBERED = 20_000
BEAT_S = 0.05
PATIENCE_MS = 600_000
FLUSH_S = 120.0


class Source:
    """Writes to a topic from a thread of its own, and enters in the ledger what Kafka acknowledges."""

    def __init__(self, bootstrap: str, topic: str, ledger: Ledger, *, seed: int, rate: float) -> None:
        """Prepare. rate: records a second."""
        self._topic = topic
        self._ledger = ledger
        self._rng = Random(seed)
        self._rate = rate
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="source")
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "acks": "all",
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": 5,
                "message.max.bytes": MAX_BYTES,
                "message.timeout.ms": PATIENCE_MS,
                "log_level": 0,
            }
        )
        self._more: deque[Outgoing] = deque()
        self.sent = 0
        self.failed: list[str] = []
        """Records that Kafka did not acknowledge: they may be in the topic or not."""

    def start(self) -> None:
        self._thread.start()

    def add(self, records: Iterable[Outgoing]) -> None:
        """Write these next, before what else would come."""
        self._more.extend(records)

    def stop(self) -> None:
        """Stop, and wait until Kafka has acknowledged all that was sent."""
        self._stop.set()
        self._thread.join()
        left = self._producer.flush(FLUSH_S)
        assert left == 0, f"Kafka has not acknowledged {left} records"

    def _records(self) -> Iterator[Outgoing]:
        remembered: list[Outgoing] = []
        while True:
            piece = events.records(self._rng.getrandbits(40), time.time_ns() // 1_000_000, PIECE)
            again = self._rng.sample(remembered, min(len(remembered), PIECE // 7))
            mixed = [*piece, *again]
            self._rng.shuffle(mixed)
            yield from mixed
            remembered += piece
            if len(remembered) > REMEMBERED:
                remembered = self._rng.sample(remembered, REMEMBERED // 2)

    def _run(self) -> None:
        records = self._records()
        began = time.monotonic()
        due = 0.0
        while not self._stop.wait(BEAT_S):
            # after a pause (this machine is busy) the rate is kept, and not caught up with
            due = min(self._rate * (time.monotonic() - began), self.sent + self._rate)
            while self.sent < due:
                self._produce(self._more.popleft() if self._more else next(records))
            began = time.monotonic() - self.sent / self._rate
            self._producer.poll(0)

    def _produce(self, record: Outgoing) -> None:
        def delivered(error: KafkaError | None, message: Message) -> None:
            partition, offset = message.partition(), message.offset()
            if error is not None or partition is None or offset is None:
                self.failed.append(str(error))
            else:
                self._ledger.enter(record, partition, offset)

        while True:
            try:
                self._producer.produce(
                    self._topic,
                    key=record.key,
                    value=record.value,
                    timestamp=record.time_ms,
                    on_delivery=delivered,
                )
            except BufferError:  # Kafka is down and the queue is full
                self._producer.poll(0.1)
            else:
                self.sent += 1
                return
