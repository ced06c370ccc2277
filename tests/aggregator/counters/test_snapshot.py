"""What an operator's command reads of a lane in one step, on a real Valkey: whole or in pages."""

from collections.abc import Iterator
from contextlib import nullcontext
from itertools import count, islice

import pytest
import redis
from msgspec.structs import replace

from aggregator.counters.keyspace import Keyspace
from aggregator.counters.snapshots.answer import Snapshot
from aggregator.counting.cells import Cell, stored_cells
from aggregator.counting.facts import Facts, Scopes
from aggregator.errors import GoneError
from schemas.counters import Generation
from schemas.instants import DAY_MS, QUARTER_MS
from schemas.packed_counter import unpack_quarters
from schemas.redis_keys import (
    IS_WIDE,
    counter_field,
    counters_key,
    days_of,
    known_key,
    lane_key,
    member_of_block,
    member_of_id,
    wide_counters_key,
)
from schemas.shared.settings import RedisSettings
from tests.aggregator.generations import GENERATION
from tests.aggregator.lanes import Lane, kinds

BLOCKS = {"one": [-3, 20, 100], "two": [], "three": [7], "four": [5, 6]}
COUNTERS = 3
WIDE_FIELD = b"\0\2\xff"
_names = count()


@pytest.fixture(scope="module")
def keys(redis_url: str) -> Iterator[Keyspace]:
    keyspace = Keyspace(RedisSettings(redis_url=redis_url))
    yield keyspace
    keyspace.close()


@pytest.fixture
def held(redis_url: str) -> Generation:
    """A lane of four tenants, each of whose blocks has three packed counters, one of them a wide one."""
    with redis.Redis.from_url(redis_url) as client:
        lane = Lane(client, f"snapshot-{next(_names)}")
        client.hset(lane.key, mapping={"f0": 12, "f3": 7, "c0": 5})
        for tenant, blocks in BLOCKS.items():
            client.sadd(f"{lane.key}:n", tenant)
            for member in (*known_ids(tenant), *map(member_of_block, blocks)):
                client.zadd(known_key(lane.key, tenant), {member: 0})
            for block in blocks:
                counters = packed_counters(block)
                client.hset(counters_key(lane.key, tenant, block), mapping=counters | {WIDE_FIELD: IS_WIDE})
                wide = wide_counters_key(lane.key, tenant, block)
                client.hset(wide, WIDE_FIELD, counters[WIDE_FIELD])
    return replace(GENERATION, name=lane.generation)


def known_ids(tenant: str) -> list[bytes]:
    return [member_of_id(1, f"of {tenant}"), member_of_id(2, ""), member_of_id(255, tenant)]


def packed_counters(block: int) -> dict[bytes, bytes]:
    days = days_of(block)
    fields = (counter_field(days[-1], 0, 0), counter_field(days[0], 1, 1, "x"), WIDE_FIELD)
    assert len(fields) == COUNTERS
    return dict.fromkeys(fields, b"packed counter of %d" % block)


def blocks_of(snapshot: Snapshot) -> list[list[int]]:
    return [[block for block, _ in each.blocks] for each in snapshot.held]


def test_the_whole_of_some_tenants(keys: Keyspace, held: Generation) -> None:
    """In the order asked for, blocks in order of time, with what is known and with the checkpoints."""
    found = keys.snapshot(held, 0, ["three", "one", "two", "nobody"])
    assert found.checkpoints == {0: 12, 3: 7}
    assert found.stopped is None
    assert blocks_of(found) == [[7], [-3, 20, 100], [], []]
    assert found.held[1].blocks == [(block, packed_counters(block)) for block in BLOCKS["one"]]
    assert [each.known for each in found.held] == [known_ids("three"), known_ids("one"), known_ids("two"), []]
    assert [keys.blocks(held, 0, tenant) for tenant in ("one", "two", "nobody")] == [[-3, 20, 100], [], []]
    assert keys.checkpoints(held, 0) == {0: 12, 3: 7}
    assert keys.completes(held, 0) == {0: 5}
    assert sorted(keys.tenants(held, 0)) == sorted(BLOCKS)


