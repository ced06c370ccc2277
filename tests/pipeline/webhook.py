"""SNS's part: posting messages to the webhook of ingest, in signed envelopes, some at the same time."""

import asyncio
import json
from collections.abc import Sequence

import httpx

from deploy.signing import Signer

TOPIC_ARN = "arn:aws:sns:eu-central-1:000000000000:mail-events"
SNS_MAX_BYTES = 262_144
AT_ONCE = 8
HEADERS = {"content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": "Notification"}


def can_carry(value: bytes | None) -> bool:
    """Whether SNS could deliver it: text that is not empty and not too long."""
    if not value or len(value) > SNS_MAX_BYTES:
        return False
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


async def post(url: str, signer: Signer, messages: Sequence[bytes], *, again: bool = False) -> None:
    """Deliver messages and see each of them taken, in both versions of the signature, alternately.

    again: whether a message is delivered anew where the answer is 503, as SNS does.
    """
    places = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:

        async def deliver(number: int, message: bytes) -> None:
            async with places:
                envelope = signer.notification(
                    TOPIC_ARN, message.decode(), version="2" if number % 2 else "1"
                )
                response = await client.post(url, content=json.dumps(envelope), headers=HEADERS)
                while again and response.status_code == 503:
                    response = await client.post(url, content=json.dumps(envelope), headers=HEADERS)
                assert response.status_code == 200, response.text

        await asyncio.gather(*(deliver(number, message) for number, message in enumerate(messages)))
