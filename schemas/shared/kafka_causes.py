"""Why a call to Kafka fails.

A call of librdkafka that fails for a wrong password, CA or host name says only that time ran out; the cause
is reported beside it, to `error_cb`, again and again while it tries. So each client's `error_cb` is a
`Causes`, which is asked when the call has failed.
"""

import time
from typing import Final

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from schemas.shared.kafka_errors import describe, detail, is_cause, says_only_broken

log = structlog.get_logger(__name__)

DETAIL_EVERY_S: Final = 60.0
_BROKE_WITHIN_S: Final = 1.0


class Causes:
    """The last cause that a client of librdkafka has reported, from any thread."""

    def __init__(self) -> None:
        self._last: KafkaError | None = None
        self._said = -DETAIL_EVERY_S

    def hear(self, error: KafkaError) -> None:
        """Take an error (`error_cb`); its own words, which name brokers, go to the log once a minute."""
        if not is_cause(error):
            return
        self._last = error
        now = time.monotonic()
        if now - self._said >= DETAIL_EVERY_S:
            self._said = now
            log.warning("Kafka refuses the connection", detail=detail(error))

    def why(self, error: KafkaError | KafkaException, wants: str = "") -> str:
        """Why a call has failed, as a sentence without addresses. What was reported so far is forgotten.

        error: of the call. wants: the right that it takes (`READ on ses-events`).
        """
        heard, self._last = self._last, None
        return describe(error if heard is None or is_cause(error) else heard, wants=wants)

    def why_not_sent(self, producer: Producer, error: KafkaError | KafkaException, wants: str) -> str:
        """As `why`, of a call or a delivery of a producer that may be broken for good.

        What broke it librdkafka tells once, by the call that serves callbacks next; every other one fails
        with `_FATAL` alone, and chance has it which of them comes first. So callbacks are served here.
        """
        if says_only_broken(error):
            try:
                producer.poll(_BROKE_WITHIN_S)
            except KafkaException as broke:
                error = broke
        return self.why(error, wants)
