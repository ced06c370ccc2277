"""The life of the generations under crashes, lost leases, zombies and rollbacks: in memory, and on a Valkey.

Rebuilds go on step by step, and may be overtaken by others between any two of them, also while a worker opens
lanes: so each client lets a chosen rebuild go on before one of its calls.

Long because a state machine is one class: its rules share its state.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import redis
from hypothesis import Phase, settings
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

from aggregator.counters import lifecycle
from aggregator.counters.registry import Registry
from aggregator.errors import ClosedError, GoneError, RefusedError, SwitchLostError
from deploy.valkey import Valkey
from schemas.counters import Generation, Member, Record, State, closed_for
from schemas.redis_keys import LEASE_KEY, RECORD_KEY
from tests.aggregator.generations import GENERATION
from tests.aggregator.twin import Twin
from tests.examples import examples

LANES = 2


def made(name: str) -> Generation:
    return replace(GENERATION, name=name, lanes=LANES)


class Overtaken:
    """A client before one of whose calls something else happens."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls_left = -1
        self.happens: Callable[[], None] = lambda: None

    def __getattr__(self, name: str) -> Any:
        self.calls_left -= 1
        if self.calls_left == 0:
            self.happens()
        return getattr(self._client, name)


class Rebuild:
    """One rebuild: what it still has to do, a step at a time."""

    def __init__(self, registry: Registry, token: str, new: str) -> None:
        self.registry = registry
        self.token = token
        self.new = new
        self.closing: Generation | None = None
        self.switched = False
        self._steps = self._all()

    def step(self) -> bool:
        """Go on. Returns: whether there is more to do."""
        return next(self._steps, None) is not None

    def fail(self) -> None:
        """Something went wrong: as the true one does then, it takes its closing back."""
        if self.closing is None or self.switched:
            return
        with suppress(RefusedError):
            self.registry.take_back(self.token, token=self.token)
            self.registry.lanes.open(self.closing, closed_for(self.new, self.token))

    def _change(self, step: Callable[[Record], Record]) -> None:
        self.registry.change(step, token=self.token)
        assert self.registry.read().lease == self.token, "it changed the record without the lease"

    def _all(self) -> Iterator[str]:
        try:
            yield from self._work()
        except RefusedError:
            self.fail()

    def _work(self) -> Iterator[str]:
        self.registry.take_back_of_dead(self.token)
        yield "took back"
        begun = self.registry.read().record.next
        new = made(self.new) if begun is None else begun.generation
        self.new = new.name
        self._change(lambda record: lifecycle.begun(record, new, {}, {}))
        yield "begun"
        self.registry.lanes.make(new, {})
        yield "lanes"
        self._change(lambda record: lifecycle.comparing(record, new.name))
        yield "comparing"
        live = self.registry.read().record.live
        assert live is not None
        attempt = closed_for(new.name, self.token)
        self._change(lambda record: lifecycle.closing(record, new.name, self.token))
        self.closing = live
        yield "closing"
        for lane in range(LANES):
            self.registry.lanes.close_lane(live, lane, attempt)
            yield f"closed {lane}"
        self._change(lambda record: lifecycle.switched(record, new.name, self.token))
        self.switched = True
        yield "switched"
        for lane in range(LANES):
            self.registry.lanes.succeed_lane(live, lane, attempt, new)
            yield f"succeeded {lane}"


