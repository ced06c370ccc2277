"""The counting script erases tenants, on a real Valkey: in one step, all that they have, and nothing else."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import msgpack
import pytest
import redis

from aggregator.counters.lanes import Standing, standing_of
from aggregator.counters.store import SCRIPT
from aggregator.counting.checkpoints import Move
from aggregator.counting.facts import Facts, Scopes
from aggregator.counting.pack import pack, pack_moves
from aggregator.counting.rules import Erasures
from aggregator.counting.states import Identities
from tests.aggregator.lanes import Lane, kinds, naive_count

DAY = 20_000
_names = count()


@pytest.fixture(scope="module")
def client(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url) as connected:
        yield connected


@pytest.fixture
def lane(client: Any) -> Lane:
    """Two tenants of many days, ids and wide counters."""
    made = Lane(client, f"erasing-{next(_names)}")
    assert made.call([(0, 0, 9, -1)], [*events("one"), *events("two")])[0] == b"OK"
    return made


def events(tenant: str) -> list[Facts]:
    """Of some days, a wide counter among them."""
    return [
        Facts(Scopes(tenant, (f"s{n}", None)), DAY + n, quarter, f"{n} {quarter}", kinds("sent"), (b"x",))
        for n in (0, 5, 50)
        for quarter in (range(96) if n == 5 else (1,))
    ]


def erasing(lane: Lane, before: str, after: str, tenants: list[str], argument: bytes) -> list[object]:
    answer: list[object] = lane.client.eval(
        SCRIPT, 1, lane.key, lane.generation, before, argument, msgpack.packb([after, tenants])
    )
    return answer


def keys_of(lane: Lane, tenant: str) -> list[bytes]:
    return [key for part in "icw" for key in lane.keys(f"{part}:{tenant}*")]


def test_all_of_a_tenant_goes_and_nothing_else(lane: Lane) -> None:
    """Counters, wide ones, known ids and the name; the checkpoints stay, and what is later is counted."""
    assert lane.keys("w:one:*")
    erasures = Erasures([(6, "one", 0)], 7)
    later = events("one")[:2]  # also as it was counted before: its state must not be found
    argument, _ = pack([], later, Identities("00112233445566778899aabbccddeeff", erasures))
    assert erasing(lane, "rules", "rules+7", ["one"], argument) == [b"OK", 0, []]
    assert lane.cells(["one", "two"]) == naive_count([*later, *events("two")])
    assert lane.client.smembers(f"{lane.key}:n") == {b"one", b"two"}
    assert lane.client.hget(lane.key, "rules") == b"rules+7"
    assert lane.checkpoint() == 9
    assert erasing(lane, "rules+7", "rules+8", ["one"], pack_moves([])) == [b"OK", 0, []]
    assert keys_of(lane, "one") == []
    assert lane.client.smembers(f"{lane.key}:n") == {b"two"}
    assert lane.cells(["two"]) == naive_count(events("two"))


def test_a_call_of_other_erasures_does_nothing(lane: Lane) -> None:
    """One that knows less, one that knows more, and all while a lane is closed to counting."""
    before = lane.cells(["one", "two"])
    calls = [pack_moves([Move(0, 9, 10)]), pack([Move(0, 9, 10)], events("one"), Identities("00" * 16))[0]]
    for stands in ("rules+7", "rules!word", "rules+7!word"):
        lane.client.hset(lane.key, "rules", stands)
        for known in ("rules", "rules+3", "rules+8", "rules+7!other"):
            lane.rules = known
            for argument in calls:
                assert lane.send(argument) == [b"ERASED"]
        lane.rules = "others"
        assert lane.send(calls[0]) == [b"GONE"]
        assert erasing(lane, "rules", "rules+9", ["two"], pack_moves([])) == [b"ERASED"]
    assert (lane.checkpoint(), lane.cells(["one", "two"])) == (9, before)


def test_a_retired_lane_is_erased_too(lane: Lane) -> None:
    lane.client.hset(lane.key, "retired", "1")
    assert erasing(lane, "rules", "rules+1", ["one"], pack_moves([]))[0] == b"OK"
    assert keys_of(lane, "one") == []
    lane.client.delete(lane.key)
    assert erasing(lane, "rules", "rules+1", ["two"], pack_moves([])) == [b"GONE"]
    assert keys_of(lane, "two")


@pytest.mark.parametrize("text", ["r", "r+7", "r!w", "r+7!w", "0123456789abcdef+12!00ff"])
def test_what_a_lane_carries_is_read_as_it_is_written(text: str) -> None:
    assert standing_of(text.encode()).text == text


def test_what_no_lane_carries_is_of_no_rules_of_ours() -> None:
    assert standing_of(b"") == Standing("")
    assert standing_of(b"r+x") == Standing("r")
