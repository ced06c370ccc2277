"""Writing records to Kafka, from asyncio.

Law: `publish` returns only when Kafka has the record on all in-sync replicas, and says within
`ANSWER_SECONDS` that it has not. A record that arrives after that all the same is a duplicate of the one
that SNS delivers again, which changes no number. librdkafka calls back on our polling thread; results cross
to the event loop in one queue, and one wake-up serves all that Kafka has acknowledged together (waking the
loop costs more than the work that it then does for a record).
"""

import asyncio
import threading
from collections import deque
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Final, Protocol, Self

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from ingest.problems import TryAgain
from ingest.record import EventRecord
from schemas.settings import EventsSettings
from schemas.topics import EVENT_MAX_BYTES

log = structlog.get_logger(__name__)

ANSWER_SECONDS: Final = 4.5
MESSAGE_TIMEOUT_MS: Final = 3_000
"""librdkafka looks for messages that are too old once a second, so it reports them within 4 s."""

METADATA_SECONDS: Final = 2.0
READY_SECONDS: Final = 2.0
"""How long an answer about readiness is believed."""


class Publisher(AbstractAsyncContextManager["Publisher"], Protocol):
    """Where records go. Used within `async with`, from one event loop."""

    async def publish(self, record: EventRecord) -> None:
        """Write a record, safely kept on return. Raises: TryAgain; the record may be kept or not."""

    async def check(self) -> None:
        """Ask whether the events topic can be reached. Raises: TryAgain."""


class KafkaPublisher(Publisher):
    """Publishes to the events topic."""

    def __init__(self, settings: EventsSettings) -> None:
        """Begin to connect, in the background.

        Raises: KafkaException where librdkafka can't make sense of the settings.
        """
        self._topic = settings.events_topic
        self._config: dict[str, Any] = {
            **settings.librdkafka(),
            "acks": "all",
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 2,
            "message.max.bytes": EVENT_MAX_BYTES,
            "message.timeout.ms": MESSAGE_TIMEOUT_MS,
            "queue.buffering.max.kbytes": 131_072,
            "reconnect.backoff.ms": 100,
            "reconnect.backoff.max.ms": 1_000,
            "allow.auto.create.topics": False,
            "error_cb": self._on_error,
        }
        self._last_error = "no answer"
        self._failing = False
        self._reports: deque[tuple[asyncio.Future[str | None], str | None]] = deque()
        self._broken = threading.Event()
        self._stopping = threading.Event()
        self._checking = asyncio.Lock()
        self._checked: tuple[float, str | None] | None = None
        self._producer = Producer(self._config)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._poller = threading.Thread(target=self._poll, args=(loop,), name="kafka-poll", daemon=True)
        self._poller.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self._producer.flush, ANSWER_SECONDS)
        self._stopping.set()
        await asyncio.to_thread(self._poller.join)
        self._settle()

    async def publish(self, record: EventRecord) -> None:
        """See `Publisher`."""
        loop = asyncio.get_running_loop()
        delivered: asyncio.Future[str | None] = loop.create_future()

        def delivery_report(error: KafkaError | None, _: object) -> None:
            self._reports.append((delivered, None if error is None else error.str()))

        try:
            self._producer.produce(
                self._topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                on_delivery=delivery_report,
            )
        except (BufferError, KafkaException) as failure:
            raise self._failed(str(failure)) from failure
        limit = loop.call_later(ANSWER_SECONDS, _tell, delivered, "no acknowledgement in time")
        try:
            error = await delivered
        finally:
            limit.cancel()
        if error is not None:
            raise self._failed(error)
        if self._failing:
            self._failing = False
            log.info("kafka takes records again", topic=self._topic)

    async def check(self) -> None:
        """See `Publisher`."""
        async with self._checking:
            now = asyncio.get_running_loop().time()
            if self._checked is None or now - self._checked[0] > READY_SECONDS:
                self._checked = (now, await asyncio.to_thread(self._topic_problem))
            problem = self._checked[1]
        if problem is not None:
            raise TryAgain("kafka", problem)

    def _topic_problem(self) -> str | None:
        try:
            metadata = self._producer.list_topics(self._topic, timeout=METADATA_SECONDS)
        except KafkaException as failure:
            return f"Kafka is out of reach: {failure.args[0].str()} ({self._last_error})."
        error = metadata.topics[self._topic].error
        return None if error is None else f"The topic {self._topic} can't be used: {error.str()}."

    def _failed(self, why: str) -> TryAgain:
        """Note that a record was not acknowledged; one log line for each outage."""
        if not self._failing:
            self._failing = True
            log.error("kafka takes no records", topic=self._topic, why=why, last_error=self._last_error)
        return TryAgain("kafka", "Kafka has not acknowledged the record.")

    def _on_error(self, error: KafkaError) -> None:
        """Called by librdkafka on the polling thread: out of reach, login refused, or broken for good."""
        self._last_error = error.str()
        if error.fatal():
            self._broken.set()

    def _poll(self, loop: asyncio.AbstractEventLoop) -> None:
        """The polling thread: serve librdkafka's callbacks until told to stop."""
        while not self._stopping.is_set():
            if self._broken.is_set():
                self._renew()
            self._producer.poll(0.1)
            if self._reports:
                loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        """On the event loop: pass the reports so far on to those who wait for them."""
        while self._reports:
            _tell(*self._reports.popleft())

    def _renew(self) -> None:
        """Replace a producer that librdkafka calls fatally broken: it refuses every further record.

        An idempotent producer ends like this when what the broker remembers of it does not fit, as after a
        loss of data. What it still holds is reported as failed, so SNS delivers it again.
        """
        log.error("kafka producer is broken and replaced", why=self._last_error)
        self._producer.purge()
        self._producer.flush(1)
        self._broken.clear()
        self._producer = Producer(self._config)


def _tell(delivered: "asyncio.Future[str | None]", error: str | None) -> None:
    """Say what became of a record (why it failed, or nothing) to who waits for it, unless that was said."""
    if not delivered.done():
        delivered.set_result(error)