class Machine(RuleBasedStateMachine):
    """Rebuilds that may die, sleep and wake, workers that begin, and a Redis whose record may go back."""

    def __init__(self, client: Any) -> None:
        super().__init__()
        self.client = client
        self.watched = Overtaken(client)

    @initialize()
    def first(self) -> None:
        for key in [RECORD_KEY, LEASE_KEY]:
            self.client.delete(key)
        self.number = 0
        self.rebuilds: list[Rebuild] = []
        self.registry = Registry(self.client)
        first = made("g0")
        for number in range(200):
            for lane in range(LANES):
                self.client.delete(f"{{g{number}:{lane}}}")
        self.registry.lanes.make(first, {})
        self.registry.change(lambda record: lifecycle.first(record, first))
        self.history = [self.client.get(RECORD_KEY)]
        self.went_back = False

    def held(self) -> bytes | None:
        lease: bytes | None = self.client.get(LEASE_KEY)
        return lease

    def go_on(self, number: int, steps: int = 1) -> None:
        if self.rebuilds:
            rebuild = self.rebuilds[number % len(self.rebuilds)]
            for _ in range(steps):
                if not rebuild.step():
                    self.rebuilds.remove(rebuild)
                    if self.held() == rebuild.token.encode():
                        self.client.delete(LEASE_KEY)
                    break
                self.remember()

    def remember(self) -> None:
        now = self.client.get(RECORD_KEY)
        if now != self.history[-1]:
            self.history.append(now)

    # What happens

    @rule()
    def a_rebuild_starts(self) -> None:
        """Only one at a time has the lease."""
        self.number += 1
        if self.client.set(LEASE_KEY, f"token{self.number}", nx=True):
            self.rebuilds.append(Rebuild(self.registry, f"token{self.number}", f"g{self.number}"))

    @rule(number=st.integers(0, 3), steps=st.integers(1, 12))
    def a_rebuild_goes_on(self, number: int, steps: int) -> None:
        """Also one that lost its lease long ago."""
        self.go_on(number, steps)

    @precondition(lambda self: self.rebuilds)
    @rule(number=st.integers(0, 3))
    def a_rebuild_is_killed(self, number: int) -> None:
        """It says nothing more; its lease stays for a while."""
        self.rebuilds.pop(number % len(self.rebuilds))

    @precondition(lambda self: self.rebuilds)
    @rule(number=st.integers(0, 3))
    def a_rebuild_fails(self, number: int) -> None:
        """Its own error path."""
        rebuild = self.rebuilds.pop(number % len(self.rebuilds))
        rebuild.fail()
        if self.held() == rebuild.token.encode():
            self.client.delete(LEASE_KEY)
        self.remember()

    @rule()
    def the_lease_runs_out(self) -> None:
        """Whoever had it may be dead or asleep."""
        self.client.delete(LEASE_KEY)

    @rule(back=st.integers(1, 4))
    def the_record_goes_back(self, back: int) -> None:
        """A failover lost the last writes of its slot, and kept those of the lanes."""
        if len(self.history) > 1:
            self.history = self.history[: max(1, len(self.history) - back)]
            self.client.set(RECORD_KEY, self.history[-1])
            self.went_back = True

    @rule(before_call=st.integers(0, 12), number=st.integers(0, 3), steps=st.integers(1, 5))
    def a_worker_begins(self, before_call: int, number: int, steps: int) -> None:
        """It counts into open lanes, waits for a switch under way, or says that one was lost."""
        self.watched.calls_left = before_call
        self.watched.happens = lambda: self.go_on(number, steps)
        worker = Registry(self.watched)  # type: ignore[arg-type]  # it passes all on
        live = worker.read().record.live
        assert live is not None
        try:
            worker.open_again(live)
        except (ClosedError, GoneError):
            return  # it resyncs in a second; the law below says that this ends
        except SwitchLostError:
            assert self.went_back, "a switch was lost, and the record never went back"
        finally:
            self.watched.calls_left = -1
            self.no_switch_under_way_was_taken_back()
        self.remember()

    def no_switch_under_way_was_taken_back(self) -> None:
        record, _, lease = self.registry.read()
        for rebuild in self.rebuilds:
            if rebuild.token == lease and rebuild.closing and not rebuild.switched and not self.went_back:
                assert record.next is not None
                assert (record.next.state, record.next.attempt) == (State.CLOSING, rebuild.token)

    @precondition(lambda self: self.went_back)
    @rule()
    def an_operator_restores(self) -> None:
        """What a lost switch was to is live again."""
        try:
            self.registry.restore()
        except (RefusedError, GoneError):
            return
        self.remember()

    # What holds

    @invariant()
    def at_most_one_is_live_and_one_is_made(self) -> None:
        states = [each.state for each in self.registry.read().record.members]
        assert states.count(State.LIVE) == 1
        making = [state for state in states if state in (State.BUILDING, State.COMPARING, State.CLOSING)]
        assert len(making) <= 1

    @invariant()
    def a_live_generation_without_a_rebuild_counts(self) -> None:
        """Once no lease is held, one resync of a worker opens the live lanes, or reports a lost switch."""
        if self.held() is not None:
            return
        record = self.registry.read().record
        live = record.live
        assert live is not None
        try:
            self.registry.open_again(live)
        except SwitchLostError:
            assert self.went_back
            return
        self.remember()
        assert [each.attempt for each in self.registry.lanes.closed(live)] == [None] * LANES
        assert self.registry.read().record.live == live

    @invariant()
    def a_switch_was_with_all_lanes_closed(self) -> None:
        """What was live before is closed to counting wherever it is there, unless the record went back."""
        if self.went_back:
            return
        for each in self.registry.read().record.members:
            if each.state is State.RETIRED:
                assert all(lane.attempt for lane in self.registry.lanes.closed(each.generation))


