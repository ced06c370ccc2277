"""Confirming subscriptions: a call to SNS, one at a time for a topic.

Law: a confirmation that is delivered again and again, by SNS or by who has kept one, makes one call at a time
and shares it; another one of the same topic waits for its end. So replays hold up neither the certificates
nor other topics, and no more than one call of their own topic.
"""

import asyncio
from typing import Final

import httpx
import structlog

from ingest.errors import TryAgain
from ingest.metrics import IngestMetrics
from ingest.sns import outbound
from ingest.sns.messages import Verified, confirmation_url

log = structlog.get_logger(__name__)

WAIT_SECONDS: Final = outbound.CALL_SECONDS
"""For the topic's lock and the call together, as SNS does not wait for ever."""


class Confirmations:
    """What confirms subscriptions. Used from one event loop."""

    def __init__(self, client: httpx.AsyncClient, metrics: IngestMetrics) -> None:
        """client: what calls SNS."""
        self._client = client
        self._metrics = metrics
        self._locks: dict[str, asyncio.Lock] = {}
        """By topic; a verified envelope is of a listed topic, so they are few."""
        self._calls: dict[str, asyncio.Task[None]] = {}
        """Under way or waiting for their topic's lock, by URL."""

    async def confirm(self, envelope: Verified) -> None:
        """Confirm the subscription that the envelope is about. Raises: TryAgain."""
        url = confirmation_url(envelope)
        if url not in self._calls:
            call = asyncio.create_task(self._call(envelope.topic_arn, url))
            self._calls[url] = call
            call.add_done_callback(lambda _: self._calls.pop(url))
        await asyncio.shield(self._calls[url])

    async def _call(self, topic_arn: str, url: str) -> None:
        lock = self._locks.setdefault(topic_arn, asyncio.Lock())
        try:
            async with asyncio.timeout(WAIT_SECONDS), lock:
                await outbound.get(self._client, url)
        except (outbound.CallError, TimeoutError) as error:
            self._metrics.calls.labels("confirmation", "failed").inc()
            why = str(error) or "calls before it took too long"
            log.warning("subscription not confirmed", topic_arn=topic_arn, error=why)
            raise TryAgain("confirmation", "SNS did not confirm the subscription.") from error
        self._metrics.calls.labels("confirmation", "ok").inc()
        log.info("subscription confirmed", topic_arn=topic_arn)
