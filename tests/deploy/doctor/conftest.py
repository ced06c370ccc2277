"""A whole stack without logins, which the tests of this folder share."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from api.clock import now_ms
from deploy.signing import Signer
from tests.deploy.test_wheel import send_of_now
from tests.pipeline import webhook
from tests.pipeline.place import Place, open_place
from tests.pipeline.programs import Program

REAL_ARN: Final = "arn:aws:sns:eu-central-1:111122223333:mail-events"
"""Of an account that could be somebody's, so SNS is asked to publish to it."""


@dataclass
class Plain:
    """The stack, and the settings that all its programs have in common."""

    place: Place
    worker: Program
    ingest: Program
    signer: Signer
    certificates: Path
    environment: dict[str, str]

    @property
    def events(self) -> str:
        return self.place.programs.events_topic

    def deliver(self) -> None:
        """An event comes by the webhook."""
        asyncio.run(webhook.post(f"{self.ingest.url}/webhooks/sns", self.signer, [send_of_now()], again=True))

    @contextmanager
    def frozen_worker(self) -> Iterator[dict[str, str]]:
        """The worker stands still. Yields: the settings of one who does not look at it."""
        self.worker.freeze()
        try:
            yield self.environment | {"AGGREGATOR_PORT": "0"}
        finally:
            self.worker.thaw()
        self.wait_until_complete(since_ms=now_ms())
        self.worker.wait_until_ready()

    def wait_until_complete(self, since_ms: int = 0) -> None:
        """Wait until the worker has said up to when all is counted, which is later than that it is ready."""
        self.worker.wait_until(
            lambda: min(map(min, self.place.completes())) > since_ms, "it says up to when all is counted"
        )


@pytest.fixture(scope="package")
def plain(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plain]:
    """Three programs that have counted one event."""
    certificates = tmp_path_factory.mktemp("certificates")
    with open_place(kafka_bootstrap, tmp_path_factory.mktemp("logs")) as place:
        programs = place.programs
        signer = Signer.create(certificates)
        ingest, worker, api = (
            programs.ingest(f"{webhook.TOPIC_ARN},{REAL_ARN}", certificates),
            programs.worker(),
            programs.api(),
        )
        for program in (ingest, worker, api):
            program.wait_until_ready()
        settings = programs.settings()
        environment = {
            **{name.upper(): settings[name] for name in ("kafka_bootstrap_servers", "redis_url")},
            "EVENTS_TOPIC": programs.events_topic,
            "DEAD_LETTER_TOPIC": programs.dead_letter_topic,
            "ERASURES_TOPIC": programs.erasures_topic,
            "CONSUMER_GROUP": programs.group,
            "SNS_TOPIC_ARNS": f"{webhook.TOPIC_ARN},{REAL_ARN}",
            "SNS_CERTIFICATE_DIR": str(certificates),
            **{
                f"{name}_PORT": program.url.rpartition(":")[2]
                for name, program in (("INGEST", ingest), ("AGGREGATOR", worker), ("API", api))
            },
        }
        plain = Plain(place, worker, ingest, signer, certificates, environment)
        plain.deliver()
        place.wait_until_counted(worker)
        plain.wait_until_complete()
        yield plain