def run(client: Any, number: int) -> None:
    run_state_machine_as_test(
        lambda: Machine(client),  # type: ignore[arg-type]  # what makes one does as well as the class
        settings=settings(
            max_examples=examples(number),
            stateful_step_count=40,
            deadline=None,
            phases=[Phase.generate, Phase.shrink],
        ),
    )


def test_in_memory() -> None:
    """Many lives, on the twin."""
    run(Twin(), 500)


def test_on_a_real_valkey(valkey_factory: Callable[[], Valkey]) -> None:
    """The same machine against the scripts themselves."""
    with redis.Redis.from_url(valkey_factory().url) as client:
        run(client, 60)


CHANGES: dict[State, Callable[[Record], Record]] = {
    State.BUILDING: lambda record: lifecycle.begun(record, made("g1"), {}, {}),
    State.COMPARING: lambda record: lifecycle.comparing(record, "g1"),
    State.CLOSING: lambda record: lifecycle.closing(record, "g1", "token"),
    State.LIVE: lambda record: lifecycle.switched(record, "g1", "token"),
    State.DROPPING: lambda record: lifecycle.dropping(record, "g1"),
}


@pytest.mark.parametrize("before", [None, *State])
@pytest.mark.parametrize("after", list(CHANGES))
def test_only_what_the_table_allows(before: State | None, after: State) -> None:
    """Each change moves one generation along the table or is refused; a switch retires what was live."""
    members = lifecycle.first(Record(()), made("g0")).members
    if before is not None:
        attempt = "token" if before is State.CLOSING else ""
        members = (*members, Member(generation=made("g1"), state=before, attempt=attempt))
    change = CHANGES[after]
    if after not in lifecycle.ALLOWED[before] or (before, after) == (None, State.LIVE):
        with pytest.raises(RefusedError):
            change(Record(members))
        return
    changed = change(Record(members))
    states = [(each.generation.name, each.state) for each in changed.members]
    assert states == [("g0", State.RETIRED if after is State.LIVE else State.LIVE), ("g1", after)]


def test_a_switch_and_its_take_back_need_the_same_attempt() -> None:
    """Of an attempt that was taken back nothing comes through any more, nor of another one."""
    record = CHANGES[State.CLOSING](CHANGES[State.COMPARING](CHANGES[State.BUILDING](Record(()))))
    refused: Callable[[], Record]
    for refused in (
        lambda: lifecycle.switched(record, "g1", "another"),
        lambda: lifecycle.taken_back(record, "another"),
        lambda: lifecycle.switched(lifecycle.taken_back(record, "token"), "g1", "token"),
        lambda: lifecycle.begun(record, made("g2"), {}, {}),
    ):
        with pytest.raises(RefusedError):
            refused()
