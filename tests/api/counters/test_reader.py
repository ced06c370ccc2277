"""Reading from a real Redis: only numbers of the live generation, and trouble is never a zero.

Long because each case is one way for Redis to be in trouble, tried on one reader.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
import redis

from api.config import ApiSettings
from api.counters.connection import connect
from api.counters.reader import WHOLE_TENANT, CounterReader, Scope
from api.counters.replies import Counters
from api.counters.scripts import READ
from api.errors import UNAVAILABLE, ApiError
from api.query.query import Groups, Needs
from api.query.rollup import Counted as CountedDays
from deploy.processes import Child, Waiting, free_port
from deploy.valkey import Valkey, server_binary
from schemas import counters, redis_keys
from schemas.counters import Member, State, closed_for
from schemas.kinds import CORE, CORE_FIELDS, DETAILS, FAMILIES
from tests.api.conftest import Door, OpenDoor
from tests.api.writer import EPOCH, QUARTER, Counted, Writer
from tests.metrics_text import by_partition
from tests.services import LIMIT_S

Answer = TypeVar("Answer")

DAY = 20_334
HOUR = datetime(2025, 9, 3, 7, tzinfo=UTC)
CELL = 7 * len(CORE_FIELDS)
DAYS = (range(DAY - 5, DAY + 5),)
ONE_DAY = timedelta(days=1)
FIELD = redis_keys.counter_field(DAY, 0, redis_keys.TENANT_SCOPE)


@pytest.fixture
def read(redis_db: str) -> Callable[[Callable[[CounterReader], Awaitable[Answer]]], Answer]:
    """Runs something with a reader of these tests' database."""

    def run(job: Callable[[CounterReader], Awaitable[Answer]]) -> Answer:
        async def once() -> Answer:
            reader = CounterReader(connect(ApiSettings(redis_url=redis_db)))
            try:
                return await job(reader)
            finally:
                await reader.close()

        return asyncio.run(once())

    return run


Run = Callable[[Callable[[CounterReader], Awaitable[Counters]]], Counters]


async def tenant_counters(reader: CounterReader) -> Counters:
    return await reader.counters("acme", WHOLE_TENANT, Needs(DAYS))


async def quarters(reader: CounterReader) -> Counters:
    return await reader.counters("acme", WHOLE_TENANT, Needs(DAYS, by_quarter=True))


def refuses(run: Run, job: Callable[[CounterReader], Awaitable[Counters]] = tenant_counters) -> str:
    with pytest.raises(ApiError) as refusal:
        run(job)
    assert refusal.value.code is UNAVAILABLE
    return str(refusal.value)


def test_one_read_gives_days_checkpoints_of_time_and_whether_the_id_is_known(
    writer: Writer, read: Run
) -> None:
    """Only days in the range come back, only `c` fields are complete-through, a tenant is always known."""
    days = [datetime(2025, 9, day, 7, tzinfo=UTC) for day in (1, 3, 5, 30)]
    writer.write([Counted(day, "sent", 300, sequence="a") for day in days])
    writer.client.hset(writer.lane(), mapping={"f0": 5, "c0": 1_700_000_000_000, "f12": 9, "c12": 1, "cx": 1})
    found = read(tenant_counters)
    assert {day: counts.counts[CELL] for day, counts in found.counted[CORE].items()} == {
        DAY - 2: 300,
        DAY: 300,
        DAY + 2: 300,
    }
    assert all(sum(day.counts) == sum(day.total) == 300 for day in found.counted[CORE].values())
    assert found.partitions == {0: 1_700_000_000_000, 12: 1}
    assert found.known

    async def unknown(reader: CounterReader) -> Counters:
        return await reader.counters("acme", Scope("template", "a"), Needs(DAYS))

    assert read(unknown) == Counters(known=False, counted={CORE: {}}, partitions=found.partitions)


