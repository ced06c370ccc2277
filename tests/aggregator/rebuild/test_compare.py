"""Generations of any two numbers of lanes are compared, and followed, while live lanes stand where they like.

On a real Valkey and Kafka, with nobody counting but the test: it moves a live lane on between any two pages.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from random import Random
from typing import Any
from uuid import uuid4

import pytest
import redis
from msgspec.structs import replace

from aggregator.config import AggregatorSettings
from aggregator.counters.keyspace import Keyspace
from aggregator.counters.store import Store
from aggregator.erasure.take_in import Eraser
from aggregator.errors import ErasedError
from aggregator.log.coverage import Coverage
from aggregator.log.erasures import ErasureTopic
from aggregator.rebuild import compare
from aggregator.rebuild.catch_up import Tail
from aggregator.rebuild.compare import Comparison
from aggregator.rebuild.following import follow
from aggregator.rebuild.report import Report
from schemas.counters import Generation
from schemas.topics import ERASURES, EVENTS, ErasureRecord
from tests import services
from tests.aggregator.generations import GENERATION
from tests.pipeline import events, log

RECORDS = 4_000
PARTITIONS = range(EVENTS.partitions)


class KilledError(Exception):
    """The rebuild's process ends here."""


class Quiet:
    """Watches, and shows nothing."""

    def __call__(self, phase: str, done: int, total: int) -> None:
        assert done <= total, phase

    def say(self, what: str) -> None:
        raise AssertionError(f"it waits: {what}")


class Field:
    """A topic, and generations that nobody else counts into."""

    def __init__(self, settings: AggregatorSettings, ends: list[int]) -> None:
        self.settings = settings
        self.keys = Keyspace(settings)
        self.ends = dict(enumerate(ends))

    def made(self, lanes: int) -> Generation:
        """A new generation, with nothing in it."""
        made = replace(GENERATION, name=uuid4().hex[:8], lanes=lanes, rules=self.settings.rules.fingerprint)
        self.keys.registry.lanes.make(made, {})
        return made

    def tail(self, generation: Generation, live_lanes: int) -> Tail:
        return Tail(self.settings, generation, live_lanes, self.ends)  # dead letters are another test's

    def checkpoints(self, generation: Generation) -> list[dict[int, int]]:
        found = [self.keys.checkpoints(generation, lane) for lane in range(generation.lanes)]
        return [{number: lane.get(number, 0) for number in PARTITIONS} for lane in found]

    def compared(
        self,
        live: Generation,
        new: Generation,
        tail: Tail,
        before_each_page: Callable[[], None] = lambda: None,
    ) -> Report:
        report = Report(new.name, live.name, RECORDS)
        Comparison(
            self.keys,
            live=live,
            new=new,
            coverage=Coverage(),
            progress=Quiet(),
            lease_held=before_each_page,
        ).run(tail, report)
        return report


