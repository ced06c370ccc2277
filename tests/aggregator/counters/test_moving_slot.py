"""While a cluster moves a lane's slot key by key, a call counts all or nothing: it is stopped, never halved.

The two nodes refuse differently. The source refuses each command on a key that it has not (moved, or never
there). The target, which a client reaches by the source's redirection, takes a command on one key that it
has not as if there were none, and refuses only a command on several of which one is missing.

The keys are found by looking into the slot, not by name: whatever the layout, each is moved alone once.

Long because the scene, two nodes and a slot between them, is one for all cases.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from random import Random
from string import ascii_lowercase
from typing import Any, Final

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.counters.keyspace import Keyspace
from aggregator.counters.snapshots import pieces
from aggregator.counting.facts import Facts, Scopes
from aggregator.errors import StoreUnavailableError
from schemas.counters import LAYOUT, Generation
from schemas.kinds import FIELDS, KINDS
from schemas.shared.settings import RedisSettings
from tests.aggregator.lanes import Lane, kinds, naive_count
from tests.valkey_cluster import PATIENT_MS, Node, SlotMove, ValkeyCluster, valkey_cluster

DAY: Final = time.time_ns() // 86_400_000_000_000 - 2
"""Send days lie near today: state that expires is another matter."""

pytestmark = pytest.mark.programs
_generations = count()


def fact(
    kind: str,
    message: str,
    hour: int = 1,
    *,
    tenant: str = "one",
    scope: str | None = "a",
    day: int = DAY,
) -> Facts:
    """An event of a mail to two, with the kinds that it is part of. hour: from the start of the send day."""
    row = next(each for each in KINDS if each.field == kind)
    recipients = (None,) if row.per_message else (b"x", b"y")
    stated = kinds(*filter(None, (kind, row.part_of)))
    return Facts(Scopes(tenant, (scope, scope, None, "b")), day, 4 * hour + 1, message, stated, recipients)


HISTORY: Final = [
    fact(kind, message, ascii_lowercase.index(message) + after, tenant=tenant, day=day)
    for tenant, day, messages in (
        ("one", DAY, ascii_lowercase[:24]),
        ("two", DAY, "mno"),
        ("two", DAY - 1, "m"),
    )
    for message in messages
    for kind, after in (("sent", 0), ("delivered", 0), ("opened_human", 10))
]
"""The first tenant's counters of the day are wide: they have a count in each of its hours."""

CALLS: Final = {
    "the same again": HISTORY[:9],
    "earlier": [fact("delivered", "m", 2), fact("opened", "m", 3), fact("opened_human", "n", 20)],
    "more of what is known": [fact("clicked", "m", 6), fact("sent", "new", 5), fact("bounced_hard", "n", 5)],
    "new ids": [*(fact("sent", each, 5, scope="new") for each in "mnopq"), fact("sent", "m", 5, scope=None)],
    "a new day of counters": [fact("opened", "o", 60), fact("clicked", "m", 40 * 24)],
    "a new send day": [fact("sent", "m", 5, day=DAY + 1), fact("opened", "m", 5, day=DAY - 30)],
    "a new tenant": [fact(kind, "m", 5, tenant="three") for kind in ("sent", "delayed", "opened")],
}
CALLS["a counter that becomes wide"] = [
    fact(kind, message, hour, tenant="two")
    for hour, message in enumerate(ascii_lowercase[:24])
    for kind in ("sent", "delivered")
]
CALLS["all of it"] = [each for facts in CALLS.values() for each in facts]
MANY: Final = [fact("sent", f"many {number}", 5) for number in range(1_000)]
"""Their states fill the buckets that are made for them; half as many more take a second layer of buckets."""

MORE: Final = [fact("sent", f"more {number}", 5) for number in range(500)]

Exact = dict[bytes, tuple[bytes, int]]
"""What each key holds, as DUMP writes it, and when it expires, to the millisecond."""

Contents = dict[bytes, tuple[object, bool]]
"""What each key holds, in no order, and whether it expires."""


def contents(node: Node, slot: int) -> Contents:
    """All that a node holds of a slot."""
    keys = node.ask("CLUSTER", "GETKEYSINSLOT", slot, 1_000_000)
    types = node.ask_all(("TYPE", key) for key in keys)
    reading = {
        b"string": ("GET",),
        b"hash": ("HGETALL",),
        b"set": ("SMEMBERS",),
        b"zset": ("ZRANGE", 0, -1, "WITHSCORES"),
    }
    commands = [reading[each] for each in types]
    found = node.ask_all((name, key, *rest) for key, (name, *rest) in zip(keys, commands, strict=True))
    expires = node.ask_all(("PEXPIRETIME", key) for key in keys)
    return {key: (value, ms > 0) for key, value, ms in zip(keys, found, expires, strict=True)}