def test_whole_hours_are_read_without_quarters(writer: Writer, read: Run) -> None:
    """Wide packed counters and others: each hour and each quarter has its count, in groups too."""
    midnight = datetime(2025, 9, 3, tzinfo=UTC)
    writer.write(
        Counted(midnight + at * QUARTER, field, 1 + (at + place) % 4, sequence="a")
        for at in range(96)
        for place, field in enumerate(CORE_FIELDS)
    )
    writer.write([Counted(midnight + 5 * QUARTER, "sent", sequence="b")])
    values = writer.client.hgetall(writer.block_key(DAY)).values()
    assert redis_keys.IS_WIDE in values
    sums = [10] * 144
    sums[6] += 1

    async def grouped(reader: CounterReader) -> Counters:
        return await reader.counters("acme", WHOLE_TENANT, Needs(DAYS, groups=Groups("sequence", DAYS[0])))

    found = read(grouped)
    assert list(found.counted[CORE][DAY].counts) == sums
    assert list(found.groups["a"][CORE][DAY].counts) == [10] * 144
    assert found.groups["b"][CORE][DAY].total == (1, 0, 0, 0, 0, 0)
    by_quarter = read(quarters).counted[CORE][DAY]
    assert [count - (at == 30) for at, count in enumerate(by_quarter.counts)] == [
        1 + (at + place) % 4 for at in range(96) for place in range(6)
    ]
    lane, arguments = writer.lane(), ("g1", "acme", b"\0", f"{DAY} {DAY}", b"\0")
    for wanted, has_quarters in (("", False), ("1", True)):
        reply = writer.client.eval_ro(READ.text, 1, lane, *arguments, wanted, "", "", 9, "", "")
        packed_counter = reply[4][0][1]
        assert packed_counter[0] == 255
        assert (int.from_bytes(packed_counter[3:5], "little") > 0) == has_quarters


def test_families_are_read_that_are_asked_for(writer: Writer, read: Run) -> None:
    """Each family's days by its name, of the scope and of each group: those asked for and no others.

    In any order, by hour and by quarter, wide packed counters and others.
    """
    midnight = datetime(2025, 9, 3, tzinfo=UTC)
    details = FAMILIES[DETAILS]
    writer.write([Counted(midnight, "sent", 7, sequence="a"), Counted(midnight - 9 * ONE_DAY, "opened")])
    writer.write([Counted(midnight, "clicked_human", 2, sequence="b"), Counted(midnight, "unsubscribed", 3)])
    writer.write(
        Counted(midnight + ONE_DAY + at * QUARTER, field, 1 + (at + place) % 4, sequence="a")
        for at in range(96)
        for place, field in enumerate(details)
    )
    stored = writer.client.hgetall(writer.block_key(DAY + 1))
    assert redis_keys.IS_WIDE in stored.values()
    sent, clicked, wide = {"sent": 7}, {"clicked_human": 2, "unsubscribed": 3}, dict.fromkeys(details, 240)
    whole = {
        CORE: {DAY: sent, DAY - 9: {"opened": 1}},
        DETAILS: {DAY: clicked, DAY + 1: wide},
    }
    of_groups = {
        "a": {CORE: {DAY: sent}, DETAILS: {DAY + 1: wide}},
        "b": {CORE: {}, DETAILS: {DAY: {"clicked_human": 2}}},
    }

    def totals(counted: CountedDays) -> dict[str, dict[int, dict[str, int]]]:
        return {
            family: {
                day: {
                    field: count for field, count in zip(FAMILIES[family], each.total, strict=True) if count
                }
                for day, each in days.items()
            }
            for family, days in counted.items()
        }

    for families in ((CORE,), (DETAILS,), (CORE, DETAILS), (DETAILS, CORE)):
        for by_quarter in (False, True):
            days = range(DAY - 20, DAY + 5)
            needs = Needs([days], families, by_quarter=by_quarter, groups=Groups("sequence", days))

            async def some(reader: CounterReader, needs: Needs = needs) -> Counters:
                return await reader.counters("acme", WHOLE_TENANT, needs)

            found = read(some)
            assert totals(found.counted) == {family: whole[family] for family in families}
            there = {raw: {family: days[family] for family in families} for raw, days in of_groups.items()}
            shown = {raw: days for raw, days in there.items() if any(days.values())}
            assert {raw: totals(days) for raw, days in found.groups.items()} == shown
            step = 1 if by_quarter else 4
            for family in families:
                for each in found.counted[family].values():
                    assert len(each.counts) == len(FAMILIES[family]) * 96 // step
            if DETAILS in families:
                assert found.counted[DETAILS][DAY + 1].by_step(0, 1)[0][1] == (2 if by_quarter else 10)


