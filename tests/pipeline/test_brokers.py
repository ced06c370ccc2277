"""Three Kafka brokers, each record on all of them and acknowledged by two: one is killed and comes back.

Ingest, worker and API go on with the other two, and what the webhook answered 200 for is in the topic.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aggregator.errors import KafkaUnavailableError
from aggregator.log.admin import Cluster
from deploy.processes import Waiting
from deploy.signing import Signer
from schemas.shared.settings import EventsSettings
from tests.chaos import view
from tests.kafka_cluster import KafkaCluster, kafka_cluster
from tests.pipeline import events, webhook
from tests.pipeline.log import Outgoing
from tests.pipeline.place import Place, naive_count, open_place
from tests.pipeline.programs import Program, wait_until
from tests.services import LIMIT_S

TENANTS = 5
PIECE = 5_000
BY_WEBHOOK = 800
CALLERS = 8
"""Each takes one of three brokers for the controller: some take the one that is killed."""


@pytest.fixture
def cluster() -> Iterator[KafkaCluster]:
    """Three brokers with no data."""
    with kafka_cluster() as started:
        yield started


@pytest.fixture
def place(
    cluster: KafkaCluster, tmp_path: Path, record_property: Callable[[str, object], None]
) -> Iterator[Place]:
    """A place on the three brokers. At the end: how many events came."""
    with open_place(cluster.bootstrap, tmp_path) as opened:
        yield opened
        record_property("events", sum(opened.ends()))


def records(seed: int, number: int = PIECE) -> list[Outgoing]:
    return events.records(seed, time.time_ns() // 1_000_000, number, TENANTS)


def check(place: Place, worker: Program, api: Program) -> None:
    """Wait until all is counted; every cell in Redis and every day that the API answers must be right."""
    place.wait_until_counted(worker)
    want = naive_count(place.events())
    differs = view.difference(view.all_cells(place.redis), view.flat(want))
    assert not differs, differs
    place.check(api, want, ("day",))


def answered(caller: Cluster) -> bool:
    """Whether Kafka says which log this is; who asks knows one of the brokers as the controller."""
    try:
        return bool(caller.log())
    except KafkaUnavailableError:
        return False


def test_a_leader_is_killed_and_comes_back(place: Place, cluster: KafkaCluster, tmp_path: Path) -> None:
    """Killed in mid-stream, others lead; started again, it catches up: nothing is lost or counted twice."""
    certificates = tmp_path / "certificates"
    certificates.mkdir()
    signer = Signer.create(certificates)
    worker, api = place.programs.worker(), place.programs.api()
    ingest = place.programs.ingest(webhook.TOPIC_ARN, certificates)
    ingest.wait_until_ready()
    place.send(records(41))
    place.wait_until_counted(worker)
    place.make_keys(events.TENANTS[:TENANTS])
    messages = [
        r.value for r in records(42, BY_WEBHOOK) if r.value is not None and webhook.can_carry(r.value)
    ]
    topic = place.programs.events_topic
    doomed = cluster.leader_of(topic, 0)
    assert doomed is not None
    settings = EventsSettings(kafka_bootstrap_servers=cluster.bootstrap, events_topic=topic)
    callers = [Cluster(settings) for _ in range(CALLERS)]
    assert all(map(answered, callers))

    def post() -> None:
        asyncio.run(webhook.post(f"{ingest.url}/webhooks/sns", signer, messages, again=True))

    posting = threading.Thread(target=post)
    posting.start()
    place.send(records(43))
    doomed.kill()
    place.send(records(44))
    wait_until(lambda: cluster.leader_of(topic, 0) not in {None, doomed}, "another broker leads")
    posting.join()
    with ThreadPoolExecutor(CALLERS) as threads:
        wait_until(lambda: all(threads.map(answered, callers)), "whoever asked before is answered again")
    check(place, worker, api)

    doomed.start(Waiting(limit_s=LIMIT_S))
    place.send(records(45))
    wait_until(lambda: cluster.is_in_sync(topic), "every replica is up to date again")
    check(place, worker, api)
    values = {record.value for record in place.events()}
    assert not [message for message in messages if message not in values], "answered 200 and not in the topic"
    place.check_dead_letters(place.naive_dead_letters())
    ingest.wait_until_ready()
