"""Writing records to Kafka, from asyncio.

Law: `publish` returns only when Kafka has the record on all in-sync replicas, and says within
`ANSWER_SECONDS` that it has not. A record that arrives after that all the same is a duplicate of the one
that SNS delivers again, which changes no number. librdkafka calls back on our polling thread; results cross
to the event loop in one queue, and one wake-up serves all that Kafka has acknowledged together (waking the
loop costs more than the work that it then does for a record).

The polling thread never ends in silence. What librdkafka calls a fatal error it raises from `poll`, not to
`error_cb`: the producer is replaced. Whatever else comes out of there ends the program with an error, so
that its supervisor starts it anew. (`confluent_kafka.aio` does not serve here: it takes no headers with a
record, holds records back to fill batches, and polls in the same way.)
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Final, Protocol, Self

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from ingest.errors import TryAgain
from ingest.log.record import EventRecord
from schemas.shared.kafka_errors import describe, detail, is_cause, lacks_a_right
from schemas.shared.settings import EventsSettings
from schemas.shared.traces.spans import step
from schemas.topics import EVENT_MAX_BYTES

log = structlog.get_logger(__name__)

ANSWER_SECONDS: Final = 4.5
MESSAGE_TIMEOUT_MS: Final = 3_000
"""librdkafka looks for messages that are too old once a second, so it reports them within 4 s."""

METADATA_SECONDS: Final = 2.0
READY_SECONDS: Final = 2.0
"""How long an answer about readiness is believed."""

RENEWAL_SECONDS: Final = 2.0
"""How long a new producer stays at least, though it is broken at once (as without the right to write)."""

TROUBLE_SECONDS: Final = 5.0
"""How long a broken producer and a lacking right keep us unready, unless a record is taken before."""

_LATE: Final = KafkaError(KafkaError._MSG_TIMED_OUT, "no acknowledgement in time")


class Publisher(AbstractAsyncContextManager["Publisher"], Protocol):
    """Where records go. Used within `async with`, from one event loop."""

    async def publish(self, record: EventRecord) -> None:
        """Write a record, safely kept on return. Raises: TryAgain; the record may be kept or not."""

    async def check(self) -> None:
        """Ask whether the events topic can be reached. Raises: TryAgain."""


class KafkaPublisher(Publisher):
    """Publishes to the events topic."""

    def __init__(self, settings: EventsSettings, fail: Callable[[str], None]) -> None:
        """Connect in the background.

        fail: called with the reason, on another thread, where nothing can be published any more: it ends the
            program.
        Raises: KafkaException where librdkafka can't make sense of the settings.
        """
        self._topic = settings.events_topic
        self._wants = f"WRITE on {settings.events_topic}"
        self._fail = fail
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
        self._cause: KafkaError | None = None
        """Why Kafka can't be used, as librdkafka reported it last; none once something has worked."""
        self._trouble: tuple[float, KafkaError] | None = None
        """When a producer broke or a right was lacking last, and how; none once a later record was taken."""
        self._last_error = ""
        self._failing = False
        self._dead = False
        self._reports: deque[tuple[asyncio.Future[KafkaError | None], KafkaError | None]] = deque()
        self._stopping = threading.Event()
        self._checking = asyncio.Lock()
        self._checked: tuple[float, str | None] | None = None
        self._renewed = 0.0
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
        await asyncio.to_thread(self._flush, ANSWER_SECONDS)
        self._stopping.set()
        await asyncio.to_thread(self._poller.join)
        self._settle()

    async def publish(self, record: EventRecord) -> None:
        """See `Publisher`."""
        loop = asyncio.get_running_loop()
        began = time.monotonic()
        delivered: asyncio.Future[KafkaError | None] = loop.create_future()

        def delivery_report(error: KafkaError | None, _: object) -> None:
            self._reports.append((delivered, error))

        try:
            with step("produce"):
                self._producer.produce(
                    self._topic,
                    value=record.value,
                    key=record.key,
                    headers=list(record.headers),
                    on_delivery=delivery_report,
                )
        except BufferError as failure:
            raise self._failed("its queue is full") from failure
        except KafkaException as failure:
            raise self._failed(self._why(failure.args[0]), detail(failure)) from failure
        limit = loop.call_later(ANSWER_SECONDS, _tell, delivered, _LATE)
        try:
            with step("acknowledge"):
                error = await delivered
        finally:
            limit.cancel()
        if error is not None:
            if lacks_a_right(error):
                self._trouble = (time.monotonic(), error)
            raise self._failed(self._why(error), detail(error))
        self._cause = None
        if self._trouble is not None and self._trouble[0] < began:
            self._trouble = None
        if self._failing:
            self._failing = False
            log.info("kafka takes records again", topic=self._topic)

    async def check(self) -> None:
        """See `Publisher`."""
        async with self._checking:
            now = time.monotonic()
            if self._checked is None or now - self._checked[0] > READY_SECONDS:
                self._checked = (now, await asyncio.to_thread(self._topic_problem))
            problem = self._checked[1]
        if self._dead:
            problem = "The thread that serves Kafka has ended"
        elif self._trouble is not None and now - self._trouble[0] < TROUBLE_SECONDS:
            problem = f"Kafka takes no records: {describe(self._trouble[1], wants=self._wants)}"
        if problem is not None:
            raise TryAgain("kafka", f"{problem}.")

    def _topic_problem(self) -> str | None:
        try:
            metadata = self._producer.list_topics(self._topic, timeout=METADATA_SECONDS)
        except KafkaException as failure:
            return f"Kafka is out of reach: {self._why(failure.args[0])}"
        self._cause = None
        error = metadata.topics[self._topic].error
        return None if error is None else f"The topic {self._topic} can't be used: {self._why(error)}"

    def _why(self, error: KafkaError) -> str:
        """The sentence for an error; for one that only says that it failed, the cause reported before."""
        cause = self._cause
        return describe(error if cause is None or is_cause(error) else cause, wants=self._wants)

    def _failed(self, why: str, words: str = "") -> TryAgain:
        """Note that a record was not acknowledged; one log line for each outage."""
        if not self._failing:
            self._failing = True
            log.error(
                "kafka takes no records",
                topic=self._topic,
                why=why,
                error=words,
                last_error=self._last_error,
            )
        return TryAgain("kafka", "Kafka has not acknowledged the record.")

    def _on_error(self, error: KafkaError) -> None:
        """Called by librdkafka on the polling thread: out of reach, or login refused. It tries again."""
        self._last_error = detail(error)
        if is_cause(error):
            why = self._why(error)  # one cause may come under several codes, alternately
            if self._cause is None or self._why(self._cause) != why:
                log.error("kafka can't be used", why=why, error=detail(error))
            self._cause = error

    def _poll(self, loop: asyncio.AbstractEventLoop) -> None:
        """The polling thread: serve librdkafka's callbacks until it is asked to stop."""
        try:
            while not self._stopping.is_set():
                broken = self._serve_callbacks()
                if self._reports:
                    loop.call_soon_threadsafe(self._settle)
                if broken:
                    self._renew()
        except Exception as failure:
            self._dead = True
            log.exception("the thread that serves kafka has ended")
            self._fail(f"the thread that serves Kafka has ended: {failure!r}")

    def _serve_callbacks(self) -> bool:
        """Serve them for a moment. Returns: whether the producer is broken for good."""
        try:
            self._producer.poll(0.1)
        except KafkaException as failure:
            error: KafkaError = failure.args[0]
            if not error.fatal():
                raise
            self._give_up(error)
            return True
        return False

    def _settle(self) -> None:
        """On the event loop: pass the reports so far on to those who wait for them."""
        while self._reports:
            _tell(*self._reports.popleft())

    def _give_up(self, error: KafkaError) -> None:
        """Be done with a producer that librdkafka calls fatally broken: it refuses every further record.

        An idempotent producer ends like this when what the broker remembers of it does not fit, as after a
        loss of data, or when it may not write. What it still holds is reported as failed, so SNS delivers
        it again.
        """
        self._trouble = (time.monotonic(), error)
        self._cause = error
        why = describe(error, wants=self._wants)
        log.error("kafka producer is broken and replaced", why=why, error=detail(error))
        self._producer.purge()
        self._flush(1.0)

    def _renew(self) -> None:
        """Replace the producer, not more often than every `RENEWAL_SECONDS`."""
        self._stopping.wait(self._renewed + RENEWAL_SECONDS - time.monotonic())
        self._renewed = time.monotonic()
        self._producer = Producer(self._config)

    def _flush(self, seconds: float) -> None:
        """Wait until everything is reported, or time runs out."""
        try:
            self._producer.flush(seconds)
        except KafkaException as failure:  # fatal: what was not reported yet is not acknowledged
            log.error("kafka producer is broken", error=detail(failure))  # noqa: TRY400 - no traceback needed


def _tell(delivered: "asyncio.Future[KafkaError | None]", error: KafkaError | None) -> None:
    """Say what became of a record (why it failed, or none) to who waits for it, unless that was said."""
    if not delivered.done():
        delivered.set_result(error)