def test_a_range_of_centuries_reads_the_days_that_there_are(writer: Writer, read: Run) -> None:
    """On both sides of 1970, at the edges of blocks and of the range."""
    days = [-719_162, -9, -8, -5, -4, -1, 0, 3, 4, 7, 8, DAY, 2_932_896]
    writer.write(Counted(EPOCH + timedelta(days=day), "sent", at) for at, day in enumerate(days, start=1))
    for first, last in ((days[0], days[-1]), (-8, 3), (-9, -4), (4, 7), (5, 6), (-4, 4)):

        async def some(reader: CounterReader, first: int = first, last: int = last) -> Counters:
            return await reader.counters("acme", WHOLE_TENANT, Needs([range(first, last + 1)]))

        found = {day: counts.total[0] for day, counts in read(some).counted[CORE].items()}
        assert found == {day: at for at, day in enumerate(days, start=1) if first <= day <= last}


def test_days_of_two_ranges_are_read_and_groups_of_one(writer: Writer, read: Run) -> None:
    """Wherever they lie to each other: apart, in one block, one in the other, one of them empty."""
    written = range(DAY - 30, DAY + 10)
    writer.write(
        Counted(EPOCH + timedelta(days=day), "sent", 1 + day - written.start, sequence="a") for day in written
    )
    for before, asked in (
        (range(DAY - 20, DAY - 18), range(DAY, DAY + 2)),
        (range(DAY - 20, DAY - 5), range(DAY - 5, DAY + 2)),
        (range(DAY - 6, DAY - 5), range(DAY - 4, DAY - 3)),
        (range(DAY - 6, DAY + 4), range(DAY - 4, DAY + 1)),
        (range(DAY - 6, DAY - 6), range(DAY - 4, DAY + 1)),
        (range(DAY - 6, DAY - 4), range(DAY + 4, DAY + 4)),
    ):

        async def some(reader: CounterReader, before: range = before, asked: range = asked) -> Counters:
            needs = Needs([before, asked], groups=Groups("sequence", asked))
            return await reader.counters("acme", WHOLE_TENANT, needs)

        found = read(some)
        sent = {day: counts.total[0] for day, counts in found.counted[CORE].items()}
        assert {*before, *asked} <= set(sent)
        assert all(sent[day] == 1 + day - written.start for day in sent)
        assert len(sent) <= len({*before, *asked}) + redis_keys.BLOCK_DAYS
        groups = {
            raw: {day: each.total[0] for day, each in of[CORE].items()} for raw, of in found.groups.items()
        }
        assert groups == ({"a": {day: sent[day] for day in asked}} if asked else {})


def test_wide_counters_that_follow_each_other_are_read_like_any(writer: Writer, read: Run) -> None:
    """Blocks of which all counters are wide, then some, then none, then all again; days without any."""
    first = DAY // redis_keys.BLOCK_DAYS * redis_keys.BLOCK_DAYS - 20
    wide = {*range(first, first + 8), first + 9, *range(first + 16, first + 22), first + 23}
    narrow = {first + 8, first + 13, first + 22}
    for family, field in ((CORE, "sent"), (DETAILS, "delayed")):
        for day in wide:
            midnight = EPOCH + timedelta(days=day)
            writer.write(Counted(midnight + at * QUARTER, field, 1 + (at + day) % 9) for at in range(96))
        writer.write(Counted(EPOCH + timedelta(days=day), field, 1 + day % 9) for day in narrow)
        for start, stop in ((first, first + 24), (first + 2, first + 11), (first + 6, first + 21)):
            needs = Needs([range(start, stop)], (family,))

            async def some(reader: CounterReader, needs: Needs = needs) -> Counters:
                return await reader.counters("acme", WHOLE_TENANT, needs)

            found = {day: sum(each.total) for day, each in read(some).counted[family].items()}
            expected = {day: sum(1 + (at + day) % 9 for at in range(96)) for day in wide}
            expected |= {day: 1 + day % 9 for day in narrow}
            assert found == {day: sent for day, sent in expected.items() if start <= day < stop}