def exact(node: Node, slot: int) -> Exact:
    """The same, byte for byte."""
    keys = node.ask("CLUSTER", "GETKEYSINSLOT", slot, 1_000_000)
    dumps = node.ask_all(("DUMP", key) for key in keys)
    expires = node.ask_all(("PEXPIRETIME", key) for key in keys)
    return {key: (value, ms) for key, value, ms in zip(keys, dumps, expires, strict=True)}


def differences(got: Mapping[bytes, object], want: Mapping[bytes, object]) -> list[bytes]:
    """The keys that hold something else."""
    return sorted(key for key in got.keys() | want.keys() if got.get(key) != want.get(key))


@dataclass
class Field:
    """A lane on a cluster whose slot goes to and fro, and a call of which all is known beforehand."""

    move: SlotMove
    client: Any
    lane: Lane
    history: Sequence[list[Facts]]
    call: list[Facts]
    before: Exact = field(init=False)
    after: Contents = field(init=False)
    written: set[bytes] = field(init=False)
    """The keys that the call writes."""

    def __post_init__(self) -> None:
        """Count the history, and see on a slot that does not move what the call makes of it."""
        for at, facts in enumerate(self.history):
            assert self.lane.call([(0, at, at + 1, -1)], facts)[0] == b"OK"
        self.before = exact(self.move.source, self.move.slot)
        held = contents(self.move.source, self.move.slot)
        assert self.count() == b"OK"
        events = [each for facts in (*self.history, self.call) for each in facts]
        assert self.lane.cells({each.scopes.tenant for each in events}) == naive_count(events)
        self.after = contents(self.move.source, self.move.slot)
        self.written = {key for key, value in self.after.items() if held.get(key) != value}
        self.restore()

    def count(self) -> object:
        """The call, by the client that the lane has; how it is answered."""
        at = len(self.history)
        return self.lane.call([(0, at, at + 1, -1)], self.call)[0]

    def restore(self) -> None:
        """The slot's owner holds what was held before the call, and the other node nothing."""
        for node in (self.move.source, self.move.target):
            node.ask_all(("DEL", key) for key in self.move.keys(node))
        self.move.source.ask_all(
            ("RESTORE", key, max(ms, 0), dump, "ABSTTL") for key, (dump, ms) in self.before.items()
        )

    @contextmanager
    def begun(self, moved: Iterable[bytes]) -> Iterator[None]:
        """The slot is on its way, and these keys have moved. At the end: it has moved, as it was before."""
        self.move.begin()
        self.move.move(moved)
        try:
            yield
        finally:  # however it stands: what is on both nodes would hold the move up
            self.move.target.ask_all(("DEL", key) for key in self.move.keys(self.move.target))
            self.move.end()
            self.move, self.lane.client = self.move.back(), self.client
            self.restore()

    def check(self, moved: Iterable[bytes], *, follow: bool) -> bool:
        """Call when these keys have moved; then let the slot move on to its end and call again.

        follow: the call is made by a client that follows redirections, not to the source alone.
        Returns: whether the first call was stopped.
        """
        with self.begun(moved):
            return self._check(self.client if follow else self.move.source.client)

    def _check(self, client: Any) -> bool:
        move, stopped = self.move, False
        where = [(node, move.slot) for node in (move.source, move.target)]
        begun = [exact(*each) for each in where]
        self.lane.client = client
        try:
            assert self.count() == b"OK"
        except redis.RedisError:
            stopped = True
        if stopped:
            halves = [differences(exact(*each), had) for each, had in zip(where, begun, strict=True)]
            assert not any(halves), f"the call was halved: {halves}"
        else:
            at_source, at_target = (contents(*each) for each in where)
            twice = sorted(at_source.keys() & at_target.keys())
            assert not twice, f"it wrote what had not moved yet: {twice}"
            lacking = differences(at_source | at_target, self.after)
            assert not lacking, f"it did not count all: {lacking}"
        move.end()
        self.lane.client = self.client
        assert self.count() == (b"OK" if stopped else b"REBASE")
        wrong = differences(contents(move.target, move.slot), self.after)
        assert not wrong, f"the counters are wrong: {wrong}"
        return stopped


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyCluster]:
    with valkey_cluster(PATIENT_MS) as started:
        yield started


