"""What a worker makes of a source that loses things, and of a Redis that fails: exact, and each of it once.

The source is the fake that `tests.aggregator.log.test_source` holds to the real one. Of Redis only the
checkpoints are here, and each call must begin where its checkpoint stands: what is left out or counted twice
fails there. Long because the stories share that world, which is half of it.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

import msgpack
import pytest
from msgspec.structs import replace
from prometheus_client import generate_latest

from aggregator import metrics
from aggregator.counters.store import Answer, LaneCall
from aggregator.counting.decode import Decoder
from aggregator.counting.facts import Facts
from aggregator.counting.reading import DeadLetter
from aggregator.counting.rules import NO_ERASURES, Erasures, Rules
from aggregator.errors import ErasedError, NoVerdictError, StoreUnavailableError, UndeliveredError
from aggregator.log.admin import Log
from aggregator.log.source import Batch
from aggregator.worker import assignment, worker
from aggregator.worker.known_ids import KnownIds
from aggregator.worker.live import Live
from aggregator.worker.worker import Worker
from schemas.counters import Generation
from schemas.kinds import FIELDS
from tests.aggregator import generations
from tests.aggregator.log.fake_source import RECORDS_A_BATCH, FakeSource
from tests.metrics_text import samples
from tests.pipeline import events

RULES = Rules()
DECODER = Decoder(RULES)
LANES = 3
GENERATION = replace(generations.GENERATION, lanes=LANES, rules=RULES.fingerprint)
NOW = 1_764_000_000_000
IN_FLIGHT_MAX = 400
LIMIT_S = 20.0
GOOD: list[bytes | None] = [
    each.value for each in events.records(7, NOW, 600, tenants=5) if each.value and each.value[:1] == b"{"
]


class Checkpoints:
    """A Redis of which only the checkpoints are there, and the order of what it is asked."""

    def __init__(self) -> None:
        self.lanes: list[dict[int, int]] = [{} for _ in range(LANES)]
        self.asked: list[str] = []
        self.completes: dict[int, int] = {}
        self.fails: Exception | None = None
        """What the next call is answered with."""
        self.may_go_on = Event()
        """Calls with events wait for it. A tick's move does not: who waits there submits nothing more."""
        self.may_go_on.set()
        self.servers = frozenset({"server"})
        self.wrong: list[str] = []

    def open(self) -> None:
        """There is nothing to connect to."""

    def close(self) -> None:
        """There is nothing to drop."""

    def live(self) -> Generation:
        return GENERATION

    def checkpoints(self, _generation: Generation) -> list[dict[int, int]]:
        self.asked.append("checkpoints")
        return [dict(lane) for lane in self.lanes]

    def apply(self, _generation: Generation, calls: Sequence[LaneCall]) -> list[Answer]:
        arguments = [msgpack.unpackb(call.argument, raw=True, strict_map_key=False) for call in calls]
        assert not any(facts for _, facts in arguments) or self.may_go_on.wait(LIMIT_S)
        if self.fails is not None:
            error, self.fails = self.fails, None
            self.asked.append("failed")
            raise error
        for call, (moves, facts) in zip(calls, arguments, strict=True):
            self.asked.append("facts" if facts else "move")
            for partition, prev, end, through in moves:
                checkpoint = self.lanes[call.lane].get(partition, 0)
                if prev != checkpoint:
                    self.wrong.append(f"{prev} where {checkpoint} stands")
                self.lanes[call.lane][partition] = end
                if through >= 0:
                    self.completes[partition] = through
        return [Answer("OK") for _ in calls]

    def are_at(self, *ends: int) -> bool:
        return all(lane.get(number, 0) == end for lane in self.lanes for number, end in enumerate(ends))


class Erasers:
    """A topic of erasures, and a Redis that has taken them in."""

    def __init__(self, redis: Checkpoints) -> None:
        self._redis = redis
        self.erasures = NO_ERASURES

    def close(self) -> None:
        """There is nothing to drop."""

    def checkpoints(self, generation: Generation) -> tuple[Erasures, list[dict[int, int]]]:
        return self.erasures, self._redis.checkpoints(generation)


