"""Writes counters into a Redis by hand, in the layout of `schemas.redis_keys`, as a worker would leave them.

Keys and items are spelled out here once more on purpose: what reads them is tested against this.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import redis

from schemas import counters, redis_keys
from schemas.counters import Generation, Member, Record, State
from schemas.kinds import FIELDS
from schemas.packed_counter import MANY, MINUS, SEVERAL


@dataclass(frozen=True)
class Counted:
    """A number of facts of one hour."""

    hour: datetime
    field: str
    count: int = 1
    tenant: str = "acme"
    sequence: str | None = None
    template: str | None = None


def pack(cells: dict[int, int]) -> bytes:
    """A packed counter with every kind of item: a count and a take-back beside each number."""
    items = bytearray()
    for cell, count in cells.items():
        if count == 1:
            items += bytes([cell])
        elif count < 256:
            items += bytes([SEVERAL, cell, count])
        else:
            items += bytes([MANY, cell]) + (count + 1).to_bytes(4, "little")
            items += bytes([MINUS, cell])
    return len(items).to_bytes(2, "little") + bytes(items)


class Writer:
    """One generation in one Redis."""

    def __init__(self, client: redis.Redis, name: str = "g1", lanes: int = 3) -> None:
        self.client = client
        self.generation = Generation(
            name=name,
            lanes=lanes,
            rules="r",
            layout=counters.LAYOUT,
            kinds=FIELDS,
            cluster_id="c",
            topic_id="t",
            created_ms=0,
        )
        for lane in range(lanes):
            client.hset(redis_keys.lane_key(name, lane), mapping={"generation": name, "rules": "r"})

    def go_live(self, **changes: object) -> None:
        live = msgspec.structs.replace(self.generation, **changes)
        self.put(Member(generation=live, state=State.LIVE))

    def put(self, *members: Member) -> None:
        """Set the record to these generations."""
        self.client.set(redis_keys.RECORD_KEY, msgspec.json.encode(Record(members)))

    def lane(self, tenant: str = "acme") -> str:
        lane = redis_keys.lane_of(tenant, self.generation.lanes)
        return redis_keys.lane_key(self.generation.name, lane)

    def day_key(self, day: int, tenant: str = "acme") -> str:
        return f"{self.lane(tenant)}:c:{redis_keys.safe_id(tenant)}:{day}"

    def write(self, facts: Iterable[Counted]) -> None:
        """Set the counters to those facts and no others."""
        packed_counters: dict[tuple[str, int, bytes], dict[int, int]] = {}
        for fact in facts:
            lane, tenant = self.lane(fact.tenant), redis_keys.safe_id(fact.tenant)
            if fact.sequence is not None:
                self.client.sadd(f"{lane}:s:{tenant}", fact.sequence)
            if fact.template is not None:
                self.client.sadd(f"{lane}:t:{tenant}", fact.template)
            day = (fact.hour - datetime(1970, 1, 1, tzinfo=UTC)).days
            self.client.sadd(f"{lane}:d:{tenant}", day)
            cell = fact.hour.hour * len(FIELDS) + FIELDS.index(fact.field)
            for scope in scopes(fact):
                cells = packed_counters.setdefault((fact.tenant, day, scope), {})
                cells[cell] = cells.get(cell, 0) + fact.count
        for (tenant, day, scope), cells in packed_counters.items():
            self.client.hset(self.day_key(day, tenant), scope, pack(cells))


def scopes(fact: Counted) -> Iterator[bytes]:
    yield redis_keys.TENANT_SCOPE
    if fact.sequence is not None:
        yield redis_keys.sequence_scope(fact.sequence)
    if fact.template is not None:
        yield redis_keys.template_scope(fact.template)