def test_the_script_is_sent_again_where_redis_forgot_it(writer: Writer, read: Run) -> None:
    """A Redis that was restarted knows no scripts; the reader does not notice for its answer."""
    writer.write([Counted(HOUR, "sent")])
    for _ in range(2):
        writer.client.script_flush()
        assert read(tenant_counters).counted[CORE][DAY].counts[CELL] == 1


def test_numbers_of_another_lane_state_are_never_used(writer: Writer, read: Run) -> None:
    """A lane that is gone, unnamed or of another name: unavailable, though counters are there."""
    writer.write([Counted(HOUR, "sent")])
    lane = writer.lane()
    assert read(tenant_counters).counted[CORE]
    writer.client.hset(lane, "generation", "g0")
    assert "live generation" in refuses(read)
    writer.client.hdel(lane, "generation")
    assert "live generation" in refuses(read)
    writer.client.delete(lane)
    assert "live generation" in refuses(read)


def test_closed_lanes_are_read_while_a_rebuild_switches_and_not_for_long_after(
    writer: Writer, redis_db: str
) -> None:
    """The rebuild that closed them holds its lease: read. It is dead: for 15 s more. It succeeded: never.

    Also where the numbers are many ids: they are checked likewise.
    """
    writer.write([Counted(HOUR, "sent", sequence="a")])
    later = Writer(writer.client, "g2").generation
    attempt = closed_for("g2", "token")
    made = Member(generation=later, state=State.CLOSING, attempt="token")
    writer.put(Member(generation=writer.generation, state=State.LIVE), made)
    writer.client.hset(writer.lane(), "retired", attempt)
    writer.client.set(redis_keys.LEASE_KEY, "token")
    clock_s = [100.0]

    async def over_time() -> None:
        reader = CounterReader(connect(ApiSettings(redis_url=redis_db)), lambda: clock_s[0])

        async def is_read(at_s: float) -> bool:
            clock_s[0] = at_s
            asked = (tenant_counters(reader), reader.known_ids("acme", "sequence", None, 9))
            codes = [
                getattr(each, "code", None) for each in await asyncio.gather(*asked, return_exceptions=True)
            ]
            assert codes in ([None, None], [UNAVAILABLE, UNAVAILABLE])
            return codes == [None, None]

        assert await is_read(100.0)
        assert await is_read(1_000.0), "a switch under way"
        writer.client.set(redis_keys.LEASE_KEY, "another")
        assert [await is_read(at) for at in (1_000.0, 1_015.0, 1_015.1, 9_000.0)] == [
            True,
            True,
            False,
            False,
        ]
        writer.client.hset(writer.lane(), "retired", closed_for("g2", "next token"))
        assert await is_read(9_000.0), "another attempt has its own time"
        writer.client.hset(writer.lane(), "successor", "g2")
        assert not await is_read(9_000.0), "the switch was done, and the record does not know"
        writer.client.hdel(writer.lane(), "retired", "successor")
        assert await is_read(9_000.0), "open again"
        await reader.close()

    asyncio.run(over_time())


@pytest.mark.parametrize("gone", [True, False])
def test_a_generation_that_goes_live_in_between_is_read_instead(
    writer: Writer, read: Run, gone: bool
) -> None:
    """After the live record was read, a switch: the numbers of the new generation, none of the old.

    Whether the old lane is gone already or stands there as it was.
    """
    writer.write([Counted(HOUR, "sent", 1)])
    later = Writer(writer.client, "g2", lanes=7)
    later.write([Counted(HOUR, "sent", 2)])

    async def across_the_switch(reader: CounterReader) -> Counters:
        assert (await tenant_counters(reader)).counted[CORE][DAY].counts[CELL] == 1
        if gone:
            writer.client.delete(writer.lane())
        later.go_live()
        return await tenant_counters(reader)

    assert read(across_the_switch).counted[CORE][DAY].counts[CELL] == 2