class DeadLetters:
    """A dead-letter topic."""

    def __init__(self) -> None:
        self.kafka_is_away = False
        self.written: list[int] = []

    def of_log(self, log: object) -> None:
        """There is one log."""

    def write(self, _partition: int, dead_letters: Sequence[DeadLetter]) -> None:
        if self.kafka_is_away:
            raise UndeliveredError("Kafka is out of reach")
        self.written += [each.offset for each in dead_letters]


class Recorded(Worker):
    """A worker that remembers why it began anew."""

    def __init__(self, live: Live, checker: Any) -> None:
        super().__init__(
            decoder=Decoder(RULES),
            live=live,
            checker=checker,
            known_ids=KnownIds(1_000),
            clock_ms=lambda: NOW,
        )
        self.whys: list[str] = []

    def resync_is_due(self, why: metrics.Why, detail: str = "") -> None:
        self.whys.append(why)
        super().resync_is_due(why, detail)


class World:
    """A worker and all that it talks to."""

    def __init__(self, partitions: int) -> None:
        self.source = FakeSource(partitions, in_flight_max=IN_FLIGHT_MAX)
        self.redis = Checkpoints()
        self.dead_letters = DeadLetters()
        self.erasers = Erasers(self.redis)
        self.verdict: Exception | None = None
        self.refused = 0
        """How many checks have ended with the verdict above."""
        live = Live(
            rules=RULES,
            store=cast("Any", self.redis),
            dead_letters=cast("Any", self.dead_letters),
            cluster=cast("Any", SimpleNamespace(log=lambda: Log("cluster", "topic", partitions))),
            eraser=cast("Any", self.erasers),
        )
        self.worker = Recorded(live, SimpleNamespace(check=self._check, close=lambda: None))
        self.worker.bind(self.source)

    def _check(self, _generation: Generation, _servers: frozenset[str], erasures_end: int) -> None:
        if self.verdict is not None:
            self.refused += 1
            raise self.verdict
        if erasures_end != self.erasers.erasures.end:
            raise ErasedError("there is more to read")

    def append(self, number: int, partition: int = 0) -> None:
        self.source.append(partition, GOOD[:number], NOW)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not condition():  # noqa: ASYNC110  # there is no such event
                await asyncio.sleep(0.002)

    async def until_idle(self) -> None:
        """All that the thread of Redis was given has been done, or was left out."""
        async with asyncio.timeout(LIMIT_S):
            await asyncio.wrap_future(self.worker._live._thread.submit(lambda: None))

    async def until_counted(self) -> None:
        """Every lane is at the end of every partition; then nothing is in flight."""
        await self.until(lambda: self.redis.are_at(*self.source.ends))
        assert self.redis.wrong == []


