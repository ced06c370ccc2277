"""Lanes take erasures in, on a real Valkey: at any instant they hold what the law makes of the log.

The machine of the checkpoints (`tests.aggregator.counters.test_apply_machine`), in whose world tenants are
erased now and then: workers that know it and some that do not, who die half way or come late, and a Redis
that goes back. At any instant a lane must hold just what an independent count makes of the events below its
checkpoints and of the erasures up to its number.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, cast

import msgspec
import pytest
import redis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test

from aggregator.config import AggregatorSettings
from aggregator.counters.lanes import standing_of
from aggregator.counters.store import Erasing, LaneCall, Store
from aggregator.counting.checkpoints import Partition
from aggregator.counting.decode import Decoder
from aggregator.counting.reading import Record
from aggregator.counting.rules import Erasures
from aggregator.counting.states import Identities
from aggregator.erasure import take_in
from aggregator.erasure.take_in import Eraser
from aggregator.errors import ErasedError, GoneError, OtherLogError, StoreUnavailableError
from deploy.valkey import Valkey
from schemas import counters
from schemas.counters import Generation
from schemas.redis_keys import RECORD_KEY
from tests.aggregator.counters import test_apply_machine as machine
from tests.chaos import arena, view
from tests.chaos.ledger import Ledger
from tests.pipeline import events as events_of
from tests.pipeline import oracle
from tests.pipeline.log import Outgoing
from tests.pipeline.place import time_of

SETTINGS = AggregatorSettings.model_validate({"scope_tags": events_of.SETTINGS["SCOPE_TAGS"]})
assert SETTINGS.rules == machine.RULES


class World:
    """The log and the erasures, of which `take_in` reads."""

    log: ClassVar[list[list[Record]]] = []
    starts: ClassVar[dict[int, int]] = {}
    told: ClassVar[list[tuple[int, str, int]]] = []

    @classmethod
    def erasures(cls) -> Erasures:
        return Erasures(cls.told, len(cls.told))


class Topic:
    """The topic of erasures."""

    def __init__(self, _settings: object) -> None:
        """There is no Kafka."""

    def read(self) -> Erasures:
        return World.erasures()

    def close(self) -> None:
        """There is nothing to drop."""


class Bulk(Topic):
    """Reads the log."""

    def ranges(self, partitions: int) -> dict[int, tuple[int, int]]:
        return {n: (World.starts.get(n, 0), len(World.log[n])) for n in range(partitions)}

    def offsets_since(self, partitions: int, since_ms: int) -> dict[int, int]:
        return {
            n: next((row.offset for row in rows if row.timestamp >= since_ms), len(rows))
            for n, rows in enumerate(World.log[:partitions])
        }

    def until(
        self, start: Mapping[int, int], stop: Mapping[int, int]
    ) -> Iterator[tuple[int, Sequence[Record]]]:
        for number, first in start.items():
            yield number, World.log[number][first : stop[number]]


class LateStore(Store):
    """A Redis that is not reached where a lane would be opened: the call is on its way."""

    late: list[Erasing] | None = None

    def erase(self, generation: Generation, what: Erasing) -> bool:
        if self.late is None:
            return super().erase(generation, what)
        self.late.append(what)
        raise StoreUnavailableError("it is on its way")


class ErasingWorker(machine.ModelWorker):
    """A worker that takes erasures in when it begins, and knows those that there were then."""

    def __init__(self, url: str, generation: Generation) -> None:
        super().__init__(url, generation)
        self._store = LateStore(AggregatorSettings(redis_url=url))
        self._store.open()
        self._eraser = Eraser(SETTINGS, self._store)
        self._known = World.erasures()

    def begin(self) -> None:
        self.forget()
        try:
            self._known, checkpoints = self._eraser.checkpoints(self._generation)
        except (GoneError, StoreUnavailableError):
            return
        self._reader = Decoder(machine.RULES, self._known)
        self._identities = Identities(self._generation.identity_key, self._known)
        self.partitions = {
            p: Partition(p, [lane.get(p, 0) for lane in checkpoints]) for p in range(machine.PARTITIONS)
        }

    def begin_and_be_late(self) -> list[Erasing]:
        """Begin, with the last step of what is to be done on its way."""
        store = cast("LateStore", self._store)
        store.late = []
        self.begin()
        late, store.late = store.late, None
        return late

    def come_late(self, what: Erasing) -> None:
        """What was on its way arrives."""
        try:
            self._store.erase(self._generation, what)
        except GoneError:
            return

    def tick(self) -> None:
        super().tick()
        moves = cast("list[LaneCall]", self.flight.pop())
        lanes = machine.LANES
        self.flight.append([each._replace(erased=self._known.of_lane(each.lane, lanes)) for each in moves])

    def call(self) -> None:
        try:
            super().call()
        except ErasedError:
            self.forget()


class Book(Ledger):
    """The independent count, with erasures."""

    def __init__(self, lanes: int, partitions: int, tags: Mapping[str, str]) -> None:
        super().__init__(lanes, partitions, tags)
        self._all: list[tuple[int, int, int, oracle.Reported]] = []
        self._named = tags

    def enter(self, record: Outgoing, partition: int, offset: int) -> None:
        super().enter(record, partition, offset)
        reported = oracle.read(record.value, time_of(record.time_ms), self._named)
        if reported.facts:
            self._all.append((partition, offset, record.time_ms, reported))

    def by(self, lane: int, checkpoints: Sequence[int], number: int) -> view.Cells:
        """What a lane with these checkpoints must hold that has taken in the erasures up to a number."""
        through: dict[str, int] = defaultdict(lambda: -1)
        for _, tenant, at in World.told[:number]:
            through[tenant] = max(through[tenant], at)
        return view.flat(
            oracle.count_reported(
                reported
                for partition, offset, at, reported in self._all
                if offset < checkpoints[partition]
                and view.lane_of(reported.facts[0].tenant, machine.LANES) == lane
                and at > through[reported.facts[0].tenant]
            )
        )


class Machine(machine.Machine):
    """One log, one Redis, two workers, and an operator."""

    @initialize()
    def a_generation(self) -> None:
        World.told, World.starts = [], {}
        super().a_generation()
        World.log = self.log
        self.ledger: Book = Book(machine.LANES, machine.PARTITIONS, self.ledger._tags)
        generation = self.workers[0]._generation
        for worker in self.workers:
            worker.close()
        self.workers = [ErasingWorker(self.url, generation) for _ in range(machine.WORKERS)]
        self.late: list[Erasing] = []

    @precondition(lambda self: self.sent)
    @rule(tenant=st.sampled_from(machine.TENANTS), which=st.integers(min_value=0), more=st.integers(-1, 1))
    def erase(self, tenant: str, which: int, more: int) -> None:
        """A tenant, up to about the time of one of the records."""
        at = self.sent[which % len(self.sent)].time_ms + more
        World.told.append((len(World.told), tenant, at))

    @rule(worker=machine.workers)
    def take_in(self, worker: int) -> None:
        self.workers[worker].begin()

    @rule(worker=machine.workers)
    def die_half_way(self, worker: int) -> None:
        """A lane is closed, and what would open it is on its way."""
        self.late += cast("ErasingWorker", self.workers[worker]).begin_and_be_late()
        self.workers[worker].forget()

    @precondition(lambda self: self.late)
    @rule(which=st.integers(min_value=0))
    def come_late(self, which: int) -> None:
        cast("ErasingWorker", self.workers[0]).come_late(self.late[which % len(self.late)])

    @invariant()
    def a_lane_holds_what_its_checkpoints_say(self) -> None:
        if not self.workers:
            return
        for lane, key in enumerate(view.lanes(self.client)):
            seen = view.see(self.client, key, machine.PARTITIONS)
            number = standing_of(self.client.hget(key, "rules")).erased
            differs = view.difference(seen.cells, self.ledger.by(lane, seen.checkpoints, number))
            assert not differs, (lane, seen.checkpoints, number, differs)

    def teardown(self) -> None:
        super().teardown()
        if self.workers:
            lanes = [standing_of(self.client.hget(key, "rules")).erased for key in view.lanes(self.client)]
            assert lanes == [World.erasures().of_lane(n, machine.LANES) for n in range(machine.LANES)]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(take_in, "BulkReader", Bulk)
    monkeypatch.setattr(take_in, "ErasureTopic", Topic)


@pytest.mark.usefixtures("world")
def test_lanes_hold_what_the_law_makes_of_events_and_erasures(valkey_factory: Callable[[], Valkey]) -> None:
    valkey = valkey_factory()
    with redis.Redis.from_url(valkey.url) as client:
        run_state_machine_as_test(
            lambda: Machine(valkey.url, client),  # type: ignore[arg-type]  # it takes any factory
            settings=settings(max_examples=60, stateful_step_count=40, deadline=None),
        )


@pytest.fixture
def lane(world: None, valkey_factory: Callable[[], Valkey]) -> Iterator[Any]:  # noqa: ARG001  # it replaces Kafka
    """A world with one record of a tenant, counted; its log then begins at offset 1."""
    valkey = valkey_factory()
    with redis.Redis.from_url(valkey.url) as client:
        made = Machine(valkey.url, client)
        made.a_generation()
        new = arena.event("Open", "m", (machine.SENT_MS, machine.SENT_MS), None, tenant="alder")
        made.work(0, 0, [new, new])
        yield made
        for worker in made.workers:
            worker.close()


def test_an_old_erasure_is_not_taken_in_by_a_log_that_lost_its_beginning(lane: Any) -> None:
    """What is gone may have been later than it: that takes a rebuild, and nothing is removed."""
    World.told, World.starts = [(0, "alder", machine.SENT_MS - 1)], {0: 1}
    before = view.all_cells(lane.client)
    with pytest.raises(OtherLogError, match="rebuild"):
        lane.workers[0].begin()
    assert view.all_cells(lane.client) == before
    World.starts = {}
    lane.workers[0].begin()
    assert view.all_cells(lane.client) == before, "it is later, and was counted again"


def test_who_knows_less_than_a_lane_counts_nothing(lane: Any) -> None:
    """Its topic lags behind, or was lost."""
    World.told = [(0, "alder", machine.SENT_MS)]
    lane.workers[0].begin()
    assert not view.all_cells(lane.client)
    World.told = []
    with pytest.raises(ErasedError, match="not in the topic"):
        lane.workers[1].begin()
    assert not view.all_cells(lane.client)


def test_partial_counters_are_asked_for_nothing_before_their_start(lane: Any) -> None:
    """A rebuild of a log that lost its beginning takes in old erasures too: nothing is counted again."""
    record = msgspec.json.decode(lane.client.get(RECORD_KEY), type=counters.Record)
    members = [msgspec.structs.replace(each, start={0: 2}) for each in record.members]
    lane.client.set(RECORD_KEY, msgspec.json.encode(counters.Record(tuple(members))))
    World.told, World.starts = [(0, "alder", machine.SENT_MS - 1)], {0: 1}
    lane.workers[0].begin()
    assert not view.all_cells(lane.client)
