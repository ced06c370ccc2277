"""What Redis holds, cell by cell: the whole live generation, read by the words of `schemas.redis_keys`.

Law: what is read here is read by nothing of the project but the names of keys; how a counter is packed is
worked out once more by the description in `schemas.packed_counter`. So an error in the project's own reading
cannot hide here, and kinds and scopes that no route of the API shows are compared too.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import msgspec

from schemas import redis_keys
from schemas.kinds import CORE_FIELDS
from schemas.packed_counter import cell_bytes, pack_counts
from tests.pipeline import oracle

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY, QUARTER = timedelta(days=1), timedelta(minutes=15)
DAYS_A_BLOCK = redis_keys.BLOCK_DAYS


@dataclass
class Held:
    """All that is counted.

    cells: every number that is not 0. known: the scopes whose ids are known. blocks: of each tenant the
    blocks of days that are known to have counters; they stay where a count has moved away.
    """

    cells: Counter[oracle.Cell] = field(default_factory=Counter)
    known: set[oracle.Scope] = field(default_factory=set)
    blocks: set[tuple[str, int]] = field(default_factory=set)


def live(client: Any) -> Any:
    """The live generation, as the record says it; none where there is none."""
    record = client.get(redis_keys.RECORD_KEY)
    members = msgspec.json.decode(record)["members"] if record else []
    return next((member["generation"] for member in members if member["state"] == "live"), None)


def held(client: Any) -> Held:
    """What the live generation holds; nothing where there is none. client: of a Redis or of a cluster."""
    found = Held()
    for lane in held_by_lane(client):
        found.cells += lane.cells
        found.known |= lane.known
        found.blocks |= lane.blocks
    return found


def held_by_lane(client: Any) -> Iterator[Held]:
    """The same lane by lane, for who has no room for all at once."""
    generation = live(client)
    for lane in range(generation["lanes"]) if generation else ():
        found = Held()
        _read_lane(client, generation, lane, found)
        yield found


def _read_lane(client: Any, generation: Any, lane: int, found: Held) -> None:
    prefix = redis_keys.lane_key(generation["name"], lane)
    names = scopes(generation)
    for name in client.smembers(f"{prefix}:n"):
        safe, tenant = name.decode(), unquote_to_bytes(name).decode()
        for member in client.zrange(f"{prefix}:i:{safe}", 0, -1):
            if member[0]:
                found.known.add((tenant, names[member[0]], member[1:].decode()))
                continue
            block = int.from_bytes(member[1:], "big") - 2**31
            found.blocks.add((tenant, block))
            narrow, wide = (client.hgetall(f"{prefix}:{letter}:{safe}:{block}") for letter in "cw")
            found.cells += cells(generation, safe, block, narrow, wide)


def scopes(generation: Any) -> list[str]:
    """The names of all scopes of a generation, by their numbers."""
    return ["tenant", *generation["scopes"]]


def cells(
    generation: Any, safe: str, block: int, narrow: Mapping[bytes, bytes], wide: Mapping[bytes, bytes]
) -> Counter[oracle.Cell]:
    """The numbers of a block of days. safe: the tenant, as it stands in keys."""
    assert wide.keys() == {of for of, packed in narrow.items() if packed == redis_keys.IS_WIDE}
    families, names, tenant = generation["families"], scopes(generation), unquote_to_bytes(safe).decode()
    found: Counter[oracle.Cell] = Counter()
    for of, packed in {**narrow, **wide}.items():
        midnight = EPOCH + (block * DAYS_A_BLOCK + of[0] % DAYS_A_BLOCK) * DAY
        _, fields = families[of[0] // DAYS_A_BLOCK]
        scope = (tenant, names[of[1]], of[2:].decode())
        for (quarter, kind), count in counts(packed).items():
            found[scope, midnight + quarter * QUARTER, fields[kind]] = count
    return found


def counts(packed: bytes) -> dict[tuple[int, int], int]:
    """What a packed counter counts by (quarter of the day, place of the kind), but for what is 0."""
    found: Counter[tuple[int, int]] = Counter()
    tail = packed
    if packed[0] == 255:
        end_of_hours = 5 + int.from_bytes(packed[1:3], "little")
        end_of_quarters = end_of_hours + int.from_bytes(packed[3:5], "little")
        tail = packed[end_of_quarters:]
        for (quarter, kind), count in _items(packed[5:end_of_hours]):
            assert quarter % 4 == 0, "whole hours stand at their first quarter"
            found[quarter, kind] += count
        for (quarter, kind), count in _items(packed[end_of_hours:end_of_quarters]):
            assert quarter % 4, "an hour's first quarter is what is left"
            found[quarter, kind] += count
            found[quarter - quarter % 4, kind] -= count
    for cell, count in _items(tail):
        found[cell] += count
    return {cell: count for cell, count in found.items() if count}


def _items(part: bytes) -> Iterator[tuple[tuple[int, int], int]]:
    rest = list(part)
    quarter = None
    while rest:
        item = rest.pop(0)
        if item < 96:
            quarter = item
            continue
        count, kind = divmod(item - 96, 16)
        if count == 0:
            count = -1
        elif count > 7:
            length = {8: 1, 9: 4}[count]
            count = int.from_bytes(bytes(rest[:length]), "little")
            del rest[:length]
        assert quarter is not None, "a count of no quarter"
        yield (quarter, kind), count


def differences(found: Held, want: oracle.Count) -> list[str]:
    """How what is held differs from what must be, in words; nothing where all of it is equal."""
    right, had = want.cells(), found.cells
    wrong = [key for key in sorted(right.keys() | had.keys()) if right.get(key) != had.get(key)]
    words = [f"{key}: {had.get(key)}, should be {right.get(key)}" for key in wrong[:10]]
    known = {scope for scope in want.quarters if scope[1] != "tenant"}
    blocks = {(scope[0], (at - EPOCH) // DAY // DAYS_A_BLOCK) for scope, at, _ in right}
    return [
        *([f"{len(wrong)} of {len(right)} cells differ", *words] if wrong else []),
        *(f"{scope} is known" for scope in sorted(found.known - known)[:5]),
        *(f"{scope} is not known" for scope in sorted(known - found.known)[:5]),
        *(f"block {block} has counters and is not known" for block in sorted(blocks - found.blocks)[:5]),
    ]


class Where(NamedTuple):
    """Where a tenant's own numbers of a day in the first family stand."""

    key: str
    field: bytes
    midnight: datetime


