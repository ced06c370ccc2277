"""Exactness, end to end: what the API says of 100,000 records is what a naive count of them says.

So is all that Redis holds: each kind, scope and quarter of an hour.

One scene for the whole module: the laws all end in the same numbers, so each test may leave the scene to the
next one in any state that the law allows.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.signing import Signer
from deploy.traffic import HOUR
from schemas import topics
from schemas.redis_keys import lane_of
from tests.pipeline import events, oracle, webhook
from tests.pipeline.log import Outgoing
from tests.pipeline.place import Place, naive_count, open_place, time_of
from tests.pipeline.programs import Program

SEED = 20_250_901
RECORDS = 100_000
BY_WEBHOOK = 2_000
ISP_FIELDS = {
    *("delivered", "delayed", "bounced", "complained"),
    *("bounced_hard", "suppressed", "bounced_soft", "bounced_undetermined"),
}
"""What the events state that name the receiving side."""

OFF_THE_HOUR = ("Asia/Kolkata", "Asia/Kathmandu", "Australia/Adelaide", "America/St_Johns")


@dataclass
class Scene:
    """What was sent, and the programs that count and report it."""

    place: Place
    worker: Program
    api: Program
    records: list[Outgoing]
    by_webhook: list[Outgoing]
    count: oracle.Count

    def check(self, *periods: str) -> None:
        """Compare every number, by all periods or some, and all that Redis holds."""
        self.place.wait_until_counted(self.worker)
        self.place.check_cells(self.count)
        self.place.check(self.api, self.count, periods or ("hour", "day", "week", "month"))


def says_the_same_at_any_time(record: Outgoing, now_ms: int) -> bool:
    """Whether a record can go by the webhook: ingest lets the producer stamp it with its own clock."""
    if not webhook.can_carry(record.value):
        return False
    times = (record.time_ms, now_ms, now_ms + HOUR)
    return len({oracle.read(record.value, time_of(each), events.ALL_TAGS).outcome for each in times}) == 1


@pytest.fixture(scope="module")
def scene(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """100,000 records on their way: 2,000 by the webhook, at the same time as all others by the topic."""
    directory: Path = tmp_path_factory.mktemp("exact")
    certificates = directory / "certificates"
    certificates.mkdir()
    now_ms = time.time_ns() // 1_000_000
    records = events.records(SEED, now_ms, RECORDS)
    by_webhook: list[Outgoing] = []
    straight: list[Outgoing] = []
    for record in records:
        fits = len(by_webhook) < BY_WEBHOOK and says_the_same_at_any_time(record, now_ms)
        (by_webhook if fits else straight).append(record)
    with open_place(kafka_bootstrap, directory, **events.SETTINGS) as place:
        place.tags = events.ALL_TAGS
        worker, api = place.programs.worker(), place.programs.api()
        ingest = place.programs.ingest(webhook.TOPIC_ARN, certificates)
        signer = Signer.create(certificates)
        ingest.wait_until_ready()

        async def deliver_all() -> None:
            sending = asyncio.to_thread(place.send, straight)
            messages = [record.value or b"" for record in by_webhook]
            await asyncio.gather(sending, webhook.post(f"{ingest.url}/webhooks/sns", signer, messages))

        asyncio.run(deliver_all())
        place.make_keys(events.TENANTS)
        api.wait_until_ready()
        yield Scene(place, worker, api, records, by_webhook, naive_count(records, events.ALL_TAGS))


def test_every_number_is_that_of_a_naive_count(scene: Scene) -> None:
    """Every (scope, hour, field) that the API returns, and every day, week and month, is the naive count."""
    assert len(scene.records) == RECORDS
    assert len(scene.by_webhook) == BY_WEBHOOK
    assert {tenant for tenant, _, _ in scene.count.quarters} == set(events.TENANTS)
    assert {name for _, name, _ in scene.count.quarters} == {"tenant", *events.ALL_TAGS}
    for scope in ("tenant", *events.ALL_TAGS):
        fields = {field for (_, name, _), _, field in scene.count.cells() if name == scope}
        assert fields == ISP_FIELDS if scope == "isp" else fields == {*oracle.FIELDS, *oracle.DETAILS}
    scene.check()


@pytest.mark.parametrize("zone", OFF_THE_HOUR)
def test_zones_off_the_hour_are_exact(scene: Scene, zone: str) -> None:
    """Hours, days, weeks and months of a zone that lies off the hour are the naive count by quarters."""
    scene.place.wait_until_counted(scene.worker)
    scene.place.check_zones(scene.api, scene.count, [zone])


def test_zones_on_the_hour_are_exact(scene: Scene) -> None:
    """So are those of zones on whole hours, across their changes of clocks."""
    scene.place.wait_until_counted(scene.worker)
    scene.place.check_zones(scene.api, scene.count, ["Europe/Berlin", "America/Los_Angeles"])


def test_an_id_is_known_only_where_a_fact_counted(scene: Scene) -> None:
    """An id that only records which do not count have named is not found; nor is another tenant's."""
    for tenant in events.TENANTS[:3]:
        status, body = scene.place.ask(scene.api, (tenant, "template", events.NEVER_COUNTED))
        assert (status, body["code"]) == (404, "NOT_FOUND")
    for _, kind, name in scene.count.scopes(events.TENANTS[0]):
        if kind != "tenant" and (events.TENANTS[1], kind, name) not in scene.count.hours:
            status, _ = scene.place.ask(scene.api, (events.TENANTS[1], kind, name))
            assert status == 404
            break
    else:
        pytest.fail("the first tenant has no id that the second lacks")


