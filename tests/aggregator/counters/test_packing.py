"""The script's own packing on a real Valkey: its packed counters are what Python reads, however they grew."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import count
from random import Random
from typing import Any

import msgpack
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from aggregator.counting.facts import Facts, Scopes
from schemas.instants import QUARTERS
from schemas.packed_counter import KINDS_MAX, unpack_hours, unpack_quarters
from schemas.redis_keys import BLOCK_DAYS, IS_WIDE, counters_key, wide_counters_key
from tests.aggregator.facts import facts
from tests.aggregator.lanes import Lane, kinds, naive_count

PACKED, LOOSE = 255, 40
NOTHING = b"\0"
"""A tail that counts nothing."""
FIELD = b"\x03\x00"
DAY = 20_000
BLOCK = DAY // BLOCK_DAYS
_names = count()

Cells = Counter[tuple[int, int]]
"""(quarter of the day, place of the kind) -> count."""


@pytest.fixture(scope="module")
def client(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url) as connected:
        yield connected


class Grown:
    """One packed counter, to which calls add."""

    def __init__(self, client: Any) -> None:
        self.lane = Lane(client, f"packing-{next(_names)}")
        self.calls = 0
        self.was_wide = False

    def add(self, tail: bytes) -> bytes:
        """One call that counts these items. Returns: the packed counter."""
        counts = [[1, BLOCK, [FIELD], [tail]]]
        moves = [[0, self.calls, self.calls + 1, -1]]
        argument = msgpack.packb([moves, [[], [], ["one"], [], [], counts]], use_bin_type=False)
        assert self.lane.send(argument) == [b"OK", 0, []]
        self.calls += 1
        value: bytes = self.lane.client.hget(counters_key(self.lane.key, "one", BLOCK), FIELD)
        if value == IS_WIDE:
            value = self.lane.client.hget(wide_counters_key(self.lane.key, "one", BLOCK), FIELD)
            assert len(value) > 64 or self.was_wide
            self.was_wide = True
        return value


def item(place: int, number: int) -> bytes:
    """A count of less than nothing is as many that are taken back."""
    if number < 0:
        return bytes((0x60 + place,)) * -number
    if number < 8:
        return bytes((0x60 + place + 16 * number,))
    if number < 256:
        return bytes((0xE0 + place, number))
    return bytes((0xF0 + place,)) + number.to_bytes(4, "little")


def tail_of(of: Mapping[tuple[int, int], int]) -> bytes:
    return b"".join(bytes((quarter,)) + item(place, n) for (quarter, place), n in of.items() if n)


def assert_reads(value: bytes, expected: Cells) -> None:
    """By quarter, by hour, and by hour with the quarters left out."""
    found = unpack_quarters(value)
    assert {divmod(cell, KINDS_MAX): n for cell, n in enumerate(found) if n} == +expected
    hours = unpack_hours(value)
    by_quarter = [found[hour * 64 : hour * 64 + 64] for hour in range(24)]
    assert hours == [sum(each[place::16]) for each in by_quarter for place in range(16)]
    if value[0] == PACKED:
        first, second = (int.from_bytes(value[at : at + 2], "little") for at in (1, 3))
        assert unpack_hours(value[:3] + b"\0\0" + value[5 : 5 + first] + value[5 + first + second :]) == hours


cells = st.tuples(st.integers(0, QUARTERS - 1) | st.integers(40, 47), st.integers(0, KINDS_MAX - 1))
numbers = st.integers(1, 9) | st.sampled_from([7, 8, 29, 30, 255, 256, 65_535, 65_536, 70_000])
steps = st.lists(st.dictionaries(cells, numbers, min_size=1, max_size=14), min_size=1, max_size=12)
shared = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=150, deadline=None, suppress_health_check=shared)
@given(steps, st.randoms(use_true_random=False))
def test_it_reads_as_what_was_counted_after_each_call(
    client: Any, of: list[dict[tuple[int, int], int]], random: Random
) -> None:
    """Counts of every size, some of them taken back again, in cells that come once and many times."""
    grown, expected = Grown(client), Counter[tuple[int, int]]()
    for step in of:
        back = Counter(random.choices(list(expected), k=5) if expected else [])
        change = Counter(step)
        change.subtract({cell: min(n, expected[cell]) for cell, n in back.items()})
        value = grown.add(tail_of(change) or NOTHING)
        expected.update(change)
        assert_reads(value, expected)


def test_it_is_packed_again_and_again_as_it_grows(client: Any) -> None:
    """A long life: what is loose stays below what is packed, and each packing keeps every number."""
    random, grown, expected = Random(7), Grown(client), Counter[tuple[int, int]]()
    value, packings = b"", 0
    for _ in range(600):
        change = Counter(random.choices([(q, p) for q in range(30, 60) for p in (0, 1, 4, 15)], k=4))
        taken = [cell for cell in random.sample(list(expected), k=min(2, len(expected))) if expected[cell]]
        change.subtract(taken)
        before, value = value, grown.add(tail_of(change) or NOTHING)
        expected.update(change)
        assert_reads(value, expected)
        packings += value[: len(before)] != before
        parts = 5 + sum(int.from_bytes(value[at : at + 2], "little") for at in (1, 3))
        loose = len(value) - parts if value[0] == PACKED else len(value)
        assert loose <= (parts - 5 if value[0] == PACKED else 0) + LOOSE
    assert packings >= 5
    assert len(value) < 3 * len(expected) + LOOSE + parts


def test_a_full_day_is_packed(client: Any) -> None:
    """Every kind that there is room for in every quarter, more than two bytes can say: the lengths fit."""
    grown = Grown(client)
    every = Counter({(quarter, place): 70_000 for quarter in range(QUARTERS) for place in range(KINDS_MAX)})
    for times in (1, 2, 3):
        value = grown.add(tail_of(every))
        assert_reads(value, Counter({cell: n * times for cell, n in every.items()}))
    assert value[0] == PACKED


def test_what_is_wide_stands_apart(client: Any) -> None:
    """A block's hash stays a compact one, whatever is counted in it; a counter that was wide stays there."""
    grown = Grown(client)
    for _ in range(3):
        grown.add(tail_of({(quarter, 1): 300 for quarter in range(0, QUARTERS, 3)}))
    narrow, wide = (make(grown.lane.key, "one", BLOCK) for make in (counters_key, wide_counters_key))
    assert client.hgetall(narrow) == {FIELD: IS_WIDE}
    assert client.object("encoding", narrow) == b"listpack"
    back = {(quarter, 1): -900 for quarter in range(0, QUARTERS, 3)}
    assert_reads(grown.add(tail_of(back)), Counter())
    assert client.hlen(wide) == 1
    assert_reads(grown.add(tail_of({(0, 1): 5})), Counter({(0, 1): 5}))


