"""The protocol as a state machine: whatever happens in whatever order, the checkpoints say what is counted.

Workers are modelled by the product's own parts (reading, `Partition`, the calls, the script on a real
Valkey). What a thread and a network do to them is what Hypothesis chooses: batches wait in flight, workers
die, two own one partition, answers are lost, Redis goes back to any earlier state or is wiped. The other side
is the ledger of the chaos runs, which counts by the naive oracle.

Long because a state machine is one class: its rules share its state.
"""

import time
from collections.abc import Callable
from typing import Any, Final

import redis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from aggregator.counters.apply import Packed, apply_calls, apply_moves, packed
from aggregator.counters.store import LaneCall, Store
from aggregator.counting.checkpoints import Backlog, Partition
from aggregator.counting.decode import Decoder
from aggregator.counting.pack import pack_moves
from aggregator.counting.reading import Record, read_batch
from aggregator.counting.rules import Rules
from aggregator.counting.states import Identities
from aggregator.errors import GoneError, RolledBackError
from deploy.traffic import DAY, MINUTE
from deploy.valkey import Valkey
from schemas.counters import Generation
from schemas.shared.settings import RedisSettings
from tests.aggregator.generations import GENERATION
from tests.chaos import arena, view
from tests.chaos.ledger import Ledger
from tests.pipeline import events as events_of
from tests.pipeline.log import Outgoing

LANES: Final = 2
PARTITIONS: Final = 2
WORKERS: Final = 2
FACTS_A_CALL: Final = 20
"""Of a call that is cut: there are never many, and those of two tenants cost more than such a call may."""

TENANTS: Final = ("alder", "birch", "cedar")
RULES: Final = Rules(scopes=tuple(events_of.ALL_TAGS.items()))
SENT_MS: Final = time.time_ns() // 1_000_000 // DAY * DAY - 2 * DAY
"""Sends lie two days back: state that expires is another matter."""

workers = st.integers(0, WORKERS - 1)
partitions = st.integers(0, PARTITIONS - 1)
events = st.builds(
    lambda kind, tenant, mail, day, quarter, further: arena.event(
        kind,
        f"mail {mail}",
        (SENT_MS + day * DAY, SENT_MS + day * DAY + quarter * 15 * MINUTE),
        None,
        tenant=tenant,
        **({"sequence": "s", events_of.ALL_TAGS["campaign"]: "c"} if further else {}),
    ),
    st.sampled_from(["Open", "Click"]),
    st.sampled_from(TENANTS),
    st.integers(0, 2),
    st.integers(0, 1),
    st.integers(0, 7) | st.integers(0, 120),
    st.booleans(),
)
poison = st.builds(arena.poison, st.integers(0, 9))


class ModelWorker:
    """What one worker believes, and its calls that have not reached Redis."""

    def __init__(self, url: str, generation: Generation) -> None:
        self._store = Store(RedisSettings(redis_url=url))
        self._store.open()
        self._generation = generation
        self._identities = Identities(generation.identity_key)
        self._reader = Decoder(RULES)
        self.partitions: dict[int, Partition] = {}
        self.backlog = Backlog()
        self.flight: list[list[Packed] | list[LaneCall]] = []

    def close(self) -> None:
        self._store.close()

    def forget(self) -> None:
        """It dies, or has to resync."""
        self.partitions, self.backlog, self.flight = {}, Backlog(), []

    def begin(self) -> None:
        """Begin at the checkpoints; where a lane is gone, at nothing."""
        self.forget()
        try:
            checkpoints = self._store.checkpoints(self._generation)
        except GoneError:
            return
        self.partitions = {
            p: Partition(p, [lane.get(p, 0) for lane in checkpoints]) for p in range(PARTITIONS)
        }

    def read(self, partition: Partition, rows: list[Record]) -> None:
        """Take in a batch, which joins those that were read before."""
        by_lane = read_batch(self._reader, LANES, iter(rows)).by_lane
        partition.read(by_lane, rows[-1].offset + 1, self.backlog)

    def submit(self) -> None:
        """What was read becomes calls, small ones, which wait behind the others."""
        self.flight.append([packed(call, self._identities) for call in self.backlog.calls(FACTS_A_CALL)])
        self.backlog = Backlog()

    def tick(self) -> None:
        """Move all lanes along; the calls wait behind the others."""
        self.submit()
        moves = [[each.move(lane, -1) for each in self.partitions.values()] for lane in range(LANES)]
        self.flight.append([LaneCall(lane, pack_moves(each)) for lane, each in enumerate(moves)])

    def call(self) -> None:
        """Send the calls that have waited longest. An answer other than OK: resync, later."""
        calls = self.flight.pop(0)
        packs = [each for each in calls if isinstance(each, Packed)]
        moves = [each for each in calls if isinstance(each, LaneCall)]
        try:
            apply_calls(self._store, self._generation, self._identities, packs)
            apply_moves(self._store, self._generation, moves)
        except (GoneError, RolledBackError):
            self.forget()


