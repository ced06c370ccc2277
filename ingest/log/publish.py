"""Writing records to Kafka, from asyncio.

Law: `publish` returns only when Kafka has the record on all in-sync replicas, and says within
`ANSWER_SECONDS` that it has not. A record that arrives after that all the same is a duplicate of the one
that SNS delivers again, which changes no number. librdkafka calls back where it is polled, on the event loop:
each `POLL_S` while records are under way, and by who publishes while many are. So what Kafka acknowledges
together is reported together, and no thread is woken for it (which costs more than the work that follows).

The polling never ends in silence. What librdkafka calls a fatal error it raises from `poll`, not to
`error_cb`: the producer is replaced, in a thread, as that blocks. All else ends the program with an error, to
be started anew. (`confluent_kafka.aio` takes no headers, waits for full batches, and polls in a thread.)
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from contextvars import copy_context
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
LINGER_MS: Final = 0.5
"""Longer, and a record waits for others for longer than for Kafka; at 0 each is a request of its own."""

POLL_S: Final = 0.001
"""How long an acknowledgement may wait to be reported, with all that come meanwhile."""

MANY: Final = 5
"""So many records under way make it likely that some are acknowledged by now."""

IDLE_POLL_S: Final = 0.1
"""While no record is under way: there may still be errors to hear of."""

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

        fail: called with the reason where nothing can be published any more: it ends the program.
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
            "linger.ms": LINGER_MS,
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
        self._idle = False
        """Whether the next poll comes after `IDLE_POLL_S`."""
        self._replacing: asyncio.Task[None] | None = None
        self._broken: Producer | None = None  # the one that broke last, for good
        self._checking = asyncio.Lock()
        self._checked: tuple[float, str | None] | None = None
        self._renewed = 0.0
        self._producer = Producer(self._config)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        # What is done for all deliveries is not done in the name of the one that happens to begin it.
        self._context = copy_context()
        self._serve_in(0)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self._flush, ANSWER_SECONDS)
        self._stopping.set()
        if self._replacing is not None:
            await self._replacing
        self._next.cancel()
        self._report()

    async def publish(self, record: EventRecord) -> None:
        """See `Publisher`."""
        began = time.monotonic()
        delivered: asyncio.Future[KafkaError | None] = self._loop.create_future()

        def report(error: KafkaError | None, _: object) -> None:
            self._reports.append((delivered, error))

        try:
            with step("produce"):
                self._producer.produce(
                    self._topic, record.value, record.key, headers=list(record.headers), on_delivery=report
                )
        except BufferError as failure:
            raise self._failed("its queue is full") from failure
        except KafkaException as failure:
            raise self._failed(self._why(failure.args[0]), detail(failure)) from failure
        if self._idle:
            self._idle = False
            self._next.cancel()
            self._serve_in(POLL_S)
        elif len(self._producer) > MANY:
            self._report()
        limit = self._loop.call_later(ANSWER_SECONDS, _tell, delivered, _LATE)
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
            problem = "What serves Kafka has ended"
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
        """Called by librdkafka where it is polled: out of reach, or login refused. It tries again."""
        self._last_error = detail(error)
        if is_cause(error):
            why = self._why(error)  # one cause may come under several codes, alternately
            if self._cause is None or self._why(self._cause) != why:
                log.error("kafka can't be used", why=why, error=detail(error))
            self._cause = error

    def _serve(self) -> None:
        """On the event loop, again and again: report, and see to the next time."""
        self._report()
        if not self._dead:
            self._idle = not len(self._producer)
            self._serve_in(IDLE_POLL_S if self._idle else POLL_S)

    def _serve_in(self, seconds: float) -> None:
        self._next = self._loop.call_later(seconds, self._serve, context=self._context)

    def _report(self) -> None:
        """On the event loop: have librdkafka call back, and pass on what became of records."""
        try:
            if not self._dead:
                self._serve_callbacks(self._producer)
        except Exception as failure:  # noqa: BLE001 - of any kind: the program ends with it
            self._end(failure)
        while self._reports:
            _tell(*self._reports.popleft())
        if self._dead or self._stopping.is_set() or self._broken is not self._producer:
            return
        # It says so once: a new one may, while the one before is still being replaced. Its turn comes then.
        if self._replacing is None or self._replacing.done():
            self._replacing = self._loop.create_task(self._replace(), context=self._context)

    def _serve_callbacks(self, producer: Producer) -> None:
        """Serve those that are due, and note where the producer is broken for good."""
        try:
            producer.poll(0)
        except KafkaException as failure:
            error: KafkaError = failure.args[0]
            if not error.fatal():
                raise
            self._broken, self._cause = producer, error
            self._trouble = (time.monotonic(), error)
            log.error("kafka producer is broken and replaced", why=self._why(error), error=detail(error))  # noqa: TRY400

    def _end(self, failure: Exception) -> None:
        self._dead = True
        log.error("what serves kafka has ended", exc_info=failure)
        self._fail(f"what serves Kafka has ended: {failure!r}")

    async def _replace(self) -> None:
        try:
            await asyncio.to_thread(self._renew)
        except Exception as failure:  # noqa: BLE001 - as above
            self._end(failure)

    def _renew(self) -> None:
        """Replace a broken producer, which takes no record; at most every `RENEWAL_SECONDS`. It blocks.

        An idempotent one ends like this when what the broker remembers of it does not fit, as after a loss of
        data, or when it may not write. What it still holds is reported as failed: SNS delivers it again.
        """
        self._producer.purge()
        self._flush(1.0)
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