def test_many_who_ask_at_once_get_their_own_answers(writer: Writer, read: Run) -> None:
    """Reads that share round trips: each has its own numbers, also where its neighbour's read fails."""
    tenants = [f"tenant {number}" for number in range(20)]
    writer.write(Counted(HOUR, "sent", number + 1, tenant=name) for number, name in enumerate(tenants))
    writer.write(Counted(HOUR, "sent", tenant=name) for name in ("damaged", "broken"))
    writer.client.hset(writer.block_key(DAY, "damaged"), FIELD, b"")
    writer.client.delete(writer.block_key(DAY, "broken"))
    writer.client.set(writer.block_key(DAY, "broken"), "x")

    async def at_once(reader: CounterReader) -> Counters:
        await reader.live()
        asked = [reader.counters(name, WHOLE_TENANT, Needs(DAYS)) for name in (*tenants, "damaged", "broken")]
        live = asyncio.create_task(reader.live())
        *found, damaged, broken = await asyncio.gather(*asked, return_exceptions=True)
        assert [each.counted[CORE][DAY].counts[CELL] for each in found if isinstance(each, Counters)] == list(
            range(1, 21)
        )
        assert [each.code for each in (damaged, broken) if isinstance(each, ApiError)] == [UNAVAILABLE] * 2
        assert await live == writer.generation
        return await tenant_counters(reader)

    assert read(at_once).counted == {CORE: {}}


