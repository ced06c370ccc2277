"""Why Kafka cannot be reached: librdkafka tells it beside the call that fails.

A call of a client whose password, host name or certificate is wrong fails with no more than that time ran
out, as librdkafka goes on trying. What it met meanwhile it tells `error_cb`.
"""

from confluent_kafka import KafkaError, KafkaException

from schemas.kafka_errors import describe, detail, is_cause


class Cause:
    """The last word of one client on why it gets nowhere. Give it to that client as `error_cb`."""

    def __init__(self) -> None:
        self._told: KafkaError | None = None

    def __call__(self, error: KafkaError) -> None:
        """Take in what the client tells; that nobody answers does not hide why."""
        if self._told is None or is_cause(error) or not is_cause(self._told):
            self._told = error

    def clear(self) -> None:
        """Forget it: Kafka was reached."""
        self._told = None

    def sentence(self, error: KafkaError | KafkaException, *, wants: str = "") -> str:
        """What is wrong, without any address (`schemas.kafka_errors`).

        error: of the call that failed; where it is no cause itself, what the client told last goes before it.
        wants: the right that the call takes.
        """
        return describe(self._behind(error), wants=wants)

    def detail(self, error: KafkaError | KafkaException) -> str:
        """What librdkafka itself says of it, which may name addresses: for the log alone."""
        return detail(self._behind(error))

    def _behind(self, error: KafkaError | KafkaException) -> KafkaError | KafkaException:
        return error if self._told is None or is_cause(error) else self._told