class Machine(RuleBasedStateMachine):
    """One log, one Redis, two workers that both think that every partition is theirs."""

    def __init__(self, url: str, client: Any) -> None:
        super().__init__()
        self.url = url
        self.client = client
        self.workers: list[ModelWorker] = []

    @initialize()
    def a_generation(self) -> None:
        self.client.flushall()
        self.log: list[list[Record]] = [[] for _ in range(PARTITIONS)]
        self.sent: list[Outgoing] = []
        self.ledger = Ledger(LANES, PARTITIONS, events_of.ALL_TAGS)
        generation = replace(
            GENERATION, name="machine", lanes=LANES, rules=RULES.fingerprint, scopes=RULES.scope_names
        )
        store = Store(RedisSettings(redis_url=self.url))
        store.open()
        assert store.create(generation)
        store.close()
        self.workers = [ModelWorker(self.url, generation) for _ in range(WORKERS)]
        self.copies = [view.copy(self.client)]
        self.wiped = False

    # The log

    def _write(self, record: Outgoing, partition: int) -> None:
        offset = len(self.log[partition])
        self.log[partition].append(Record(offset, record.time_ms, record.key, record.value))
        self.ledger.enter(record, partition, offset)

    @rule(new=st.lists(events | poison, min_size=1, max_size=6), partition=partitions)
    def produce(self, new: list[Outgoing], partition: int) -> None:
        """New events; few mails, so that most facts are reported for several hours, early ones late."""
        for record in new:
            self.sent.append(record)
            self._write(record, partition)

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(min_value=0), partition=partitions)
    def duplicate(self, which: int, partition: int) -> None:
        """An event again, in the same partition or another."""
        self._write(self.sent[which % len(self.sent)], partition)

    # Workers

    @rule(worker=workers)
    def begin(self, worker: int) -> None:
        self.workers[worker].begin()

    @rule(worker=workers, partition=partitions, number=st.integers(1, 8))
    def read(self, worker: int, partition: int, number: int) -> None:
        """Read a batch where the worker stands."""
        model = self.workers[worker]
        if not model.partitions:
            model.begin()
        stands = model.partitions.get(partition)
        rows = self.log[partition][stands.position : stands.position + number] if stands else []
        if stands and rows:
            model.read(stands, rows)

    @rule(worker=workers, partition=partitions, new=st.lists(events, min_size=1, max_size=3))
    def work(self, worker: int, partition: int, new: list[Outgoing]) -> None:
        """All goes well for a moment: events come, are read where the worker stands, and are counted."""
        self.produce(new, partition)
        self.read(worker, partition, len(self.log[partition]))
        model = self.workers[worker]
        model.submit()
        while model.flight:
            model.call()

    @rule(worker=workers)
    def submit(self, worker: int) -> None:
        """All that was read and not submitted becomes calls, of several batches and partitions."""
        self.workers[worker].submit()

    @rule(worker=workers)
    def tick(self, worker: int) -> None:
        if self.workers[worker].partitions:
            self.workers[worker].tick()

    @rule(worker=workers)
    def call(self, worker: int) -> None:
        """The call that has waited longest reaches Redis; where the worker was replaced, as a zombie's."""
        if self.workers[worker].flight:
            self.workers[worker].call()

    @rule(worker=workers)
    def call_and_lose_the_answer(self, worker: int) -> None:
        if self.workers[worker].flight:
            self.workers[worker].call()
        self.workers[worker].forget()

    @rule(worker=workers)
    def crash(self, worker: int) -> None:
        self.workers[worker].forget()

    # Redis

    @precondition(lambda self: not self.wiped)
    @rule()
    def copy(self) -> None:
        self.copies.append(view.copy(self.client))

    @rule(which=st.integers(min_value=0))
    def roll_back(self, which: int) -> None:
        """Redis is what it was at some time; also how a wiped one is restored."""
        view.go_back(self.client, self.copies[which % len(self.copies)])
        self.wiped = False

    @rule()
    def wipe(self) -> None:
        self.client.flushall()
        self.wiped = True

    # The laws

    @invariant()
    def a_lane_holds_what_its_checkpoints_say(self) -> None:
        """Every event below the checkpoint is counted, none at or above."""
        if not self.workers:
            return
        keys = view.lanes(self.client)
        if self.wiped:
            assert self.client.keys() == []
        for lane, key in enumerate(keys):
            seen = view.see(self.client, key, PARTITIONS)
            assert all(
                checkpoint <= end for checkpoint, end in zip(seen.checkpoints, self.ledger.ends, strict=True)
            )
            differs = view.difference(seen.cells, self.ledger.below(lane, seen.checkpoints))
            assert not differs, (lane, seen.checkpoints, differs)

    def teardown(self) -> None:
        """However it stands: a worker that begins and reads on comes to the end with every number right."""
        if self.workers:
            if self.wiped:
                self.roll_back(0)
            for worker in self.workers:
                while worker.flight:
                    worker.call()
            self._read_to_the_end(self.workers[0])
            self.a_lane_holds_what_its_checkpoints_say()
            assert view.is_counted(self.client, self.ledger.ends)
        for worker in self.workers:
            worker.close()

    def _read_to_the_end(self, worker: ModelWorker) -> None:
        worker.begin()
        for number, stands in worker.partitions.items():
            rows = self.log[number][stands.position :]
            if rows:
                worker.read(stands, rows)
        worker.tick()
        while worker.flight:
            worker.call()


def test_checkpoints_and_cells_agree_whatever_happens(valkey_factory: Callable[[], Valkey]) -> None:
    valkey = valkey_factory()
    with redis.Redis.from_url(valkey.url) as client:
        run_state_machine_as_test(
            lambda: Machine(valkey.url, client),  # type: ignore[arg-type]  # it takes any factory
            settings=settings(max_examples=150, stateful_step_count=40, deadline=None),
        )
