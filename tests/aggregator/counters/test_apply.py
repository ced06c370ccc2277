"""The counting script on a real Valkey: laws by Hypothesis, and each answer that it can give.

Long because one script answers all of it, over one lane.
"""

from collections.abc import Callable, Iterator
from itertools import count
from random import Random
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregator.counters.connection import CALL_TIMEOUT_S
from aggregator.counting.checkpoints import Move
from aggregator.counting.facts import Facts, Scopes
from aggregator.counting.pack import pack
from deploy.valkey import Valkey
from schemas.redis_keys import BLOCK_DAYS, member_of_id, safe_id
from tests.aggregator.facts import facts
from tests.aggregator.lanes import IDENTITIES, Lane, kinds, naive_count

DAY = 20_000
_names = count()
shared = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.fixture(scope="module")
def client(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url) as connected:
        yield connected


@pytest.fixture
def lane(client: Any) -> Lane:
    return new_lane(client)


def new_lane(client: Any) -> Lane:
    return Lane(client, f"apply-{next(_names)}")


def send(message: str, hour: int = 1, tenant: str = "one", *, day: int = DAY) -> Facts:
    return Facts(Scopes(tenant, ("seq", "tpl")), day, hour * 4, message, kinds("sent"), (b"x",))


def opened(hour: int) -> Facts:
    ids = None, "tpl"
    return Facts(Scopes("one", ids), DAY, hour * 4 + 3, "m", kinds("opened", "opened_human"), (None,))