@pytest.mark.parametrize("tenants_a_page", [1, 3, 4])
@pytest.mark.parametrize("most", range(1, 20))
def test_pages_together_are_the_whole(
    keys: Keyspace, held: Generation, most: int, tenants_a_page: int
) -> None:
    """Whatever the limits, every block and every known id is read once, and each page goes on."""
    tenants = list(BLOCKS)
    found: dict[str, list[int]] = {tenant: [] for tenant in tenants}
    known: dict[str, list[bytes]] = {tenant: [] for tenant in tenants}
    whole = 0
    pages = keys.pages(
        held, 0, tenants, tenants_a_page=tenants_a_page, packed_counters_a_page=most, resting=nullcontext
    )
    for page in islice(pages, 20):
        again = keys.snapshot(held, 0, page.tenants, first=page.first, last=page.last)
        ends = len(page.snapshot.held) if page.last is None else len(page.snapshot.held) - 1
        assert again.held == page.snapshot.held  # the same range without a limit, as of another generation
        for name, each in zip(page.tenants, page.snapshot.held, strict=True):
            found[name] += [block for block, _ in each.blocks]
            known[name] += each.known
        assert sum(len(each.blocks) for each in page.snapshot.held) <= -(-most // COUNTERS)
        assert page.whole == ends
        whole += page.whole
    assert next(pages, None) is None
    assert whole == len(tenants)
    assert found == BLOCKS
    assert known == {tenant: known_ids(tenant) for tenant in tenants}


def test_one_block(keys: Keyspace, held: Generation) -> None:
    """What an audit reads; known ids are of no block."""
    found = keys.snapshot(held, 0, ["one"], first=20, last=20)
    assert blocks_of(found) == [[20]]
    assert found.held[0].known == []


def test_a_wide_counter_that_is_lost_is_damage(keys: Keyspace, held: Generation, redis_url: str) -> None:
    """And no zero: it is answered as what no packed counter is."""
    with redis.Redis.from_url(redis_url) as client:
        client.delete(wide_counters_key(lane_key(held.name, 0), "one", 20))
    ((_, counters),) = keys.snapshot(held, 0, ["one"], first=20, last=20).held[0].blocks
    assert counters[WIDE_FIELD] == b""
    with pytest.raises(ValueError, match="damaged counter"):
        unpack_quarters(counters[WIDE_FIELD])


def test_nothing_is_read_of_a_tenant_beside_it(keys: Keyspace, redis_url: str) -> None:
    """Same ids, same days, one lane: each has its own counters, known ids and no others."""
    with redis.Redis.from_url(redis_url) as client:
        lane = Lane(client, f"snapshot-{next(_names)}")
        mails = [
            Facts(Scopes(tenant, ("s", None)), 20_000, hour, "m", kinds("sent"), (b"x",))
            for hour, tenant in enumerate(("a", "a:0", "a:5000", "b"))
        ]
        lane.call([(0, 0, 1, -1)], mails)
    generation = replace(GENERATION, name=lane.generation)
    for hour, tenant in enumerate(("a", "a%3A0", "a%3A5000", "b")):
        (found,) = keys.snapshot(generation, 0, [tenant]).held
        cells = stored_cells(tenant, generation.scopes, found.blocks, found.known)
        at = 20_000 * DAY_MS + hour * QUARTER_MS
        assert cells == {
            Cell(tenant, "tenant", "", at, "sent"): 1,
            Cell(tenant, "sequence", "s", at, "sent"): 1,
            Cell(tenant, "sequence", "s", None, "known"): 1,
        }


def test_another_generation(keys: Keyspace, held: Generation, redis_url: str) -> None:
    """A lane that is not there, or whose hash says another name, is gone."""
    with pytest.raises(GoneError):
        keys.snapshot(held, 1, ["one"])
    with redis.Redis.from_url(redis_url) as client:
        client.hset(f"{{{held.name}:0}}", "generation", "another")
    with pytest.raises(GoneError):
        keys.tenants(held, 0)
