"""The laws of the workloads: seeded, in order, of the shape that they claim, and what they add up to."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from statistics import mean, median

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from aggregator.log.packed_fetch import keep_fetches_packed
from schemas import topics
from schemas.kinds import FIELDS
from tests.benchmarks import workload
from tests.benchmarks.ceiling import Event
from tests.benchmarks.events import Record, records
from tests.benchmarks.expected import QUARTER, expected
from tests.benchmarks.load import load
from tests.benchmarks.variants import BOUNCES, READERS
from tests.benchmarks.workload import (
    DAY,
    HOUR,
    LONG_TAIL,
    OPENED,
    REFERENCE,
    SENT,
    SHAPES,
    SMALL_BATCHES,
    START_MS,
    TAIL_EVENTS,
    TWO_THOUSAND,
    Shape,
    happenings,
    sequence_name,
    tail,
    template_name,
    tenant_name,
)
from tests.pipeline import log, oracle
from tests.pipeline.place import time_of

EVENTS = 20_000
DIGEST = "b872d3a05df2758f796af56fa06a7e86a0c03e0550adb3058e0b053b7e332854"

each_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def made(shape: Shape, events: int) -> list[Record]:
    return list(records(happenings(shape, events)))


def test_the_reference_workload_is_the_one_that_reports_are_about() -> None:
    """The same seed gives the same bytes, today and on any machine; another seed gives others."""
    text = b"".join(record.key + record.value for record in made(REFERENCE, 2_000))
    assert sha256(text).hexdigest() == DIGEST
    assert made(replace(REFERENCE, seed=2), 2_000) != made(REFERENCE, 2_000)


@each_shape
def test_every_event_has_1200_bytes_and_is_reported_once(shape: Shape) -> None:
    """1.2 KB and more but for mails without headers, no two alike, and not much more on the whole."""
    values = [record.value for record in made(shape, EVENTS)]
    assert min(len(value) for value in values if b'"headers":' in value) >= 1_200
    assert mean(map(len, values)) < 1_700
    assert len(set(values)) == pytest.approx(EVENTS, rel=0.1 if shape.within else 0)
    assert len(set(values)) == len(values)


@each_shape
def test_records_come_in_the_order_of_their_time_over_the_days(shape: Shape) -> None:
    """Times never go back, and the events fill the days that the shape names."""
    times = [record.timestamp_ms for record in made(shape, EVENTS)]
    assert all(before <= after for before, after in pairwise(times))
    assert times[0] >= START_MS
    assert times[-1] - START_MS == pytest.approx(shape.days * DAY, rel=0.05)
    assert times[-1] - START_MS < shape.days * DAY or not shape.within


def test_tenants_have_the_sizes_of_zipf() -> None:
    """The n-th tenant of the reference has 1/n of the first one's mails."""
    mails = Counter(each.mail.tenant for each in happenings(REFERENCE, 5 * EVENTS) if each.kind == SENT)
    assert len(mails) == REFERENCE.tenants
    for rank in (1, 3, 9):
        assert mails[0] / mails[rank] == pytest.approx(rank + 1, rel=0.2)


def test_tiny_tenants_are_alike_and_many() -> None:
    """No tenant of the third workload stands out."""
    mails = Counter(each.mail.tenant for each in happenings(workload.TINY, EVENTS) if each.kind == SENT)
    assert len(mails) > 5_000
    assert max(mails.values()) < 10


def test_a_tenant_has_20_sequences_and_50_templates_each_in_one_sequence() -> None:
    """A template is always used in the same sequence."""
    pairs = {(each.mail.template, each.mail.sequence) for each in happenings(REFERENCE, EVENTS)}
    assert len(pairs) == REFERENCE.templates == 50
    assert len({sequence for _, sequence in pairs}) == REFERENCE.sequences == 20


def test_mails_are_read_hours_after_they_were_sent() -> None:
    """Half of the opens come more than two hours after the send, and some on another day."""
    delays = [each.at_ms - each.mail.sent_ms for each in happenings(REFERENCE, EVENTS) if each.kind == OPENED]
    assert median(delays) > 2 * HOUR
    assert max(delays) > DAY


def test_a_whole_workload_tells_all_that_becomes_of_its_mails() -> None:
    """Mails stop after the last day, their events do not, and there are about as many as were asked for."""
    shape = Shape("whole", tenants=2, zipf=0.0, days=1, whole=True)
    reported = list(happenings(shape, EVENTS))
    sent = {each.mail.sent_ms for each in reported if each.kind == SENT}
    assert max(sent) < START_MS + DAY < reported[-1].at_ms
    assert len(reported) == pytest.approx(EVENTS, rel=0.08)