def test_what_is_taken_back_whole_leaves_nothing(client: Any) -> None:
    """A cell that comes to 0 is no item any more, once it is packed."""
    grown = Grown(client)
    grown.add(tail_of({(38, 2): 20, (37, 2): 1}))
    value = grown.add(bytes((38,)) + b"\x62" * 20 + bytes((37,)) + b"\x62" * 40 + b"\x72" * 39)
    assert value == b"\xff\0\0\0\0"
    assert_reads(value, Counter())
    assert_reads(grown.add(tail_of({(38, 2): 3})), Counter({(38, 2): 3}))


@pytest.mark.parametrize(
    "quarters",
    [
        (7, 6, 5, 4),
        (5, 4, 7, 6),
        (95, 94, 96, 97, 3, 2),
        (96 * 8, 96 * 4, 96 * 4 - 1, 96, 95, 1, 0),
        tuple(range(6047, 5900, -1)),
        (383, *range(0, 380, 7)),
    ],
    ids=["within an hour", "first last", "hours and days", "blocks", "each quarter", "late once"],
)
@pytest.mark.parametrize("stated", [("bounced", "bounced_soft"), ("opened", "opened_human"), ("complained",)])
def test_a_fact_that_is_reported_earlier_moves(
    client: Any, quarters: tuple[int, ...], stated: tuple[str, ...]
) -> None:
    """Between quarters of an hour, hours, days and blocks: it stands in one place, with all its scopes."""
    lane = Lane(client, f"packing-{next(_names)}")
    people = (None,) if stated[0] == "opened" else (b"x", b"y")
    events = [
        Facts(Scopes("one", ("s", None, "c")), DAY + 3, quarter, "m", kinds(*stated), people)
        for quarter in quarters
    ]
    for at, each in enumerate(events):
        assert lane.call([(0, at, at + 1, -1)], [each])[0] == b"OK"
        assert lane.cells(["one"]) == naive_count(events[: at + 1])


@settings(max_examples=60, deadline=None, suppress_health_check=shared)
@given(st.lists(facts(days=(DAY, DAY + 1)), min_size=1, max_size=12), st.lists(facts(), max_size=12))
def test_what_one_tenant_says_changes_nothing_of_anothers(
    client: Any, mine: list[Facts], others: list[Facts]
) -> None:
    """Same messages, recipients and ids in one lane: the cells are those of a lane alone."""
    lane, alone = Lane(client, f"packing-{next(_names)}"), Lane(client, f"packing-{next(_names)}")
    mine = [replace(each, scopes=Scopes("mine", each.scopes.ids)) for each in mine]
    same = [replace(each, scopes=Scopes("theirs", each.scopes.ids)) for each in mine]
    for at, each in enumerate(mine):
        lane.call([(0, 3 * at, 3 * at + 2, -1)], [*others[at : at + 1], same[at], each])
        lane.call([(0, 3 * at + 2, 3 * at + 3, -1)], [same[at], *others[: at + 1]])
        alone.call([(0, at, at + 1, -1)], [each])
    assert lane.cells(["mine"]) == alone.cells(["mine"]) == naive_count(mine)
    assert lane.known("mine") == alone.known("mine")
    assert lane.cells(["theirs"]) == naive_count(same)