@asynccontextmanager
async def running(partitions: int) -> AsyncIterator[World]:
    world = World(partitions)
    tasks = [
        asyncio.ensure_future(each)
        for each in (
            world.worker.keep_synced(),
            world.worker.keep_ticking(),
            world.source.run(world.worker),
        )
    ]
    try:
        await world.until(lambda: world.worker.not_ready is None)
        yield world
        assert not [task for task in tasks if task.done()]
    finally:
        world.redis.may_go_on.set()
        for task in tasks:
            task.cancel()
        await asyncio.to_thread(world.worker.close)


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs a story with a worker that ticks a hundred times a second."""
    monkeypatch.setattr(worker, "TICK_S", 0.01)

    async def run(story: Callable[[World], Coroutine[Any, Any, None]], partitions: int) -> None:
        async with running(partitions) as world:
            await story(world)

    return lambda story, partitions=1: asyncio.run(run(story, partitions))


Play = Callable[..., None]


def test_all_is_counted_once_and_released(play: Play) -> None:
    async def story(world: World) -> None:
        for partition in range(2):
            world.append(300, partition)
        await world.until_counted()
        await world.until(lambda: world.source._in_flight == 0)
        await world.until(lambda: world.redis.completes == {0: NOW, 1: NOW})
        await world.until(lambda: world.source.hints[-1:] == [{0: 300, 1: 300}])
        assert world.worker.whys == ["assigned"]

    play(story, partitions=2)


def test_what_is_counted_is_measured_when_it_is_counted(play: Play) -> None:
    """A sample of freshness for each batch, and each fact under its kind; nothing of what has failed."""

    def measured() -> dict[str, float]:
        names = ("aggregator_freshness_seconds_count", "aggregator_freshness_seconds_sum")
        found = {name: metrics.WORKER.get_sample_value(name) or 0.0 for name in names}
        facts = samples(generate_latest(metrics.WORKER).decode(), "aggregator_facts_by_kind_total")
        return {**found, **{kind: number for (kind,), number in facts.items()}}

    before = measured()

    async def story(world: World) -> None:
        world.redis.fails = StoreUnavailableError("away")
        world.append(300)
        await world.until(lambda: "failed" in world.redis.asked)
        await world.until_counted()
        await world.until(lambda: world.source._in_flight == 0)

    play(story)
    grown = {name: value - before[name] for name, value in measured().items() if value != before[name]}
    age = time.time() - NOW / 1000
    read = Decoder(RULES).read
    told = [outcome for each in GOOD[:300] if isinstance(outcome := read(each, NOW), Facts)]
    want = Counter(FIELDS[kind] for each in told for kind in each.kinds for _ in each.recipients)
    batches = grown.pop("aggregator_freshness_seconds_count")
    assert 300 / RECORDS_A_BATCH <= batches <= 300
    assert age - 60 < grown.pop("aggregator_freshness_seconds_sum") / batches <= age
    assert grown == want


def test_a_batch_that_begins_further_on_is_read_again_from_the_checkpoints(play: Play) -> None:
    """One that is lost with none behind it shows as a partition that stands still."""

    async def story(world: World) -> None:
        world.append(30)
        await world.until_counted()
        world.source.lose_batch()
        world.append(RECORDS_A_BATCH + 20)
        await world.until_counted()
        assert world.worker.whys == ["assigned", "lost batch"]
        world.source.lose_batch()
        world.append(20)
        await world.until_counted()
        assert world.worker.whys == ["assigned", "lost batch", "stalled"]

    play(story)


def test_holes_that_compaction_leaves_are_passed(play: Play) -> None:
    async def story(world: World) -> None:
        world.source.revoke()
        world.append(40)
        for offset in (0, 17, 39):
            world.source.compact_away(0, offset)
        world.append(1)
        world.source.assign([0])
        await world.until_counted()
        assert world.worker.whys == ["assigned", "assigned"]

    play(story)


def test_records_that_are_gone_are_said_and_nothing_is_passed(play: Play) -> None:
    """It takes a rebuild: the worker is not ready, and its checkpoints stay."""

    async def story(world: World) -> None:
        world.source.revoke()
        world.append(40)
        world.source.delete_below(0, 10)
        world.source.assign([0])
        await world.until(lambda: "records are lost to counting" in (world.worker.not_ready or ""))
        assert world.redis.are_at(0)

    play(story)


def test_what_is_submitted_for_partitions_that_are_taken_away_is_not_begun(play: Play) -> None:
    """The call that Redis has is ended; what waits behind it is another worker's now."""

    async def story(world: World) -> None:
        world.redis.may_go_on.clear()
        world.append(200)
        await world.until(lambda: world.source._delivered.empty() and world.source._in_flight == 200)
        counting = world.worker._assignment
        assert counting is not None
        counting._submit()  # as a tick does; one may stand behind the call that is under way, and does not
        assert counting._jobs > 1
        world.source.revoke()
        assert world.worker.not_ready == "rebalancing"
        world.redis.may_go_on.set()
        await world.until_idle()
        counted = [lane.get(0, 0) for lane in world.redis.lanes]
        await asyncio.sleep(0.1)
        assert [lane.get(0, 0) for lane in world.redis.lanes] == counted
        assert max(counted) < 200
        world.source.assign([0])
        await world.until_counted()

    play(story)


