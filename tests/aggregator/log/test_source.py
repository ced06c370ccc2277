"""What a worker relies on, of the source that Faust is and of its fake: the same for both.

Long because both kinds and the seven laws that each is held to stand side by side.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import pytest
from confluent_kafka import Producer
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from aggregator.config import AggregatorSettings
from aggregator.log import faust_transport
from aggregator.log.faust_app import make_app
from aggregator.log.source import Batch, LogRange, Source
from schemas.topics import TopicConfig
from tests import services
from tests.aggregator.log.fake_source import FakeSource

IN_FLIGHT_MAX = 120
LIMIT_S = 60.0
ONE_FETCH = 1
"""Records that come with one fetch and in one batch. librdkafka may part two, even within a flush."""
NOW = 1_764_000_000_000


class Listener:
    """A subscriber that does nothing but remember, and drops where a worker would."""

    def __init__(self) -> None:
        self.source: Source | None = None
        self.reported: list[str] = []
        self.batches: list[Batch] = []
        self.offsets: list[tuple[int, int, int]] = []
        """(epoch, partition, offset) of each record, as it came."""
        self.releases = True

    def resync_is_due(self, why: str, detail: str = "") -> None:  # noqa: ARG002  # the promise has it
        self._drop(why)

    def forget(self) -> None:
        self._drop("forget")

    def _drop(self, what: str) -> None:
        self.reported.append(what)
        if self.source is not None:
            self.source.drop()

    async def take(self, batch: Batch) -> None:
        self.batches.append(batch)
        self.offsets += [(batch.epoch, batch.partition, record.offset) for record in batch.records()]
        if self.releases and self.source is not None:
            self.source.release(batch)

    def came(self, epoch: int, partition: int = 0) -> list[int]:
        """The offsets of a partition that came under an epoch."""
        return [at for found, number, at in self.offsets if (found, number) == (epoch, partition)]


class Rig(Protocol):
    """A source with its log and its group, and what can go wrong with them."""

    listener: Listener
    source: Source
    quiet_s: float

    async def append(self, number: int, partition: int = 0) -> None: ...
    async def delete_below(self, offset: int) -> None: ...
    async def add_partition(self) -> None: ...
    def lose_fetch(self) -> None: ...
    def lose_batch(self) -> None: ...


class FakeRig:
    """The fake."""

    quiet_s = 0.02

    def __init__(self) -> None:
        self.listener = Listener()
        self.fake = FakeSource(2, in_flight_max=IN_FLIGHT_MAX)
        self.source: Source = self.fake
        self.lose_fetch = self.fake.lose_fetch
        self.lose_batch = self.fake.lose_batch
        self.listener.source = self.source

    async def append(self, number: int, partition: int = 0) -> None:
        self.fake.append(partition, [b"{}"] * number, NOW)

    async def delete_below(self, offset: int) -> None:
        self.fake.delete_below(0, offset)

    async def add_partition(self) -> None:
        self.fake.add_partition()


class LosingConsumer(faust_transport.Consumer):
    """Our driver, behind a client and before a Faust that lose things."""

    loses_fetch = loses_batch = False

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109  # Faust's
        fetched, active = await super()._wait_next_records(timeout)
        if fetched and self.loses_fetch:
            self.loses_fetch = False
            return {}, active
        return fetched, active

    async def getmany(self, timeout: float) -> AsyncIterator[Any]:  # noqa: ASYNC109  # Faust's
        async for delivered in super().getmany(timeout):
            if self.loses_batch:
                self.loses_batch = False
                continue
            yield delivered


class RealRig:
    """Faust on a real Kafka."""

    quiet_s = 0.7

    def __init__(self, bootstrap: str, topic: str, directory: Path) -> None:
        settings = AggregatorSettings(
            kafka_bootstrap_servers=bootstrap, events_topic=topic, consumer_group=f"{topic}-group"
        )
        services.create_topics(bootstrap, {topic: TopicConfig(2)})
        client: dict[str, Any] = {"bootstrap.servers": bootstrap}
        self._topic = topic
        self._producer, self._admin = Producer(client), AdminClient(client)
        self.listener = Listener()
        self.app = make_app(settings, self.listener, directory)
        self.source = self.listener.source = self.app.source

    async def append(self, number: int, partition: int = 0) -> None:
        for _ in range(number):
            self._producer.produce(self._topic, b"{}", partition=partition, timestamp=NOW)
        assert await asyncio.to_thread(self._producer.flush, LIMIT_S) == 0

    async def delete_below(self, offset: int) -> None:
        for answer in self._admin.delete_records([Place(self._topic, 0, offset)]).values():
            await asyncio.to_thread(answer.result)

    async def add_partition(self) -> None:
        for answer in self._admin.create_partitions([NewPartitions(self._topic, 3)]).values():
            await asyncio.to_thread(answer.result)

    def lose_fetch(self) -> None:
        assert isinstance(self.source, LosingConsumer)
        self.source.loses_fetch = True

    def lose_batch(self) -> None:
        assert isinstance(self.source, LosingConsumer)
        self.source.loses_batch = True


Law = Callable[[Rig], Awaitable[None]]


@asynccontextmanager
async def fake() -> AsyncIterator[Rig]:
    rig = FakeRig()
    running = asyncio.ensure_future(rig.fake.run(rig.listener))
    try:
        yield rig
    finally:
        running.cancel()


@asynccontextmanager
async def real(bootstrap: str, topic: str, directory: Path) -> AsyncIterator[Rig]:
    rig = RealRig(bootstrap, topic, directory)
    await rig.app.start()
    try:
        yield rig
    finally:
        await rig.app.stop()


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.programs)])
def obeys(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[Law], None]:
    """Runs a law with a source that has a topic of two partitions, just assigned."""

    def opened() -> AbstractAsyncContextManager[Rig]:
        if request.param == "fake":
            return fake()
        monkeypatch.setattr(faust_transport, "RECORDS_IN_FLIGHT", IN_FLIGHT_MAX)
        monkeypatch.setattr(faust_transport, "RECORDS_A_BATCH", 50)
        monkeypatch.setattr(faust_transport.Transport, "Consumer", LosingConsumer)
        prefix = request.getfixturevalue("topic_prefix")
        directory = request.getfixturevalue("tmp_path")
        return real(request.getfixturevalue("kafka_bootstrap"), f"{prefix}events", directory)

    async def run(law: Law) -> None:
        async with opened() as rig:
            await until(
                lambda: rig.listener.reported[-1:] == ["assigned"] and len(rig.source.assigned()) == 2
            )
            await law(rig)

    return lambda law: asyncio.run(run(law))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what comes soon."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110  # the sources know of no such event
            await asyncio.sleep(0.01)


async def quiet(rig: Rig) -> int:
    """Wait until nothing comes any more. Returns: how many records have come."""
    came = -1
    while came != len(rig.listener.offsets):
        came = len(rig.listener.offsets)
        await asyncio.sleep(rig.quiet_s)
    return came


def test_nothing_comes_before_the_rewind_and_all_after_it(obeys: Callable[[Law], None]) -> None:
    """Batches are in order, without a hole from the offset that was named, and of the epoch they came in."""

    async def law(rig: Rig) -> None:
        for _ in range(4):
            await rig.append(50)
        await rig.append(30, partition=1)
        assert await quiet(rig) == 0
        await rig.source.rewind({0: 20, 1: 0})
        epoch = rig.source.epoch
        await until(lambda: len(rig.listener.offsets) >= 210)
        assert rig.listener.came(epoch) == list(range(20, 200))
        assert rig.listener.came(epoch, partition=1) == list(range(30))
        of_first = [batch for batch in rig.listener.batches if batch.partition == 0]
        assert len(of_first) > 1
        assert of_first[0].after == 20
        for before, then in pairwise(of_first):
            assert then.after == before.next
        assert {batch.last_ms for batch in of_first} == {NOW}
        assert await rig.source.log_ranges([1, 0]) == {0: LogRange(0, 200), 1: LogRange(0, 30)}

    obeys(law)


def test_after_a_drop_nothing_of_the_new_epoch_comes_until_the_next_rewind(
    obeys: Callable[[Law], None],
) -> None:
    """Also backwards, and whatever was told to Kafka."""

    async def law(rig: Rig) -> None:
        await rig.append(60)
        await rig.source.rewind({0: 0, 1: 0})
        first = rig.source.epoch
        await until(lambda: rig.listener.came(first) == list(range(60)))
        await rig.source.commit_hint({0: 60, 1: 0})
        rig.source.drop()
        second = rig.source.epoch
        assert second != first
        await rig.append(10)
        await quiet(rig)
        assert rig.listener.came(second) == []
        await rig.source.rewind({0: 5, 1: 0})
        await until(lambda: rig.listener.came(second) == list(range(5, 70)))
        assert set(rig.listener.reported) <= {"forget", "assigned"}

    obeys(law)


def test_no_more_is_fetched_while_much_is_not_released(obeys: Callable[[Law], None]) -> None:
    """What is released under an older epoch frees nothing."""

    async def law(rig: Rig) -> None:
        rig.listener.releases = False
        await rig.append(20)
        await rig.source.rewind({0: 0, 1: 0})
        await until(lambda: len(rig.listener.offsets) == 20)
        rig.source.drop()
        old = list(rig.listener.batches)
        for _ in range(10):
            await rig.append(60)
        await rig.source.rewind({0: 0, 1: 0})
        epoch = rig.source.epoch
        await until(lambda: len(rig.listener.came(epoch)) > IN_FLIGHT_MAX)
        for batch in old:
            rig.source.release(batch)
        await quiet(rig)
        held = len(rig.listener.came(epoch))
        await rig.append(60)
        await quiet(rig)
        assert len(rig.listener.came(epoch)) == held, "it fetched on"
        rig.listener.releases = True
        for batch in rig.listener.batches[len(old) :]:
            rig.source.release(batch)
        await until(lambda: rig.listener.came(epoch) == list(range(680)))

    obeys(law)


def test_what_a_fetch_lost_is_fetched_again(obeys: Callable[[Law], None]) -> None:
    """It shows with the next fetch, and the worker notices nothing."""

    async def law(rig: Rig) -> None:
        await rig.source.rewind({0: 0, 1: 0})
        epoch = rig.source.epoch
        rig.lose_fetch()
        await rig.append(ONE_FETCH)
        await quiet(rig)
        assert rig.listener.offsets == []
        await rig.append(10)
        await until(lambda: rig.listener.came(epoch) == list(range(ONE_FETCH + 10)))
        assert rig.source.epoch == epoch

    obeys(law)


def test_a_lost_batch_shows_as_one_that_begins_further_on(obeys: Callable[[Law], None]) -> None:
    async def law(rig: Rig) -> None:
        await rig.source.rewind({0: 0, 1: 0})
        epoch = rig.source.epoch
        rig.lose_batch()
        await rig.append(ONE_FETCH)
        await quiet(rig)
        assert rig.listener.offsets == []
        await rig.append(10)
        await until(lambda: len(rig.listener.offsets) > 0)
        assert rig.listener.batches[0].after == ONE_FETCH
        assert rig.source.epoch == epoch, "only the worker can know"

    obeys(law)


def test_records_that_are_gone_from_the_log_are_reported_of(obeys: Callable[[Law], None]) -> None:
    """Nothing is passed over in silence."""

    async def law(rig: Rig) -> None:
        await rig.append(20)
        await rig.delete_below(15)
        assert await rig.source.log_ranges([0]) == {0: LogRange(15, 20)}
        await rig.source.rewind({0: 5, 1: 0})
        await until(lambda: rig.listener.reported[-1] == "log")
        assert rig.listener.offsets == []

    obeys(law)


def test_a_rebalance_takes_away_and_gives_back(obeys: Callable[[Law], None]) -> None:
    """First `forget`, then a resync is due; what comes in between is of an epoch that is over."""

    async def law(rig: Rig) -> None:
        await rig.source.rewind({0: 0, 1: 0})
        epoch = rig.source.epoch
        await rig.append(10)
        await until(lambda: len(rig.listener.came(epoch)) == 10)
        before = len(rig.listener.reported)
        await rig.add_partition()
        await until(lambda: len(rig.source.assigned()) == 3 and rig.listener.reported[-1] == "assigned")
        assert rig.listener.reported[before] == "forget"
        assert rig.source.epoch != epoch
        await rig.append(10)
        await quiet(rig)
        assert {found for found, _, _ in rig.listener.offsets} == {epoch}
        # As a worker does: again where another rebalance came in between, and what a fetch lost shows later.
        rewound = -1
        async with asyncio.timeout(LIMIT_S):
            while len(rig.listener.came(rig.source.epoch)) < 10:
                if rig.source.epoch != rewound:
                    rewound = rig.source.epoch
                    await rig.source.rewind({0: 10, 1: 0, 2: 0})
                await rig.append(1)
                await asyncio.sleep(rig.quiet_s)
        assert rig.listener.came(rewound)[:10] == list(range(10, 20))

    obeys(law)
