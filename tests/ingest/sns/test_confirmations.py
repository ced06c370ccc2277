import asyncio
import json
from pathlib import Path

import httpx
import pytest

from deploy.signing import Signer
from ingest.config import IngestSettings
from ingest.sns.certificates import FETCHES_AT_ONCE
from tests.ingest.support import TOPIC, Ingest, Recorder, comes, event

OTHER = f"{TOPIC}-2"


class Sns(httpx.AsyncBaseTransport):
    """An SNS that answers a confirmation when the test says, and gives one certificate at once."""

    def __init__(self, certificate: bytes) -> None:
        self.asked = list[str]()
        self.hold = asyncio.Event()
        self._certificate = certificate

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/":
            return httpx.Response(200, stream=httpx.ByteStream(self._certificate))
        self.asked.append(f"{request.url.params['TopicArn']} {request.url.params['Token']}")
        await self.hold.wait()
        return httpx.Response(200, stream=httpx.ByteStream(b""))


def test_replayed_confirmations_make_one_call_at_a_time_for_a_topic(
    signer: Signer, certificates: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One that is delivered again shares the call; another topic and a certificate do not wait for it."""
    folder = tmp_path_factory.mktemp("new")
    new = Signer.create(folder)
    settings = IngestSettings(sns_topic_arns=f"{TOPIC},{OTHER}", sns_certificate_dir=certificates)

    async def use() -> None:
        sns = Sns((folder / new.certificate_name).read_bytes())
        program = Ingest(settings, Recorder(), sns)
        async with program.running() as client:

            async def deliver(envelope: dict[str, str]) -> int:
                return (await client.post("/webhooks/sns", content=json.dumps(envelope))).status_code

            replays = [signer.confirmation(TOPIC, f"token-{n % 3}") for n in range(3 * FETCHES_AT_ONCE)]
            waiting = [asyncio.create_task(deliver(envelope)) for envelope in replays]
            await comes(lambda: bool(sns.asked))
            other = asyncio.create_task(deliver(signer.confirmation(OTHER, "token")))
            assert await deliver(new.notification(TOPIC, event())) == 200
            assert sns.asked == [f"{TOPIC} token-0", f"{OTHER} token"]
            sns.hold.set()
            assert await asyncio.gather(other, *waiting) == [200] * (len(waiting) + 1)
            assert sorted(sns.asked) == sorted(
                [f"{OTHER} token", *(f"{TOPIC} token-{number}" for number in range(3))]
            )

    asyncio.run(use())