@pytest.fixture
def field(kafka_bootstrap: str, redis_url: str, topic_prefix: str) -> Iterator[Field]:
    topic = f"{topic_prefix}events"
    erasures = f"{topic_prefix}erasures"
    services.create_topics(kafka_bootstrap, {topic: EVENTS, erasures: ERASURES})
    log.send(kafka_bootstrap, topic, events.records(7, time.time_ns() // 1_000_000, RECORDS))
    settings = AggregatorSettings(
        kafka_bootstrap_servers=kafka_bootstrap,
        redis_url=redis_url,
        events_topic=topic,
        erasures_topic=erasures,
    )
    made = Field(settings, log.ends(kafka_bootstrap, topic))
    yield made
    made.keys.close()


class Live:
    """The live generation, whose lanes go on one by one."""

    def __init__(self, field: Field, lanes: int, seed: int) -> None:
        self.generation = field.made(lanes)
        self._ends, self._rng = field.ends, Random(seed)
        self._tail = field.tail(self.generation, lanes)
        self._tail.read_to(field.ends)
        self._at = [dict.fromkeys(PARTITIONS, 0) for _ in range(lanes)]
        for lane in range(lanes):
            self.go_on(lane)

    def close(self) -> None:
        self._tail.__exit__(None, None, None)

    def go_on(self, lane: int | None = None) -> None:
        """A lane, or any, is counted further."""
        chosen = self._rng.randrange(len(self._at)) if lane is None else lane
        at = self._at[chosen]
        for number, end in self._ends.items():
            at[number] += (end - at[number]) * self._rng.randrange(60) // 100
        self._tail.count_to({chosen: at})


@pytest.fixture
def live(field: Field, request: pytest.FixtureRequest) -> Iterator[Live]:
    made = Live(field, request.param, request.param)
    yield made
    made.close()


def held(client: Any, generation: Generation) -> dict[bytes, bytes]:
    """All keys of a generation, as Redis writes them out."""
    return {key: client.dump(key) for key in client.scan_iter(match=f"{{{generation.name}:*", count=1000)}


@pytest.mark.parametrize(("live", "lanes"), [(16, 5), (5, 32), (6, 4), (1, 3), (7, 7)], indirect=["live"])
def test_each_tenant_is_compared_at_the_same_events(
    field: Field, live: Live, lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after one that was killed in the middle; then all is followed, with nothing ahead anywhere."""
    monkeypatch.setattr(compare, "TENANTS_A_PAGE", 3)
    new = field.made(lanes)
    calls = 0

    def go_on() -> None:
        nonlocal calls
        calls += 1
        live.go_on()
        if calls == 4:
            raise KilledError

    with field.tail(new, live.generation.lanes) as tail, pytest.raises(KilledError):
        field.compared(live.generation, new, tail, go_on)
    with field.tail(new, live.generation.lanes) as tail:
        report = field.compared(live.generation, new, tail, go_on)
        assert (report.compared, report.differing, report.not_compared) == (len(events.TENANTS), 0, None)
        stands = field.checkpoints(live.generation)
        follow(field.keys, live.generation, tail)
    for number, lane in enumerate(field.checkpoints(new)):
        of = [stands[each] for each in tail.groups.live_lanes(tail.groups.of(number))]
        assert lane == {p: max(each[p] for each in of) for p in PARTITIONS}
    exact = field.made(lanes)
    with field.tail(exact, lanes) as alone:
        alone.read_to(field.ends)
        alone.count_to(dict(enumerate(field.checkpoints(new))))
        report = field.compared(new, exact, alone)
    assert (report.compared, report.differing) == (len(events.TENANTS), 0)


@pytest.mark.parametrize("live", [5], indirect=True)
def test_a_difference_is_found_whichever_lane_it_is_in(field: Field, live: Live) -> None:
    """A day of one tenant is gone from the live counters: only that differs."""
    with redis.Redis.from_url(field.settings.redis_url) as client:
        gone = min(client.scan_iter(match=f"{{{live.generation.name}:*:c:harbor:*", count=1000))
        client.delete(gone)
    new = field.made(8)
    with field.tail(new, 5) as tail:
        report = field.compared(live.generation, new, tail)
    assert report.compared == len(events.TENANTS)
    assert report.differing > 0
    assert {each.cell.tenant for each in report.examples} == {"harbor"}
    assert {each.redis for each in report.examples} == {0}


@pytest.mark.parametrize("live", [2], indirect=True)
def test_a_redis_that_went_back_in_silence_makes_no_difference(
    field: Field, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was counted ahead is lost, and the checkpoints are none the wiser: it is counted again."""
    monkeypatch.setattr(compare, "TENANTS_A_PAGE", 1)
    new = field.made(3)
    pages = 0
    with redis.Redis.from_url(field.settings.redis_url) as client:

        def go_back() -> None:
            nonlocal pages
            pages += 1
            if pages == 3:
                now = field.checkpoints(new)
                for key in held(client, new):
                    client.delete(key)
                for key, value in before.items():
                    client.restore(key, 0, value)
                assert field.checkpoints(new) == now

        with field.tail(new, 2) as tail:
            before = held(client, new)
            report = field.compared(live.generation, new, tail, go_back)
    assert pages == len(events.TENANTS)
    assert (report.compared, report.differing) == (len(events.TENANTS), 0)


@pytest.mark.parametrize("erased_first", ["live", "new"])
@pytest.mark.parametrize("live", [3], indirect=True)
def test_an_erasure_in_between_is_no_difference(field: Field, live: Live, erased_first: str) -> None:
    """Nothing is compared while one of both has taken it in, and no switch is made until the new one has."""
    new = field.made(4)
    topic = ErasureTopic(field.settings)
    with closing(Store(field.settings)) as store, closing(Eraser(field.settings, store)) as eraser:
        store.open()

        def erase() -> None:
            if topic.read().end == 0:
                topic.write(ErasureRecord(tenant="harbor", through_ms=time.time_ns() // 1_000_000))
                eraser.take_in(live.generation if erased_first == "live" else new, topic.read())

        with field.tail(new, 3) as tail:
            tail.check_erasures()
            report = field.compared(live.generation, new, tail, erase)
            assert "a tenant was erased" in (report.not_compared or "")
            assert (report.differing, report.examples) == (0, [])
            with pytest.raises(ErasedError, match="run the rebuild again"):
                tail.check_erasures()
        for generation in (live.generation, new):
            eraser.take_in(generation, topic.read())
    topic.close()
    with field.tail(new, 3) as tail:
        tail.check_erasures()
        report = field.compared(live.generation, new, tail)
    assert (report.compared, report.differing, report.not_compared) == (len(events.TENANTS) - 1, 0, None)
