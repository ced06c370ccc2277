"""The laws of what keeps the bench honest: wrong numbers are found, nothing counts as done too early."""

from collections.abc import Callable

import msgspec
import pytest
import redis

from deploy.valkey import Valkey
from schemas.counters import LANES, Generation, Member, Record, State
from schemas.instants import HOURS
from schemas.kinds import FIELDS
from schemas.redis_keys import (
    RECORD_KEY,
    TENANT_SCOPE,
    lane_key,
    lane_of,
    safe_id,
    sequence_scope,
    template_scope,
)
from tests.benchmarks.check import WrongNumbersError, check
from tests.benchmarks.expected import Expected
from tests.benchmarks.watch import Sample, Watched, counted
from tests.benchmarks.workload import (
    HOUR,
    REFERENCE,
    happenings,
    sequence_name,
    template_name,
    tenant_name,
)

LIVE = Generation(
    name="g", lanes=LANES, rules="r", layout=1, kinds=FIELDS, cluster_id="c", topic_id="t", created_ms=0
)


def write(client: redis.Redis, events: int) -> Expected:
    """Counters as the layout says, one count after another; repeated opens and clicks are left out."""
    expected = Expected()
    record = Record((Member(generation=LIVE, state=State.LIVE),))
    client.set(RECORD_KEY, msgspec.json.encode(record))
    for happening in happenings(REFERENCE, events):
        before = expected.totals()
        expected.add(happening)
        if expected.totals() == before:
            continue
        mail = happening.mail
        much = len(mail.people) if happening.kind == 0 else 1
        tenant = tenant_name(mail.tenant)
        lane, safe = lane_key(LIVE.name, lane_of(tenant, LANES)), safe_id(tenant)
        day, hour = divmod(happening.at_ms // HOUR, HOURS)
        client.sadd(f"{lane}:n", safe)
        client.sadd(f"{lane}:d:{safe}", day)
        for scope in (
            TENANT_SCOPE,
            sequence_scope(sequence_name(mail.sequence)),
            template_scope(template_name(mail.template)),
        ):
            key, cell = f"{lane}:c:{safe}:{day}", hour * len(FIELDS) + happening.kind
            packed_counter = client.hget(key, scope) or b"\0\0"
            assert isinstance(packed_counter, bytes)
            client.hset(key, scope, packed_counter + bytes([cell]) * much)
    return expected


@pytest.fixture
def client(valkey_factory: Callable[[], Valkey]) -> redis.Redis:
    return redis.Redis.from_url(valkey_factory().url)


def test_right_numbers_pass_and_one_wrong_one_does_not(client: redis.Redis) -> None:
    """One count too many in one scope is found, be it the tenant's, a sequence's or a template's."""
    with client:
        expected = write(client, 300)
        check(client, expected)
        key = next(iter(client.scan_iter(f"{{g:*}}:c:{tenant_name(0)}:*", count=10_000)))
        for scope, packed_counter in client.hgetall(key).items():
            assert isinstance(packed_counter, bytes)
            client.hset(key, scope, packed_counter + b"\5")
            with pytest.raises(WrongNumbersError):
                check(client, expected)
            client.hset(key, scope, packed_counter)
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
