"""One delivery by SNS, from its first byte to the answer: read, validate, act.

Law: 200 is said only when the message needs nothing more: Kafka has it, or it is one of those that are not
stored (a subscription that is now confirmed, the notice of one that ended, SES's own test message). Every
other verified message is stored, readable or not. All else is a `Problem`.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final

import httpx
import structlog
from starlette.types import Receive

from ingest.errors import Refused
from ingest.http.bodies import Bodies
from ingest.log.publish import Publisher
from ingest.log.record import event_record
from ingest.metrics import IngestMetrics, Taken
from ingest.sns import messages
from ingest.sns.certificates import Certificates
from ingest.sns.confirmations import Confirmations
from schemas.shared.traces.spans import note, step

log = structlog.get_logger(__name__)

SES_TEST_MESSAGE: Final = "Successfully validated SNS topic for Amazon SES event publishing."
"""What SES publishes to a topic when it becomes an event destination; the one message that is no event."""


class Webhook:
    """What answers SNS."""

    def __init__(
        self,
        *,
        topic_arns: AbstractSet[str],
        certificates: Certificates,
        client: httpx.AsyncClient,
        publisher: Publisher,
        metrics: IngestMetrics,
    ) -> None:
        self._topic_arns = topic_arns
        self._certificates = certificates
        self._confirmations = Confirmations(client, metrics)
        self._bodies = Bodies()
        self._publisher = publisher
        self._metrics = metrics

    async def take(self, headers: Mapping[str, str], receive: Receive) -> Taken:
        """Take one delivery.

        headers: of the request, case-insensitive. receive: gives the messages that carry its body (ASGI).
        Returns: what became of it, one word for metrics.
        Raises: Problem; ClientDisconnect where the client left before its body had come.
        """
        with self._bodies.body() as body:
            return await self._validate(headers, await body.read(headers, receive))

    async def _validate(self, headers: Mapping[str, str], body: bytearray) -> Taken:
        if headers.get("x-amz-sns-rawdelivery", "").strip().lower() == "true":
            raise Refused("raw_delivery", "Raw message delivery is not signed; switch it off.")
        with step("verify"):
            envelope = messages.parse(body)
            del body  # not kept while something is waited for
            url = messages.certificate_url(envelope, self._topic_arns)
            verified = messages.verify(envelope, await self._certificates.public_key(url))
        note("sns.message_id", verified.message_id)
        if verified.type == "SubscriptionConfirmation":
            await self._confirmations.confirm(verified)
            return "confirmed"
        if verified.type == "UnsubscribeConfirmation":
            log.warning("unsubscribed by sns", topic_arn=verified.topic_arn, message=verified.message)
            return "unsubscribed"
        if verified.message.strip() == SES_TEST_MESSAGE:
            log.info("ses has connected the topic", topic_arn=verified.topic_arn)
            return "test"
        with self._metrics.publishing.time():
            await self._publisher.publish(event_record(verified))
        return "stored"