@pytest.fixture(scope="module")
def client(cluster: ValkeyCluster) -> Iterator[Any]:
    with cluster.client() as connected:
        yield connected


def field_of(cluster: ValkeyCluster, client: Any, history: Sequence[list[Facts]], call: list[Facts]) -> Field:
    lane = Lane(client, f"moving-{next(_generations)}")
    return Field(cluster.move_of(lane.key), client, lane, history, call)


@pytest.mark.parametrize("call", CALLS)
def test_a_key_that_has_moved_alone(cluster: ValkeyCluster, client: Any, call: str) -> None:
    """Each key once, and none: what the source is asked to count without it is stopped or counted whole."""
    at = field_of(cluster, client, [HISTORY], CALLS[call])
    assert any(b":w:" in key for key in at.before), "wide counters have keys of their own"
    creates = not at.after.keys() <= at.before.keys()
    assert at.check([], follow=False) or not creates, "it made keys that go with the slot"
    for key in at.before:
        assert at.check([key], follow=False) or key not in at.written, key


@pytest.mark.parametrize("call", CALLS)
def test_a_key_that_is_left_alone(cluster: ValkeyCluster, client: Any, call: str) -> None:
    """Each key once, and none: what the target is asked to count without it is stopped or counted whole."""
    at = field_of(cluster, client, [HISTORY], CALLS[call])
    at.check(at.before, follow=True)
    for key in at.before:
        assert at.check(at.before.keys() - {key}, follow=True) or key not in at.written, key


def test_any_keys_have_moved(cluster: ValkeyCluster, client: Any) -> None:
    """Any keys, any call, to the source or by way of it to the target: stopped or counted whole."""
    fields = {name: field_of(cluster, client, [HISTORY], call) for name, call in CALLS.items()}
    stops: Counter[bool] = Counter()

    @settings(max_examples=60)
    @given(st.data(), st.sampled_from(list(fields)), st.booleans())
    def law(data: st.DataObject, call: str, follow: bool) -> None:
        at = fields[call]
        lane = at.lane.key.encode()
        moved = data.draw(st.sets(st.sampled_from(sorted(at.before)))) | ({lane} if follow else set())
        stops[at.check(moved, follow=follow)] += 1

    law()
    assert stops[True], "some were stopped"
    assert stops[False], "some were not"


@pytest.mark.parametrize("follow", [False, True])
def test_a_day_that_outgrows_its_buckets(cluster: ValkeyCluster, client: Any, follow: bool) -> None:
    """A new layer of buckets is written without having been read: stopped too, or counted whole."""
    at = field_of(cluster, client, [MANY], MORE)
    assert len(at.after.keys() - at.before.keys()) > 10, "it takes new buckets"
    at.check(at.before if follow else [], follow=follow)
    for key in Random(7).sample(sorted(at.before), 5):
        at.check(at.before.keys() - {key} if follow else [key], follow=follow)


def test_a_message_of_an_older_layer_is_not_taken_for_a_new_one(cluster: ValkeyCluster, client: Any) -> None:
    """Where its bucket is left alone, its id is found in none: stopped, and not counted again."""
    at = field_of(cluster, client, [MANY, MORE], MANY[:3])
    for key in at.before:
        at.check(at.before.keys() - {key}, follow=True)


def test_what_is_read_is_whole_or_refused(
    cluster: ValkeyCluster, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `verify`, `audit` and `rebuild` compare: each key moved alone once, and left alone once."""
    monkeypatch.setattr(pieces, "AT_ONCE", 1)
    at = field_of(cluster, client, [HISTORY], CALLS["the same again"])
    keyspace = Keyspace(RedisSettings(redis_url=cluster.url, redis_cluster=True))
    generation = Generation(
        name=at.lane.generation,
        lanes=1,
        rules=at.lane.rules,
        layout=LAYOUT,
        kinds=FIELDS,
        cluster_id="",
        topic_id="",
        created_ms=0,
    )

    reads: list[Callable[[], object]] = [
        lambda: sorted(keyspace.tenants(generation, 0)),
        lambda: keyspace.checkpoints(generation, 0),
        lambda: keyspace.snapshot(generation, 0, ["one", "two"]),
        lambda: keyspace.snapshot_of(generation, 0, "one"),
    ]
    whole, refused = [read() for read in reads], 0
    for key in at.before:
        for moved in ({key}, at.before.keys() - {key}):
            with at.begun(moved):
                for read, right in zip(reads, whole, strict=True):
                    try:
                        assert read() == right, (key, moved == {key})
                    except StoreUnavailableError:
                        refused += 1
    assert refused, "what it reads was away"
    keyspace.close()