@settings(max_examples=150, deadline=None, suppress_health_check=shared)
@given(st.lists(facts(days=(DAY, DAY + 1, -1)), max_size=40), st.randoms(use_true_random=False))
def test_order_duplicates_and_batches_do_not_matter(client: Any, events: list[Facts], random: Random) -> None:
    """Any order, any duplicates, any batching give the counts of the naive model."""
    reported = events + random.choices(events, k=len(events) // 2) if events else []
    random.shuffle(reported)
    lane, at, new = new_lane(client), 0, 0
    while at < len(reported):
        batch = reported[at : at + random.randint(1, 12)]
        argument, number = pack([Move(0, at, at + len(batch))], batch, IDENTITIES)
        status, repeated, _ = lane.send(argument)
        assert status == b"OK"
        assert isinstance(repeated, int)
        new += number - repeated
        at += len(batch)
    expected = naive_count(events)
    assert lane.cells({each.scopes.tenant for each in events}) == expected
    assert new == sum(n for (_, scope, *_), n in expected.items() if scope == 0), "the metric of new facts"
    assert lane.checkpoint() == len(reported)


@settings(max_examples=30, deadline=None, suppress_health_check=shared)
@given(st.lists(facts(), min_size=1, max_size=20))
def test_known_ids_are_those_that_a_fact_counted_for(client: Any, events: list[Facts]) -> None:
    """An id is known once one fact counted for it, byte for byte; the ids of a scope stand in order."""
    lane = new_lane(client)
    lane.call([(0, 0, 1, -1)], events)
    for tenant in {each.scopes.tenant for each in events}:
        of = [each.scopes.ids for each in events if each.scopes.tenant == tenant]
        ids = {member_of_id(n, raw) for each in of for n, raw in enumerate(each, 1) if raw is not None}
        assert [member for member in lane.known(tenant) if member[0]] == sorted(ids)
    listed = client.smembers(f"{lane.key}:n")
    assert listed == {safe_id(each.scopes.tenant).encode() for each in events}


def test_scopes_with_many_ids_are_reported_with_their_number(lane: Lane) -> None:
    """From a thousand on, each time that a scope gets new ones; others are not."""
    wide = [
        Facts(Scopes("one", (f"s{n}", "t")), DAY, 0, f"m{n}", kinds("sent"), (b"x",)) for n in range(1002)
    ]
    assert lane.call([(0, 0, 1, -1)], wide[:999]) == [b"OK", 0, []]
    assert lane.call([(0, 1, 2, -1)], wide[:1001]) == [b"OK", 999, [b"one", 1, 1001]]
    assert lane.call([(0, 2, 3, -1)], wide[:1001]) == [b"OK", 1001, []]
    assert lane.call([(0, 3, 4, -1)], wide) == [b"OK", 1001, [b"one", 1, 1002]]


def test_a_message_id_of_two_tenants_is_of_two_messages(lane: Lane) -> None:
    """Tenants of a lane share its state, and nothing else: each fact of either of them counts."""
    of_both = [send("m", tenant=tenant) for tenant in ("one", "two")]
    assert lane.call([(0, 0, 1, -1)], of_both[:1])[:2] == [b"OK", 0]
    assert lane.call([(0, 1, 2, -1)], of_both)[:2] == [b"OK", 1]
    assert lane.cells(["one", "two"]) == naive_count(of_both)


def test_a_later_report_of_an_earlier_fact_moves_the_count(lane: Lane) -> None:
    """The count stands in the least hour, also across days, and the hour that it left goes down."""
    for step, hour in enumerate((50, 3, 70, 2)):
        assert lane.call([(0, step, step + 1, -1)], [opened(hour)])[0] == b"OK"
    assert lane.cells(["one"]) == naive_count([opened(2)])


def test_a_lane_that_is_not_there_is_gone(client: Any, lane: Lane) -> None:
    """No hash is gone, never zero; so are other rules, another generation and a retired lane."""
    moves = [(0, 0, 1, -1)]
    stranger = new_lane(client)
    client.delete(stranger.key)
    assert stranger.call(moves, [send("m")]) == [b"GONE"]
    assert not client.exists(stranger.key)
    client.hset(stranger.key, mapping={"generation": stranger.generation, "rules": "others"})
    assert stranger.call(moves, [send("m")]) == [b"GONE"]
    client.hset(stranger.key, mapping={"generation": "another", "rules": stranger.rules})
    assert stranger.call(moves, [send("m")]) == [b"GONE"]
    client.hset(lane.key, "retired", "1")
    assert lane.call(moves, [send("m")]) == [b"GONE"]
    assert lane.keys() == stranger.keys() == []


def test_a_checkpoint_below_prev_is_a_gap_and_nothing_is_written(lane: Lane) -> None:
    """Redis went back in time: the answer says where it stands, with events and without."""
    lane.call([(3, 0, 5, -1)], [send("m")])
    before = lane.cells(["one"])
    assert lane.call([(3, 7, 9, -1)], [send("n")]) == [b"ROLLED_BACK", 3, 5]
    assert lane.call([(0, 0, 1, 99), (3, 7, 9, 99)]) == [b"ROLLED_BACK", 3, 5]
    assert (lane.checkpoint(3), lane.checkpoint(0), lane.cells(["one"])) == (5, 0, before)


def test_a_checkpoint_above_prev_asks_to_fold_again(lane: Lane) -> None:
    """Somebody counted a part of the batch; applying the rest gives each event once."""
    lane.call([(0, 0, 5, -1)], [send("m")])
    assert lane.call([(0, 3, 9, -1)], [send("m"), send("n")]) == [b"REBASE", 0, 5]
    assert lane.call([(0, 5, 9, -1)], [send("n")]) == [b"OK", 0, []]
    assert lane.cells(["one"]) == naive_count([send("m"), send("n")])


def test_moves_never_go_back(lane: Lane) -> None:
    """A checkpoint and a complete-through only grow, several in one call."""
    assert lane.call([(0, 0, 8, 1000), (1, 0, 2, -1)]) == [b"OK", 0, []]
    assert lane.call([(0, 4, 6, 900), (1, 1, 3, 5)]) == [b"OK", 0, []]
    stored = lane.client.hgetall(lane.key)
    expected = {b"f0": b"8", b"c0": b"1000", b"f1": b"3", b"c1": b"5"}
    assert {name: stored[name] for name in expected} == expected


def test_a_call_that_cannot_be_done_writes_nothing(lane: Lane) -> None:
    """The script reads and computes all before its first write: a damaged key leaves no half call."""
    damaged = f"{lane.key}:c:two:{DAY // BLOCK_DAYS}"
    lane.client.set(damaged, "not a hash")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        lane.call([(0, 0, 5, -1)], [send("m"), send("n", tenant="two")])
    assert lane.checkpoint() == 0
    assert lane.keys() == [damaged.encode()]


def test_a_wide_counter_that_is_lost_is_damage_and_not_a_new_one(lane: Lane) -> None:
    """What stood there is not known any more: counting on from nothing would be a wrong number."""
    many = [send(f"m{n}", hour=n % 24) for n in range(200)]
    lane.call([(0, 0, 1, -1)], many)
    wide = lane.keys("w:*")
    assert wide
    lane.client.delete(*wide)
    with pytest.raises(redis.ResponseError, match="damaged counter"):
        lane.call([(0, 1, 2, -1)], [send("other")])
    assert (lane.checkpoint(), lane.keys("w:*")) == (1, [])


@pytest.mark.parametrize(
    "command", ["hset", "set", "zadd", "sadd", "expireat", "zcard", "zlexcount", "exists", "hmget", "get"]
)
def test_a_user_who_lacks_a_right_writes_nothing(client: Any, redis_url: str, command: str) -> None:
    """Redis ends a script at the first command that its user may not give, and what it wrote would stay."""
    lane = new_lane(client)
    client.acl_setuser(
        "counts-not", enabled=True, passwords=["+x"], keys=["*"], commands=["+@all", f"-{command}"]
    )
    try:
        with redis.Redis.from_url(redis_url, username="counts-not", password="x") as user:  # of this test
            poor = Lane.__new__(Lane)
            poor.client, poor.generation, poor.rules, poor.key = user, lane.generation, lane.rules, lane.key
            with pytest.raises(
                redis.exceptions.ResponseError, match=f"(?i)no permissions.*'{command}'|ACL failure"
            ):
                poor.call([(0, 0, 2, -1)], [send("m")])
    finally:
        client.acl_deluser("counts-not")
    assert (lane.checkpoint(), lane.keys()) == (0, [])


def test_out_of_memory_is_all_or_nothing(valkey_factory: Callable[[], Valkey]) -> None:
    """A full Redis refuses the call as a whole; with room again the same call counts."""
    with redis.Redis.from_url(valkey_factory().url) as full:
        lane = Lane(full, "full")
        full.config_set("maxmemory", "1")
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            lane.call([(0, 0, 2, -1)], [send("m"), send("n")])
        assert (lane.checkpoint(), lane.keys()) == (0, [])
        full.config_set("maxmemory", "0")
        assert lane.call([(0, 0, 2, -1)], [send("m"), send("n")]) == [b"OK", 0, []]
        assert lane.cells(["one"]) == naive_count([send("m"), send("n")])


def test_many_messages_of_a_day_stay_compact_and_exact(lane: Lane) -> None:
    """A day that outgrows its layers gets bigger ones; every bucket stays in Redis's compact encoding."""
    events = [send(f"m{n}", hour=n % 24) for n in range(12_000)]
    at = 0
    for size in (10, 990, 2000, 3000, 3000, 3000):
        assert lane.call([(0, at, at + size, -1)], events[at : at + size]) == [b"OK", 0, []]
        at += size
    assert lane.call([(0, at, at + 3000, -1)], events[:3000]) == [b"OK", 3000, []]
    assert lane.cells(["one"]) == naive_count(events)
    buckets = lane.keys(f"m:s:{DAY}:*")
    assert sum(lane.client.hlen(key) for key in buckets) == 12_000
    assert {lane.client.object("encoding", key) for key in buckets} == {b"listpack"}
    assert len(lane.client.get(f"{lane.key}:m:s:{DAY}").split()) > 2, "it needed more than one layer"


def test_the_next_day_begins_with_the_size_of_the_last(lane: Lane) -> None:
    """A tenant's volume is known from yesterday, or from the same day a week ago."""
    for at in range(0, 9000, 3000):
        lane.call([(0, at, at + 3000, -1)], [send(f"m{n}") for n in range(at, at + 3000)])
    first = {}
    for at, later in enumerate((1, 3, 7), start=9000):
        lane.call([(0, at, at + 1, -1)], [send("next", day=DAY + later)])
        first[later] = int(lane.client.get(f"{lane.key}:m:s:{DAY + later}").split()[0])
    assert first[1] == first[7] > first[3] == 8


def test_state_is_kept_and_then_expires(lane: Lane) -> None:
    """State goes 14 days after the later of its last write and 18 or 78 days after the send, not sooner."""
    now = lane.client.time()[0]
    today = now // 86400
    bounce = Facts(Scopes("one", (None, None)), today, 0, "new", kinds("bounced"), (b"x",))
    lane.call([(0, 0, 1, -1)], [send("old", day=today - 200)])
    lane.call([(0, 1, 2, -1)], [send("new", day=today), bounce])
    for horizon, day, least in (
        ("s", today - 200, now + 14 * 86400),
        ("s", today, (today + 1 + 18 + 14) * 86400),
        ("l", today, (today + 1 + 78 + 14) * 86400),
    ):
        keys = [f"{lane.key}:m:{horizon}:{day}", *lane.keys(f"m:{horizon}:{day}:*")]
        assert len(keys) == 2
        for key in keys:
            assert least <= lane.client.expiretime(key) <= least + 86400
    assert lane.client.ttl(f"{lane.key}:c:one:{today // BLOCK_DAYS}") == -1


def test_a_late_write_keeps_old_state_longer(lane: Lane) -> None:
    """An entry that changes long after its send day is kept for 14 days from then on."""
    day = lane.client.time()[0] // 86400 - 200
    lane.call([(0, 0, 1, -1)], [send("m", 5, day=day)])
    keys = [f"{lane.key}:m:s:{day}", *lane.keys(f"m:s:{day}:*")]
    for key in keys:
        lane.client.expire(key, 60)
    lane.call([(0, 1, 2, -1)], [send("m", 4, day=day)])
    assert all(lane.client.ttl(key) > 13 * 86400 for key in keys)


def test_thousands_of_scopes_and_recipients_in_one_call(lane: Lane) -> None:
    """More arguments than Lua's stack takes are sent in slices."""
    wide = [
        Facts(Scopes("one", (f"s{n}", f"t{n}")), DAY, 0, f"m{n}", kinds("sent"), (b"x",)) for n in range(5000)
    ]
    people = tuple(b"%d" % n for n in range(9000))
    one = Facts(Scopes("one", (None, None)), DAY, 0, "all", kinds("delivered"), people)
    known = [b"one", 1, 5000, b"one", 2, 5000]
    assert lane.call([(0, 0, 1, -1)], [*wide, one]) == [b"OK", 0, known]
    assert lane.cells(["one"]) == naive_count([*wide, one])


def test_counts_of_any_size_are_packed_and_read_back(lane: Lane) -> None:
    """Packed counters hold one count, some, more than a byte and more than two bytes of them in one cell."""
    expected = 0
    for at, size in enumerate((1, 3, 250, 3, 70_000, 1)):
        people = tuple(b"%d" % n for n in range(size))
        many = Facts(Scopes("one", (None, None)), DAY, 31, f"m{at}", kinds("delivered"), people)
        assert lane.call([(0, at, at + 1, -1)], [many]) == [b"OK", 0, []]
        expected += size
        assert lane.cells(["one"]) == {("one", 0, "", DAY, 31, "delivered"): expected}


def test_what_a_call_costs_grows_with_its_facts_and_not_faster(valkey_factory: Callable[[], Valkey]) -> None:
    """A repeated event of very many recipients is answered within what a caller waits for.

    Where each fact that is taken back cost as much as all before it, this one took most of a minute, and
    Redis served nobody meanwhile. No event that is read has so many (`facts.ADDRESSES_MAX`).
    """
    with redis.Redis.from_url(valkey_factory().url, socket_timeout=CALL_TIMEOUT_S) as alone:
        lane, number = Lane(alone, "many"), 150_000
        people = tuple(b"%d" % n for n in range(number))
        many = Facts(Scopes("one", ("s", "t")), DAY, 0, "m", kinds("delivered"), people)
        assert lane.call([(0, 0, 1, -1)], [many]) == [b"OK", 0, []]
        assert lane.call([(0, 1, 2, -1)], [many]) == [b"OK", number, []]
        assert lane.cells(["one"]) == naive_count([many])