@each_shape
def test_what_is_expected_is_what_an_independent_count_finds(shape: Shape) -> None:
    """The expected quarters and totals, of every kind, are those of the oracle, which reads the bytes."""
    want = oracle.count((each.value, time_of(each.timestamp_ms)) for each in made(shape, 3_000))
    got = expected(shape, 3_000)
    scopes = {
        **{
            (tenant_name(tenant), "tenant", ""): _sum(quarters.values())
            for tenant, quarters in got.quarters.items()
        },
        **{
            (tenant_name(tenant), "sequence", sequence_name(number)): counts
            for (tenant, number), counts in got.sequences.items()
        },
        **{
            (tenant_name(tenant), "template", template_name(number)): counts
            for (tenant, number), counts in got.templates.items()
        },
    }
    assert scopes == {scope: _sum(map(_row, quarters.values())) for scope, quarters in want.quarters.items()}
    for tenant, quarters in got.quarters.items():
        scope = tenant_name(tenant), "tenant", ""
        for unit_ms, mine, of_oracle in (
            (QUARTER, quarters, want.quarters[scope]),
            (HOUR, got.hours(tenant), want.hours[scope]),
        ):
            assert {time_of(at * unit_ms): counts for at, counts in mine.items()} == {
                at: _row(counts) for at, counts in of_oracle.items()
            }


def test_the_reference_has_every_kind_and_every_wording() -> None:
    """So no run is right by chance; machines are known by SES's word, or by their agent."""
    totals = _sum(expected(REFERENCE, 5 * EVENTS).totals().values())
    assert min(totals) > 0, dict(zip(FIELDS, totals, strict=True))
    text = b"".join(record.value for record in made(REFERENCE, EVENTS))
    for reader in READERS:
        said = f',"isBotEvent":"{reader.is_bot}"' if reader.is_bot else ""
        assert re.search(
            rf'"userAgent":"{re.escape(reader.agent)}","ipAddress":"[0-9.]+"{said}}}'.encode(), text
        )
    assert {(each.type, each.subtype) for each in BOUNCES} == {
        tuple(map(bytes.decode, pair))
        for pair in re.findall(rb'"bounceType":"(\w+)","bounceSubType":"(\w+)"', text)
    }


def test_a_long_tail_keeps_the_mails_of_each_tenant() -> None:
    """A smaller one has fewer tenants, each with as many mails a day."""
    for shape, a_day in ((LONG_TAIL, 5), (TWO_THOUSAND, 50)):
        smaller, events = tail(shape, TAIL_EVENTS // 20)
        mails = Counter(each.mail.tenant for each in happenings(smaller, events) if each.kind == SENT)
        assert len(mails) == smaller.tenants == shape.tenants // 20
        assert mean(mails.values()) / shape.days == pytest.approx(a_day, rel=0.1)


def test_every_event_can_be_decoded_by_the_ceiling() -> None:
    """The typed structs of the ceiling hold every event of a workload."""
    decode = msgspec.json.Decoder(Event).decode
    tenants = {decode(record.value).mail.tags.tenant[0] for record in made(REFERENCE, EVENTS)}
    assert tenants <= {tenant_name(number) for number in range(REFERENCE.tenants)}


def test_a_loaded_topic_holds_the_workload(kafka_bootstrap: str, topic_prefix: str) -> None:
    """Every record is there with its time and SNS's headers, each partition in order."""
    topic = f"{topic_prefix}events"
    loaded = load(kafka_bootstrap, topic, REFERENCE, 500)
    assert loaded == expected(REFERENCE, 500)
    stored = log.read(kafka_bootstrap, topic)
    assert sorted((each.key, each.value, each.time_ms) for each in stored) == sorted(made(REFERENCE, 500))
    assert {tuple(each.headers) for each in stored} == {("sns-message-id", "sns-topic-arn")}
    for partition in {each.partition for each in stored}:
        times = [each.time_ms for each in stored if each.partition == partition]
        assert times == sorted(times)


async def batch_sizes(bootstrap: str, topic: str) -> list[int]:
    """Of the record batches of a topic, as a worker's consumer gets them."""
    keep_fetches_packed()
    partitions = [TopicPartition(topic, number) for number in range(topics.EVENTS.partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign(partitions)
        missing = sum((await consumer.end_offsets(partitions)).values())
        sizes: list[int] = []
        while sum(sizes) < missing:
            for batches in (await consumer.getmany(timeout_ms=1_000)).values():
                sizes += [batch.next - batch.first for batch in batches]
    finally:
        await consumer.stop()
    return sizes


def test_small_batches_hold_two_records_each(kafka_bootstrap: str, topic_prefix: str) -> None:
    """As a quiet ingest writes; what a consumer is given is made of them."""
    topic = f"{topic_prefix}events"
    load(kafka_bootstrap, topic, SMALL_BATCHES, 200)
    sizes = Counter(asyncio.run(batch_sizes(kafka_bootstrap, topic)))
    assert set(sizes) <= {1, 2}
    assert sizes[2] > 5 * sizes[1], "a partition may end with a record alone"


def _row(counts: dict[str, int]) -> list[int]:
    return [counts.get(field, 0) for field in FIELDS]


def _sum(rows: Iterable[list[int]]) -> list[int]:
    return [sum(column) for column in zip(*rows, strict=True)]
