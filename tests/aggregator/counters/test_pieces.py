"""One tenant in many short calls is what one call reads, at one moment, whatever is written meanwhile."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import pytest
import redis
from msgspec.structs import replace
from structlog.testing import capture_logs

from aggregator.counters.keyspace import Keyspace
from aggregator.counters.snapshots import pieces
from aggregator.counters.snapshots.answer import Snapshot
from aggregator.errors import GoneError, StoreUnavailableError
from schemas.redis_keys import (
    IS_WIDE,
    counters_key,
    known_key,
    member_of_block,
    member_of_id,
    wide_counters_key,
)
from schemas.shared.settings import RedisSettings
from tests import services
from tests.aggregator.generations import GENERATION
from tests.aggregator.lanes import Lane
from tests.chaos.proxy import Proxy

pytestmark = pytest.mark.programs

AT_ONCE: Final = 10
SIZES: Final = {-3: 25, 0: 3, 1: 10, 2: 0, 20: 111, 21: 60, 22: 2, 23: 4}
"""Packed counters of each block; one is read in several calls where it has more than ten."""

OLD, NEWEST, NOT_YET = 1, 23, 24
IDS: Final = 35
ONE_MOMENT: Final = b"\0moment"
"""Counts in every block, and moves the checkpoint with it."""

WHY: Final = "a tenant is read in one call"
TENANT: Final = "one"


@dataclass
class Place:
    """A tenant with much, behind a network that a test can do something in."""

    server: Any
    network: Proxy
    lane: Lane
    moments: Iterator[int] = field(default_factory=lambda: count(1))

    def write(self, *blocks: int) -> None:
        """What counts in some blocks, as the script does: at one moment with the checkpoint."""
        moment = str(next(self.moments))
        with self.server.pipeline(transaction=True) as writing:
            writing.hset(self.lane.key, "f0", moment)
            for block in blocks:
                writing.zadd(known_key(self.lane.key, TENANT), {member_of_block(block): 0})
                writing.hset(counters_key(self.lane.key, TENANT, block), ONE_MOMENT, moment)
            writing.execute()

    def read(self, first: int | None = None, last: int | None = None) -> tuple[Snapshot, list[str]]:
        """What is read through the network. Returns: that, and for which reasons it was read in one call."""
        keys = Keyspace(RedisSettings(redis_url=self.network.url))
        try:
            with capture_logs() as logged:
                found = keys.snapshot_of(self.generation, 0, TENANT, first=first, last=last)
        finally:
            keys.close()
        return found, [line["why"] for line in logged if line["event"] == WHY]

    def in_one_call(self, first: int | None = None, last: int | None = None) -> Snapshot:
        keys = Keyspace(RedisSettings(redis_url=f"redis://127.0.0.1:{self.network.target}/0"))
        try:
            return keys.snapshot(self.generation, 0, [TENANT], first=first, last=last)
        finally:
            keys.close()

    @property
    def generation(self) -> Any:
        return replace(GENERATION, name=self.lane.generation)


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    """A Redis whose hashes are scanned in parts also where they are small."""
    with services.valkey_server() as valkey, redis.Redis(port=valkey.port) as client:
        client.config_set("hash-max-listpack-entries", 4)
        yield client


@pytest.fixture
def place(server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(pieces, "AT_ONCE", AT_ONCE)
    server.flushall()
    with Proxy(server.connection_pool.connection_kwargs["port"]) as network:
        found = Place(server, network, Lane(server, "pieces"))
        ids = {member_of_id(1, f"id {number}"): 0 for number in range(IDS)}
        server.zadd(known_key(found.lane.key, TENANT), ids)
        for block, size in SIZES.items():
            fill(found, block, size)
        yield found


def fill(place: Place, block: int, size: int) -> None:
    """Each third counter is a wide one, of each block with more than three."""
    of = place.lane.key, TENANT, block
    place.server.zadd(known_key(place.lane.key, TENANT), {member_of_block(block): 0})
    for number in range(size):
        name, packed = b"\1\1%d" % number, b"%d of block %d" % (number, block)
        is_wide = size > 3 and number % 3 == 0
        if is_wide:
            place.server.hset(wide_counters_key(*of), name, packed)
        place.server.hset(counters_key(*of), name, IS_WIDE if is_wide else packed)


@pytest.mark.parametrize(
    "bounds", [(None, None), (0, 20), (21, 21), (None, 1), (2, None), (-99, -50), (23, 23), (50, None)]
)
def test_it_is_what_one_call_reads(place: Place, bounds: tuple[int | None, int | None]) -> None:
    """Of all blocks or some; and no answer is long: a name or counter takes less than 64 bytes here."""
    place.write(0, 20)
    found, in_one_call = place.read(*bounds)
    assert found == place.in_one_call(*bounds)
    assert in_one_call == []
    assert place.network.longest_answer < (AT_ONCE + 10) * 64  # a scan may say some more


def id_appears(place: Place) -> None:
    place.server.zadd(known_key(place.lane.key, TENANT), {member_of_id(1, f"new {next(place.moments)}"): 0})


def wide_counts(place: Place) -> None:
    place.server.hset(wide_counters_key(place.lane.key, TENANT, 20), b"\1\0010", next(place.moments))


def is_erased(place: Place) -> None:
    keys = [counters_key(place.lane.key, TENANT, block) for block in SIZES]
    place.server.delete(known_key(place.lane.key, TENANT), *keys)


WRITES: Final[dict[str, tuple[Callable[[Place], None], bool]]] = {
    "an old counter": (lambda place: place.write(OLD), True),
    "an old counter and a new one": (lambda place: place.write(OLD, NEWEST), True),
    "the newest": (lambda place: place.write(NEWEST), False),
    "a new block and an old one": (lambda place: place.write(NOT_YET, OLD), True),
    "every block": (lambda place: place.write(*SIZES), True),
    "a wide counter alone": (wide_counts, True),
    "a new id": (id_appears, True),
    "an erasure": (is_erased, False),  # there is nothing to erase a second time
}
"""What is written, and whether, done all the time, it comes in the way of each try."""


@pytest.mark.parametrize("times", [1, 2, 3, 4])
@pytest.mark.parametrize("what", WRITES)
def test_it_is_of_one_moment(place: Place, what: str, times: int) -> None:
    """Written just before the last call, once or each time: all of it is of before, or of after."""
    write, is_in_the_way = WRITES[what]
    place.write(*SIZES)
    for _ in range(times):
        place.network.at_call(b"EXEC", before=lambda: write(place))
    found, in_one_call = place.read()
    assert found == place.in_one_call()
    is_too_often = is_in_the_way and times >= len(pieces.TRIES)
    assert in_one_call == (["it was written all the time"] if is_too_often else [])


@pytest.mark.parametrize(
    ("call", "times"), [(b"WATCH", 7), (b"ZRANGEBYLEX", 6), (b"HLEN", 2), (b"HSCAN", 12), (b"MULTI", 1)]
)
def test_it_may_be_written_before_any_call(place: Place, call: bytes, times: int) -> None:
    """Not only before the last one: each key is watched before it is read."""
    place.write(*SIZES)
    for before in range(times):
        for _ in range(before):
            place.network.at_call(call)
        written = place.network.at_call(call, before=lambda: place.write(*SIZES))
        found, in_one_call = place.read()
        assert written.is_set(), before
        assert found == place.in_one_call(), before
        assert in_one_call == []


def test_a_lane_that_goes_meanwhile_is_gone(place: Place) -> None:
    place.network.at_call(b"EXEC", before=place.server.flushall)
    with pytest.raises(GoneError):
        place.read()


@pytest.mark.parametrize("at", [b"HSCAN", b"EXEC"])
def test_a_connection_that_is_lost_is_not_replaced(place: Place, at: bytes) -> None:
    """With it goes what was watched, and what is written then would be missed: all is read again."""
    place.write(*SIZES)
    place.network.at_call(at, after=lambda: place.write(*SIZES), cut=True)
    found, _ = place.read()
    assert found == place.in_one_call()


def test_who_may_not_watch_reads_in_one_call(place: Place) -> None:
    place.server.execute_command("ACL", "SETUSER", "default", "-watch")
    try:
        found, in_one_call = place.read()
    finally:
        place.server.execute_command("ACL", "SETUSER", "default", "+watch")
    assert found == place.in_one_call()
    [why] = in_one_call
    assert "watch" in why


@pytest.mark.parametrize("most", [0, 1])
def test_too_much_is_not_read_in_one_call(place: Place, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Redis would refuse everybody meanwhile: what stands in the way is said instead."""
    monkeypatch.setattr(pieces, "IN_ONE_CALL", sum(SIZES.values()) - 1 + most)
    for _ in pieces.TRIES:
        place.network.at_call(b"EXEC", before=lambda: id_appears(place))
    if most:
        assert place.read()[1] == ["it was written all the time"]
    else:
        with pytest.raises(StoreUnavailableError, match=r"215 counters .* it was written all the time"):
            place.read()


def test_what_is_too_much_is_what_is_wanted_and_not_the_tenant(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An audit reads one block of days."""
    monkeypatch.setattr(pieces, "IN_ONE_CALL", SIZES[20])
    assert place.server.execute_command("ACL", "SETUSER", "default", "-watch")
    try:
        found, in_one_call = place.read(20, 20)
        with pytest.raises(StoreUnavailableError, match="watch"):
            place.read(20, 21)
    finally:
        place.server.execute_command("ACL", "SETUSER", "default", "+watch")
    assert found == place.in_one_call(20, 20)
    assert len(in_one_call) == 1