def test_the_topic_holds_what_was_sent(scene: Scene) -> None:
    """Nothing is lost, altered or invented on the way to the topic; the webhook adds its two headers."""
    stored = scene.place.events()
    assert Counter(record.value for record in stored) == Counter(record.value for record in scene.records)
    came = [record for record in stored if topics.SNS_MESSAGE_ID in record.headers]
    assert Counter(record.value for record in came) == Counter(record.value for record in scene.by_webhook)
    key_of = {record.value: record.key for record in scene.by_webhook}
    for record in came:
        assert record.headers[topics.SNS_TOPIC_ARN] == webhook.TOPIC_ARN.encode()
        if oracle.read(record.value, time_of(record.time_ms), events.ALL_TAGS).outcome == "counted":
            assert record.key == key_of[record.value]


def test_dead_letters_are_what_cannot_be_counted_and_nothing_else(scene: Scene) -> None:
    """What can't be read lies in the dead-letter topic with its reason, origin and bytes; null stays null."""
    scene.place.wait_until_counted(scene.worker)
    want = scene.place.naive_dead_letters()
    assert {headers["reason"].decode() for _, headers in want.values()} == oracle.DEAD - {"too_large"}
    assert any(value is None for value, _ in want.values())
    scene.place.check_dead_letters(want)


def test_a_worker_of_another_group_begins_at_the_checkpoints(scene: Scene) -> None:
    """A worker of another CONSUMER_GROUP on the same Redis starts at the checkpoints and changes nothing."""
    scene.place.wait_until_counted(scene.worker)
    ends = scene.place.ends()
    other = scene.place.programs.worker(f"{scene.place.programs.group}-other")
    other.wait_until_ready()
    other.wait_until(lambda: bool(other.said("counting")), "it says where it starts")
    assert other.said("counting")[-1]["positions"] == {str(p): end for p, end in enumerate(ends)}
    other.wait_until(lambda: "aggregator_lag_records{" in other.get("/metrics").text, "its first tick")
    assert other.metric("aggregator_records_total") == 0
    assert other.stop() == 0
    scene.check("hour")


@pytest.mark.parametrize("which", ["every lane", "the biggest tenant's lane"])
def test_checkpoints_set_back_by_hand_while_the_worker_runs(scene: Scene, which: str) -> None:
    """A worker notices by its next tick that checkpoints went back, reads again and counts nothing twice."""
    scene.place.wait_until_counted(scene.worker)
    before = scene.worker.metric("aggregator_redis_rollbacks_total")
    new = scene.worker.metric("aggregator_facts_total", what="new")
    lanes = scene.place.lanes()
    set_back(scene.place, lanes if which == "every lane" else [lanes[lane_of(events.TENANTS[0], len(lanes))]])
    scene.worker.wait_until(
        lambda: scene.worker.metric("aggregator_redis_rollbacks_total") > before, "it notices"
    )
    scene.check("hour")
    assert scene.worker.metric("aggregator_facts_total", what="new") == new


def test_checkpoints_set_back_by_hand_while_no_worker_runs(scene: Scene) -> None:
    """A worker that finds its checkpoints at 0 reads from the start and counts nothing twice."""
    scene.place.wait_until_counted(scene.worker)
    assert scene.worker.stop() == 0
    set_back(scene.place, scene.place.lanes())
    scene.worker = scene.place.programs.worker()
    scene.check("hour")
    assert scene.worker.metric("aggregator_facts_total", what="repeated") > 0
    assert scene.worker.metric("aggregator_facts_total", what="new") == 0


def test_every_record_a_second_time(scene: Scene) -> None:
    """Producing every record of the topic once more changes no number."""
    scene.place.wait_until_counted(scene.worker)
    stored = scene.place.events()
    scene.place.send(Outgoing(record.key, record.value, record.time_ms) for record in stored)
    scene.place.wait_until_counted(scene.worker)
    assert sum(scene.place.ends()) == 2 * RECORDS
    scene.check()


def set_back(place: Place, lanes: list[str]) -> None:
    """Every checkpoint of these lanes to 0, at once; every other one by no field, which means 0 too."""
    with place.redis.pipeline(transaction=True) as pipeline:
        for number, lane in enumerate(lanes):
            fields = [f"f{partition}" for partition in range(topics.EVENTS.partitions)]
            if number % 2:
                pipeline.hdel(lane, *fields)
            else:
                pipeline.hset(lane, mapping=dict.fromkeys(fields, 0))
        pipeline.execute()