def test_who_asked_and_is_gone_takes_nobody_along(writer: Writer, read: Run) -> None:
    """A request that is given up while it reads: the others are answered, and so are the next ones."""
    writer.write([Counted(HOUR, "sent", 7)])

    async def one_gives_up(reader: CounterReader) -> Counters:
        await reader.live()
        first, second = (asyncio.create_task(tenant_counters(reader)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).counted[CORE][DAY].counts[CELL] == 7
        assert first.cancelled()
        return await tenant_counters(reader)

    assert read(one_gives_up).counted[CORE][DAY].counts[CELL] == 7


def test_a_record_that_is_missing_or_unknown_is_unavailable(writer: Writer, read: Run) -> None:
    writer.write([Counted(HOUR, "sent")])
    for layout, age in ((counters.LAYOUT + 1, "a newer"), (counters.LAYOUT - 1, "an older")):
        writer.go_live(layout=layout)
        assert f"layout {layout}, of {age} version" in refuses(read)
    names = tuple(FAMILIES.items())
    for families in (names[::-1], names[:1], ((names[0][0], CORE_FIELDS[::-1]), *names[1:]), ()):
        writer.go_live(families=families)
        assert "kinds" in refuses(read), "every number would stand under another name"
    writer.go_live(lanes=0)
    assert "0 lanes" in refuses(read)
    for record in (b"", b"{}", b"null", b"\xff"):
        writer.client.set(redis_keys.RECORD_KEY, record)
        assert "record" in refuses(read)
    writer.client.delete(redis_keys.RECORD_KEY)
    assert "no live generation" in refuses(read)
    writer.client.sadd(redis_keys.RECORD_KEY, "x")
    assert "no live generation" in refuses(read)


def test_a_record_without_a_live_generation_is_so_at_each_look(writer: Writer, door: Door) -> None:
    """What was seen of the record before it is not taken for what it says now, nor the other way round."""
    for _ in range(2):
        writer.go_live()
        assert [door.get("/api/metrics").status_code for _ in range(2)] == [200, 200]
        writer.put()
        assert [door.get("/api/metrics").status_code for _ in range(2)] == [503, 503]
        writer.go_live(layout=counters.LAYOUT + 1)
        assert [door.get("/api/metrics").status_code for _ in range(2)] == [503, 503]


@pytest.mark.parametrize(
    "packed_counter",
    [
        b"",
        b"\x70",
        b"\x00\xe0",
        b"\x00\xf0\x01",
        b"\x00\x60",
        b"\xff\x00",
        b"\xff\x02\x00\x00\x00\x00",
        redis_keys.IS_WIDE,
    ],
)
def test_a_damaged_counter_is_unavailable_not_zero(writer: Writer, read: Run, packed_counter: bytes) -> None:
    """One that ends within an item or part, is of no quarter, below zero, or missing among the wide ones."""
    writer.write([Counted(HOUR, "sent", 5)])
    writer.client.hset(writer.block_key(DAY), FIELD, packed_counter)
    assert "damaged" in refuses(read)
    assert "damaged" in refuses(read, quarters)


def test_a_key_of_another_type_is_unavailable(writer: Writer, read: Run) -> None:
    writer.write([Counted(HOUR, "sent")])
    writer.client.delete(writer.block_key(DAY))
    writer.client.set(writer.block_key(DAY), "x")
    assert "Redis" in refuses(read)


def test_reading_writes_nothing(writer: Writer, read: Run) -> None:
    """The same keys with the same values before and after."""
    writer.write([Counted(HOUR, "sent", sequence="a")])

    def state() -> dict[bytes, bytes]:
        return {key: writer.client.dump(key) for key in writer.client.scan_iter()}  # type: ignore[misc]

    before = state()
    read(tenant_counters)
    assert state() == before


def test_redis_away_frozen_or_loading_is_unavailable_until_it_is_back(
    valkey_factory: Callable[[], Valkey], open_door: OpenDoor
) -> None:
    """A Redis that is killed or frozen: 503 with Retry-After; once it is back, the application answers."""
    valkey = valkey_factory()
    with redis.Redis.from_url(valkey.url) as client:
        writer = Writer(client)
        writer.go_live()
        writer.write([Counted(HOUR, "sent", 7)])
        client.waitaof(1, 0, 10_000)
    door = open_door(valkey.url)
    assert sent(door) == 7
    valkey.kill()
    assert sent(door) is None
    valkey.start(Waiting(limit_s=LIMIT_S))
    assert sent(door) == 7
    with redis.Redis.from_url(valkey.url) as client:
        pid = client.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        assert sent(door) is None
    finally:
        os.kill(pid, signal.SIGCONT)
    assert sent(door) == 7


def sent(door: Door) -> int | None:
    response = door.get("/api/metrics?from=2025-09-01")
    if response.status_code == 200:
        return int(response.json()["totals"]["sent"])
    assert response.status_code == 503
    assert response.json()["code"] == "UNAVAILABLE"
    assert response.headers["retry-after"] == "5"
    return None


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """A Redis Cluster of one node that owns all slots."""
    port = free_port()
    command = [
        server_binary(),
        *("--bind", "127.0.0.1", "--port", str(port), "--dir", str(tmp_path), "--save", ""),
        *("--cluster-enabled", "yes", "--cluster-port", str(free_port())),
    ]
    child = Child("valkey cluster", command, tmp_path / "log")
    child.start()
    try:
        with redis.Redis(port=port) as client:

            def has_slots() -> bool:
                try:
                    if client.info("cluster")["cluster_enabled"] == 1:
                        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
                except redis.ConnectionError:
                    return False
                return True

            def is_up() -> bool:
                return b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO")

            Waiting(limit_s=LIMIT_S).until(has_slots, child)
            Waiting(limit_s=LIMIT_S).until(is_up, child)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        child.kill()


@pytest.mark.programs
def test_a_cluster_is_read_too(cluster: str, open_door: OpenDoor) -> None:
    """With REDIS_CLUSTER the same answers come from a cluster, and 503 while it has no generation."""
    door = open_door(cluster, cluster=True)
    assert sent(door) is None
    with redis.Redis.from_url(cluster) as client:
        writer = Writer(client)
        writer.go_live()
        writer.write([Counted(HOUR, "sent", 7, sequence="a"), Counted(HOUR, "sent", 2, tenant="other")])
    assert sent(door) == 7
    assert door.get("/api/metrics/sequences/a?from=2025-09-01").json()["totals"]["sent"] == 7
    assert door.get("/api/metrics?from=2025-09-01", door.keys.add("other")).json()["totals"]["sent"] == 2


@pytest.mark.programs
def test_the_lanes_of_a_cluster_are_looked_through(cluster: str, open_door: OpenDoor) -> None:
    """Its lanes lie in several slots; together they say up to when a partition is counted."""
    door = open_door(cluster, cluster=True)
    with redis.Redis.from_url(cluster) as client:
        writer = Writer(client)
        writer.go_live()
        for number in range(writer.generation.lanes):
            client.hset(redis_keys.lane_key("g1", number), mapping={"f0": 5, "c0": 9_000 + number})
    text = door.send("GET", "/metrics").text
    assert by_partition(text, "api_complete_through_timestamp_seconds") == {0: 9}


@pytest.mark.programs
def test_a_cluster_that_is_not_there_is_unavailable(open_door: OpenDoor) -> None:
    door = open_door(f"redis://127.0.0.1:{free_port()}/0", cluster=True)
    assert sent(door) is None
