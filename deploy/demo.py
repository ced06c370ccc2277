"""The demo's SES and SNS: posts signed envelopes to the webhook, with SNS's duplicates and disorder.

`python -m deploy.demo --url URL --topic-arn ARN --certificates FOLDER [--history-days N]`, started by
`make run`. It signs with a key that it throws away; the certificate lies in the folder that ingest knows as
`SNS_CERTIFICATE_DIR`. The tags are named as `TENANT_TAG`, `SEQUENCE_TAG` and `TEMPLATE_TAG` say.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from random import Random

import httpx

from deploy.disorder import Disorder, Message
from deploy.signing import Signer
from deploy.traffic import DAY, SECOND, TagNames, Traffic

MAILS_PER_S = 20.0
"""Some 60 events a second, as a mail has three to four."""

HISTORY_MAILS = 2_000
AT_ONCE = 8
TRIES = 5


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
            print(f"not delivered: {answer}", flush=True)
            await asyncio.sleep(1)
        raise RefusedError(f"the webhook did not take a message of the demo: {answer}")


async def send(sns: Sns, history_days: float, tags: TagNames) -> None:
    """First the history, as fast as it is taken, then what happens from now on, for ever."""
    rng = Random()  # noqa: S311  # plausible mail, no secret
    disorder = Disorder(rng)
    start_ms = _now_ms()
    streams = [Traffic(rng, start_ms, MAILS_PER_S, tags=tags)]
    if history_days:
        rate = HISTORY_MAILS / (history_days * DAY / SECOND)
        streams.append(Traffic(rng, start_ms - int(history_days * DAY), rate, tags=tags))
    while True:
        now_ms = _now_ms()
        events = chain.from_iterable(stream.until(now_ms) for stream in streams)
        await sns.deliver(message for event in events for message in disorder.push(event))
        await asyncio.sleep(0.2)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _run(arguments: argparse.Namespace) -> None:
    for old in arguments.certificates.glob("*.pem"):  # of an earlier demo, whose key is gone
        old.unlink()
    signer = Signer.create(arguments.certificates)
    names = (os.environ.get(f"{name.upper()}_TAG") or name for name in ("tenant", "sequence", "template"))
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        sns = Sns(arguments.url, arguments.topic_arn, signer, client)
        await send(sns, arguments.history_days, TagNames(*names))


def main() -> int:
    """Send until a signal ends the process; returns the exit status where the webhook refuses."""
    parser = argparse.ArgumentParser(prog="python -m deploy.demo", description="Send demo traffic.")
    parser.add_argument("--url", required=True, help="the webhook")
    parser.add_argument("--topic-arn", required=True, help="an SNS topic that ingest lists")
    parser.add_argument("--certificates", required=True, type=Path, help="ingest's SNS_CERTIFICATE_DIR")
    parser.add_argument("--history-days", type=float, default=0.0, help="how far back mail was sent [0]")
    try:
        asyncio.run(_run(parser.parse_args()))
    except* RefusedError as refused:
        print(refused.exceptions[0], file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