@pytest.mark.parametrize("fault", ["redis", "dead letter"])
def test_after_a_call_that_failed_nothing_is_applied_until_the_resync(play: Play, fault: str) -> None:
    """Neither what was submitted behind it, nor a tick; then all of it is counted, and once."""

    async def story(world: World) -> None:
        world.redis.may_go_on.clear()
        world.append(RECORDS_A_BATCH)
        await world.until(lambda: world.source._in_flight > 0 and world.source._delivered.empty())
        world.source.append(0, [b"{"], NOW)
        world.append(200)
        await asyncio.sleep(0.05)
        if fault == "redis":
            world.redis.fails = StoreUnavailableError("no answer")
        world.dead_letters.kafka_is_away = fault != "redis"
        world.redis.may_go_on.set()
        await world.until(lambda: world.worker.whys[-1] == "error")
        if fault == "redis":
            asked = world.redis.asked[world.redis.asked.index("failed") + 1 :]
            assert asked[:1] in ([], ["checkpoints"])
        else:
            assert max(lane.get(0, 0) for lane in world.redis.lanes) <= RECORDS_A_BATCH
            world.dead_letters.kafka_is_away = False
        await world.until_counted()
        assert RECORDS_A_BATCH in world.dead_letters.written

    play(story)


def test_reading_waits_while_much_is_read_and_not_counted(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By weight in the worker, by number in the source."""
    taken: list[int] = []
    before = Worker._take

    async def counted_take(self: Worker, batch: Batch) -> bool:
        taken.append(len(batch))
        return await before(self, batch)

    monkeypatch.setattr(Worker, "_take", counted_take)

    async def story(world: World, most: int) -> None:
        taken.clear()
        world.redis.may_go_on.clear()
        for _ in range(4):
            world.append(400)
        await asyncio.sleep(0.2)
        assert sum(taken) <= most
        assert world.source._in_flight <= IN_FLIGHT_MAX + RECORDS_A_BATCH
        world.redis.may_go_on.set()
        await world.until_counted()
        await world.until(lambda: world.source._in_flight == 0)
        assert sum(taken) == 1600
        assert world.worker.whys == ["assigned"]

    play(lambda world: story(world, IN_FLIGHT_MAX + RECORDS_A_BATCH))
    monkeypatch.setattr(assignment, "WEIGHT_MAX", 1)
    play(lambda world: story(world, 2 * RECORDS_A_BATCH))


def test_without_a_verdict_counting_goes_on_and_nothing_is_complete(play: Play) -> None:
    async def story(world: World) -> None:
        world.verdict = NoVerdictError("Kafka does not answer")
        await world.until(lambda: world.refused > 0)  # so the ticks that had a good verdict are over
        world.redis.completes.clear()
        world.append(100)
        await world.until_counted()
        assert world.redis.completes == {}
        world.verdict = None
        await world.until(lambda: world.redis.completes == {0: NOW})
        assert world.worker.whys == ["assigned"]

    play(story)


def test_a_log_that_became_shorter_is_seen_by_the_tick(play: Play) -> None:
    async def story(world: World) -> None:
        world.append(50)
        await world.until_counted()
        world.source.log[0].clear()
        world.source.ends[0] = 20
        await world.until(lambda: "log" in world.worker.whys)
        await world.until(lambda: "below the checkpoint 50" in (world.worker.not_ready or ""))
        assert world.redis.are_at(50)

    play(story)


def test_a_broker_that_is_away_ends_nothing_for_good(play: Play) -> None:
    async def story(world: World) -> None:
        world.source.is_away = True
        await world.until(lambda: "error" in world.worker.whys)
        world.append(10)
        await asyncio.sleep(0.05)
        world.source.is_away = False
        await world.until_counted()

    play(story)


def test_who_is_erased_is_heard_of_within_a_tick(play: Play) -> None:
    """The worker begins anew, once, and what is read from then on is read by it."""

    async def story(world: World) -> None:
        world.append(30)
        await world.until_counted()
        tenants = {facts.scopes.tenant for value in GOOD if type(facts := DECODER.read(value, NOW)) is Facts}
        told = [(offset, tenant, NOW) for offset, tenant in enumerate(tenants)]
        world.erasers.erasures = Erasures(told, len(told))
        await world.until(lambda: world.worker.whys == ["assigned", "erased"])
        await world.until(lambda: world.worker.not_ready is None)
        before, world.redis.asked = metrics.RECORDS.labels("erased")._value.get(), []
        world.append(30)
        await world.until_counted()
        assert "facts" not in world.redis.asked
        await world.until(lambda: metrics.RECORDS.labels("erased")._value.get() > before)
        assert world.worker.whys == ["assigned", "erased"]

    play(story)
