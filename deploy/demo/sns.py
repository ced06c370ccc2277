"""The demo's SNS: posts signed envelopes to the webhook, and again where it is not taken."""

import asyncio
from collections.abc import Iterable
from typing import Final

import httpx

from deploy.disorder import Message
from deploy.processes import say
from deploy.signing import Signer

AT_ONCE: Final = 8
TRIES: Final = 5


class RefusedError(Exception):
    """The webhook does not take a message that it should take."""


class Sns:
    """Delivers messages to one HTTP subscription, some at the same time."""

    def __init__(self, url: str, topic_arn: str, signer: Signer, client: httpx.AsyncClient) -> None:
        """Take down where to and on whose behalf."""
        self._url = url
        self._topic_arn = topic_arn
        self._signer = signer
        self._client = client
        self._places = asyncio.Semaphore(AT_ONCE)

    async def deliver(self, messages: Iterable[Message]) -> None:
        """Post them all, some at the same time. Raises RefusedError where one is not taken in 5 tries."""
        async with asyncio.TaskGroup() as group:
            for message in messages:
                await self._places.acquire()
                group.create_task(self._post(message)).add_done_callback(lambda _: self._places.release())

    async def _post(self, message: Message) -> None:
        envelope = self._signer.notification(self._topic_arn, message.body, message_id=message.sns_message_id)
        headers = {"x-amz-sns-message-type": "Notification", "content-type": "text/plain; charset=UTF-8"}
        answer = "no answer"
        for _ in range(TRIES):
            try:
                response = await self._client.post(self._url, json=envelope, headers=headers)
            except httpx.TransportError as error:
                answer = f"{type(error).__name__}: {error}"
            else:
                if response.is_success:
                    return
                answer = f"{response.status_code} {response.text[:200]}"
                if response.is_client_error:
                    break
            say(f"not delivered: {answer}")
            await asyncio.sleep(1)
        raise RefusedError(f"the webhook did not take a message of the demo: {answer}")
