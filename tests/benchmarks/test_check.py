"""The laws of what keeps the bench honest: wrong numbers are found, nothing counts as done too early."""

from collections.abc import Callable

import msgspec
import pytest
import redis

from deploy.valkey import Valkey
from schemas.counters import LANES, LAYOUT, Generation, Member, Record, State
from schemas.instants import QUARTERS
from schemas.kinds import FAMILIES, FIELDS
from schemas.packed_counter import cell_bytes, pack_counts
from schemas.redis_keys import (
    BLOCK_DAYS,
    IS_WIDE,
    RECORD_KEY,
    counter_field,
    counters_key,
    known_key,
    lane_key,
    lane_of,
    member_of_block,
    member_of_id,
    safe_id,
)
from tests.benchmarks.check import WrongNumbersError, check
from tests.benchmarks.expected import Expected
from tests.benchmarks.watch import Sample, Watched, counted
from tests.benchmarks.workload import (
    REFERENCE,
    Mail,
    happenings,
    sequence_name,
    template_name,
    tenant_name,
)

LIVE = Generation(
    name="g",
    lanes=LANES,
    rules="r",
    layout=LAYOUT,
    kinds=FIELDS,
    cluster_id="c",
    topic_id="t",
    created_ms=0,
    families=tuple(FAMILIES.items()),
    scopes=("sequence", "template"),
)
PLACES = [(family, place) for family, fields in enumerate(FAMILIES.values()) for place in range(len(fields))]
"""Of each field: its family, and its place there."""


def write(client: redis.Redis, events: int) -> Expected:
    """Counters as the layout says, one count after another, of what each event adds to what is expected."""
    expected = Expected()
    client.set(RECORD_KEY, msgspec.json.encode(Record((Member(generation=LIVE, state=State.LIVE),))))
    for happening in happenings(REFERENCE, events):
        mail = happening.mail
        before = {at: list(counts) for at, counts in expected.quarters[mail.tenant].items()}
        expected.add(happening)
        for at, counts in expected.quarters[mail.tenant].items():
            more = [new - old for new, old in zip(counts, before.get(at, [0] * len(FIELDS)), strict=True)]
            for kind, much in enumerate(more):
                if much:
                    _count(client, mail, at, kind, much)
    expected.quarters = {tenant: quarters for tenant, quarters in expected.quarters.items() if quarters}
    return expected


def _count(client: redis.Redis, mail: Mail, at: int, kind: int, much: int) -> None:
    """Count in each scope. at: the quarter since 1970."""
    tenant = tenant_name(mail.tenant)
    lane, safe = lane_key(LIVE.name, lane_of(tenant, LANES)), safe_id(tenant)
    family, place = PLACES[kind]
    day, quarter = divmod(at, QUARTERS)
    block = day // BLOCK_DAYS
    key = counters_key(lane, safe, block)
    client.sadd(f"{lane}:n", safe)
    client.zadd(known_key(lane, safe), {member_of_block(block): 0})
    ids = ((0, ""), (1, sequence_name(mail.sequence)), (2, template_name(mail.template)))
    for scope, raw in ids:
        if scope:
            client.zadd(known_key(lane, safe), {member_of_id(scope, raw): 0})
        name = counter_field(day, family, scope, raw)
        packed_counter = client.hget(key, name) or b""
        assert isinstance(packed_counter, bytes)
        client.hset(key, name, packed_counter + pack_counts(cell_bytes(quarter, place)) * much)


@pytest.fixture
def client(valkey_factory: Callable[[], Valkey]) -> redis.Redis:
    return redis.Redis.from_url(valkey_factory().url)


def test_right_numbers_pass_and_one_wrong_one_does_not(client: redis.Redis) -> None:
    """One count too many in one scope is found, be it the tenant's, a sequence's or a template's."""
    with client:
        expected = write(client, 300)
        check(client, expected)
        key = next(iter(client.scan_iter(f"{{g:*}}:c:{tenant_name(0)}:*", count=10_000)))
        for name, packed_counter in client.hgetall(key).items():
            assert isinstance(packed_counter, bytes)
            client.hset(key, name, packed_counter + pack_counts(cell_bytes(5, 0)))
            with pytest.raises(WrongNumbersError):
                check(client, expected)
            client.hset(key, name, packed_counter)
        check(client, expected)


def test_a_count_in_the_wrong_quarter_of_its_hour_is_found(client: redis.Redis) -> None:
    """The hours are right then, and the totals too."""
    with client:
        expected = write(client, 30)
        tenant = min(expected.quarters)
        at, counts = expected.quarters[tenant].popitem()
        expected.quarters[tenant][at ^ 1] = counts
        with pytest.raises(WrongNumbersError, match="quarter"):
            check(client, expected)


def test_wide_counters_are_read_where_they_stand(client: redis.Redis) -> None:
    """As if they stood among the others; without them their numbers are missing."""
    with client:
        expected = write(client, 300)
        for key in client.scan_iter("{g:*}:c:*", count=10_000):
            assert isinstance(key, bytes)
            wide = key.replace(b"}:c:", b"}:w:")
            for name, packed_counter in client.hgetall(key).items():
                client.hset(wide, name, packed_counter)
                client.hset(key, name, IS_WIDE)
        check(client, expected)
        client.delete(wide)
        with pytest.raises(ValueError, match="damaged"):
            check(client, expected)


def test_an_id_that_is_known_and_has_no_counts_is_found(client: redis.Redis) -> None:
    """It would be listed to its tenant."""
    with client:
        expected = write(client, 30)
        tenant = tenant_name(min(expected.quarters))
        lane = lane_key(LIVE.name, lane_of(tenant, LANES))
        client.zadd(known_key(lane, tenant), {member_of_id(1, "nobody"): 0})
        with pytest.raises(WrongNumbersError, match="known"):
            check(client, expected)


def test_a_tenant_too_many_and_a_missing_generation_are_found(client: redis.Redis) -> None:
    """Numbers of somebody else are wrong, and no numbers are not zeros."""
    with client:
        expected = write(client, 30)
        client.sadd(f"{lane_key(LIVE.name, 3)}:n", "somebody-else")
        with pytest.raises(WrongNumbersError, match="tenants"):
            check(client, expected)
        client.delete(RECORD_KEY)
        with pytest.raises(WrongNumbersError, match="no generation"):
            check(client, expected)


def test_an_event_is_counted_when_its_lane_has_passed_it() -> None:
    """The least checkpoint of the lanes that still have events ahead counts; idle lanes do not hold it up."""
    lasts = {(0, 0): 90, (1, 0): 100, (0, 1): 50}
    ends = [100, 50]
    assert counted([], ends, lasts) == 0
    assert counted([[0, 0], [0, 0], [0, 0]], ends, lasts) == 0
    assert counted([[40, 50], [70, 0], [0, 0]], ends, lasts) == 40 + 50
    assert counted([[90, 50], [70, 0], [0, 0]], ends, lasts) == 70 + 50
    assert counted([[90, 50], [100, 0], [0, 0]], ends, lasts) == 150


def test_rates_leave_out_what_was_counted_before() -> None:
    """A rate since a time is what was counted after it, by the time it took."""
    watched = Watched([Sample(10.0, 0), Sample(12.0, 100), Sample(13.0, 250), Sample(16.0, 500)])
    assert watched.rate(10.0) == pytest.approx(500 / 6)
    assert watched.rate(12.5) == pytest.approx(400 / 3.5)
    assert watched.rate(watched.first.at_s) == pytest.approx(100)
    assert watched.share_since(12.5) == pytest.approx(0.8)
