"""One delivery by SNS, from its first byte to the answer: take, judge, act.

Law: 200 is said only when the message needs nothing more: Kafka has it, or it is one of those that are not
stored (a subscription that is now confirmed, the notice of one that ended, SES's own test message). Every
other verified message is stored, readable or not. All else is a `Problem`.
"""

import asyncio
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final

import httpx
import structlog
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from ingest import outbound, sns
from ingest.certificates import Certificates
from ingest.metrics import Metrics, Taken
from ingest.problems import Refused, TooLarge, TooSlow, TryAgain
from ingest.publish import Publisher
from ingest.record import event_record

log = structlog.get_logger(__name__)

BODY_MAX_BYTES: Final = 1_048_576
BODY_SECONDS: Final = 5.0
"""For the whole body. The server bounds the time for headers (`schemas.http`)."""

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
        metrics: Metrics,
    ) -> None:
        self._topic_arns = topic_arns
        self._certificates = certificates
        self._client = client
        self._publisher = publisher
        self._metrics = metrics

    async def take(self, headers: Mapping[str, str], receive: Receive) -> Taken:
        """Take one delivery.

        headers: of the request, case-insensitive. receive: gives the messages that carry its body (ASGI).
        Returns: what became of it, one word for metrics.
        Raises: Problem; ClientDisconnect where the client left before its body had come.
        """
        body = await _read(headers, receive)
        if headers.get("x-amz-sns-rawdelivery", "").strip().lower() == "true":
            raise Refused("raw_delivery", "Raw message delivery is not signed; switch it off.")
        envelope = sns.parse(body)
        url = sns.certificate_url(envelope, self._topic_arns)
        verified = sns.verify(envelope, await self._certificates.public_key(url))
        if verified.type == "SubscriptionConfirmation":
            await self._confirm(verified)
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

    async def _confirm(self, envelope: sns.Verified) -> None:
        try:
            await outbound.get(self._client, sns.confirmation_url(envelope))
        except outbound.CallError as error:
            self._metrics.calls.labels("confirmation", "failed").inc()
            log.warning("subscription not confirmed", topic_arn=envelope.topic_arn, error=str(error))
            raise TryAgain("confirmation", "SNS did not confirm the subscription.") from error
        self._metrics.calls.labels("confirmation", "ok").inc()
        log.info("subscription confirmed", topic_arn=envelope.topic_arn)


async def _read(headers: Mapping[str, str], receive: Receive) -> bytes:
    """The body, read no further than it may be long, and no longer than it may take.

    A body that has its declared length is complete: the server is not asked again for an end that holds
    nothing, as each time that it is asked two threads have to be woken.
    """
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > BODY_MAX_BYTES:
        raise TooLarge("too_large", f"The body is larger than {BODY_MAX_BYTES} bytes.")
    body = bytearray()
    more = True
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while more and str(len(body)) != declared:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                body += message.get("body", b"")
                if len(body) > BODY_MAX_BYTES:
                    raise TooLarge("too_large", f"The body is larger than {BODY_MAX_BYTES} bytes.")
                more = message.get("more_body", False)
    except TimeoutError:
        raise TooSlow("too_slow", f"The body did not arrive within {BODY_SECONDS:g} s.") from None
    return bytes(body)