def _blocks(client: Any, lanes: Sequence[str], tenant: str) -> tuple[str, str, list[int]]:
    """A tenant's lane, its name in keys, and its blocks of days, in order. lanes: the live ones' keys."""
    lane, safe = lanes[redis_keys.lane_of(tenant, len(lanes))], redis_keys.safe_id(tenant)
    members = client.zrangebylex(f"{lane}:i:{safe}", b"[\0", b"(\1")
    return lane, safe, [redis_keys.block_of_member(member) for member in members]


def last_counter(client: Any, lanes: Sequence[str], tenant: str) -> Where:
    """That of the last day on which anything counted for a tenant. lanes: the keys of the live ones."""
    lane, safe, (*_, block) = _blocks(client, lanes, tenant)
    key = redis_keys.counters_key(lane, safe, block)
    last = max(field[0] for field in client.hkeys(key) if field[0] < DAYS_A_BLOCK and field[1:] == b"\0")
    field = bytes((last, 0))
    if client.hget(key, field) == redis_keys.IS_WIDE:
        key = redis_keys.wide_counters_key(lane, safe, block)
    return Where(key, field, EPOCH + (block * DAYS_A_BLOCK + last) * DAY)


def lose_day(client: Any, lanes: Sequence[str], tenant: str) -> datetime:
    """Damage: all counters of a tenant's first day are gone, others of its block stay.

    Returns: its midnight.
    """
    lane, safe, blocks = _blocks(client, lanes, tenant)
    for block in blocks:
        days = {of[0] % DAYS_A_BLOCK for of in client.hkeys(redis_keys.counters_key(lane, safe, block))}
        if len(days) > 1:
            midnight: datetime = EPOCH + (block * DAYS_A_BLOCK + min(days)) * DAY
            lose_the_day(client, lanes, tenant, midnight)
            return midnight
    raise AssertionError(f"{tenant} has no block with two days")


def lose_the_day(client: Any, lanes: Sequence[str], tenant: str, midnight: datetime) -> None:
    """Damage: all counters of one day of a tenant are gone; there must be some."""
    lane, safe, _ = _blocks(client, lanes, tenant)
    block, day = divmod((midnight - EPOCH) // DAY, DAYS_A_BLOCK)
    key = redis_keys.counters_key(lane, safe, block)
    lost = [of for of in client.hkeys(key) if of[0] % DAYS_A_BLOCK == day]
    client.hdel(key, *lost)
    client.hdel(redis_keys.wide_counters_key(lane, safe, block), *lost)


def count_once_more(client: Any, where: Where, quarter: int, field: str) -> datetime:
    """Damage a counter: one count too many. quarter: of the day. Returns: when it begins."""
    packed = client.hget(where.key, where.field)
    place = CORE_FIELDS.index(field)
    client.hset(where.key, where.field, packed + pack_counts(cell_bytes(quarter, place)))
    return where.midnight + quarter * QUARTER
