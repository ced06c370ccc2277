"""What an operator's command reads of a lane in one step, on a real Valkey: whole or in pages."""

from collections.abc import Iterator
from contextlib import nullcontext
from itertools import count, islice

import pytest
import redis
from msgspec.structs import replace

from aggregator.counters.keyspace import Keyspace, Snapshot
from aggregator.errors import GoneError
from schemas.counters import Generation
from schemas.shared.settings import RedisSettings
from tests.aggregator.generations import GENERATION
from tests.aggregator.lanes import Lane

DAYS = {"one": [3, 20, 100], "two": [], "three": [7], "four": [5, 6]}
COUNTERS = 3
_names = count()


@pytest.fixture(scope="module")
def keys(redis_url: str) -> Iterator[Keyspace]:
    keyspace = Keyspace(RedisSettings(redis_url=redis_url))
    yield keyspace
    keyspace.close()


@pytest.fixture
def held(redis_url: str) -> Generation:
    """A lane of four tenants, each of whose days has three packed counters."""
    with redis.Redis.from_url(redis_url) as client:
        lane = Lane(client, f"snapshot-{next(_names)}")
        client.hset(lane.key, mapping={"f0": 12, "f3": 7, "c0": 5})
        for tenant, days in DAYS.items():
            client.sadd(f"{lane.key}:n", tenant)
            client.sadd(f"{lane.key}:s:{tenant}", f"sequence of {tenant}")
            for day in days:
                client.sadd(f"{lane.key}:d:{tenant}", day)
                client.hset(f"{lane.key}:c:{tenant}:{day}", mapping=packed_counters(day))
    return replace(GENERATION, name=lane.generation)


def packed_counters(day: int) -> dict[bytes, bytes]:
    return dict.fromkeys((b"t", b"sx", b"py"), b"packed counter of %d" % day)


def days_of(snapshot: Snapshot) -> list[list[int]]:
    return [[day for day, _ in each.days] for each in snapshot.held]


def test_the_whole_of_some_tenants(keys: Keyspace, held: Generation) -> None:
    """In the order asked for, days in order of time, with what is known and with the checkpoints."""
    found = keys.snapshot(held, 0, ["three", "one", "two", "nobody"])
    assert found.checkpoints == {0: 12, 3: 7}
    assert found.stopped is None
    assert days_of(found) == [[7], [3, 20, 100], [], []]
    assert found.held[1].days == [(day, packed_counters(day)) for day in DAYS["one"]]
    known = [each.known["sequence"] for each in found.held]
    assert known == [[b"sequence of three"], [b"sequence of one"], [b"sequence of two"], []]


@pytest.mark.parametrize("tenants_a_page", [1, 3, 4])
@pytest.mark.parametrize("most", range(1, 20))
def test_pages_together_are_the_whole(
    keys: Keyspace, held: Generation, most: int, tenants_a_page: int
) -> None:
    """Whatever the limits, every day and every known id is read once, and each page goes on."""
    tenants = list(DAYS)
    found: dict[str, list[int]] = {tenant: [] for tenant in tenants}
    known: list[bytes] = []
    whole = 0
    pages = keys.pages(
        held, 0, tenants, tenants_a_page=tenants_a_page, packed_counters_a_page=most, resting=nullcontext
    )
    for page in islice(pages, 20):
        again = keys.snapshot(held, 0, page.tenants, first=page.first, last=page.last)
        assert again.held == page.snapshot.held  # the same range without a limit, as of another generation
        for name, each in zip(page.tenants, page.snapshot.held, strict=True):
            found[name] += [day for day, _ in each.days]
            known += each.known["sequence"]
        assert sum(len(each.days) for each in page.snapshot.held) <= -(-most // COUNTERS)
        whole += page.whole
    assert next(pages, None) is None
    assert whole == len(tenants)
    assert found == DAYS
    assert known == [f"sequence of {tenant}".encode() for tenant in tenants]


def test_one_day(keys: Keyspace, held: Generation) -> None:
    """What an audit reads; known ids are of no day."""
    found = keys.snapshot(held, 0, ["one"], first=20, last=20)
    assert days_of(found) == [[20]]
    assert found.held[0].known == {"sequence": [], "template": []}


def test_another_generation(keys: Keyspace, held: Generation, redis_url: str) -> None:
    """A lane that is not there, or whose hash says another name, is gone."""
    with pytest.raises(GoneError):
        keys.snapshot(held, 1, ["one"])
    with redis.Redis.from_url(redis_url) as client:
        client.hset(f"{{{held.name}:0}}", "generation", "another")
    with pytest.raises(GoneError):
        keys.tenants(held, 0)
