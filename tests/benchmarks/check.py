"""Is what was counted right? A run with a wrong number is no result, however fast it was.

Redis is read here as its layout (`schemas.redis_keys`) says, past the API and the aggregator, and compared
with what the workload's generator counted, all kinds of it: the quarters of each tenant and the hours, as
both stand in a counter; the totals of each sequence and template; the tenants and ids that there are.
(`verify` compares every cell with a recount; it is a measure too.)
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import redis

from schemas.counters import Generation, Record
from schemas.instants import HOURS, QUARTERS
from schemas.kinds import FIELDS
from schemas.packed_counter import KINDS_MAX, unpack_hours, unpack_quarters
from schemas.redis_keys import (
    RECORD_KEY,
    TENANT_SCOPE,
    block_of_member,
    counters_key,
    known_key,
    lane_key,
    lane_of,
    read_counter_field,
    safe_id,
    wide_counters_key,
)
from tests.benchmarks.expected import Counts, Expected, no_counts
from tests.benchmarks.workload import sequence_name, template_name, tenant_name

TOGETHER: Final = 500
"""Tenants that are read in one round trip."""

Scope = tuple[int, bytes]
"""The number of a scope, and an id of it."""


class WrongNumbersError(Exception):
    """What was counted is not what must be counted; the text names one place."""


@dataclass
class Found:
    """What Redis holds of a tenant. hours, quarters: since 1970. totals: of each scope and id. known: ids."""

    hours: dict[int, Counts] = field(default_factory=lambda: defaultdict(no_counts))
    quarters: dict[int, Counts] = field(default_factory=lambda: defaultdict(no_counts))
    totals: dict[Scope, Counts] = field(default_factory=lambda: defaultdict(no_counts))
    known: set[Scope] = field(default_factory=set)


def check(client: redis.Redis, expected: Expected) -> None:
    """Compare the live generation with what must be counted. Raises: WrongNumbersError."""
    raw: Any = client.get(RECORD_KEY)
    live = msgspec.json.decode(raw, type=Record).live if raw else None
    if live is None:
        raise WrongNumbersError("there is no generation")
    there: set[bytes | str] = set()
    for lane in range(live.lanes):
        there |= client.smembers(f"{lane_key(live.name, lane)}:n")
    wanted = {safe_id(tenant_name(tenant)).encode() for tenant in expected.quarters}
    if there != wanted:
        raise WrongNumbersError(f"{len(there)} tenants instead of {len(wanted)}")
    totals: dict[int, dict[Scope, Counts]] = defaultdict(dict)
    for scope, name_of, counted in (
        (live.scope_number("sequence") or 0, sequence_name, expected.sequences),
        (live.scope_number("template") or 0, template_name, expected.templates),
    ):
        for (tenant, number), counts in counted.items():
            totals[tenant][scope, name_of(number).encode()] = counts
    for tenant, found in _found(client, live, expected):
        name = tenant_name(tenant)
        _compare(f"{name}, hour", found.hours, expected.hours(tenant))
        _compare(f"{name}, quarter", found.quarters, expected.quarters[tenant])
        _compare(f"{name}, scope and id", found.totals, totals[tenant])
        if found.known != totals[tenant].keys():
            raise WrongNumbersError(f"{name}: {len(found.known)} known ids of {len(totals[tenant])}")


def _compare(what: str, got: Mapping[Any, Counts], want: Mapping[Any, Counts]) -> None:
    if got != want:
        at = min(place for place in {*got, *want} if got.get(place) != want.get(place))
        raise WrongNumbersError(f"{what} {at}: {got.get(at)} instead of {want.get(at)}")


def _found(client: redis.Redis, live: Generation, expected: Expected) -> Iterator[tuple[int, Found]]:
    """What there is of each tenant."""
    everybody = list(expected.quarters)
    for start in range(0, len(everybody), TOGETHER):
        tenants = everybody[start : start + TOGETHER]
        places = [_place(live, tenant_name(tenant)) for tenant in tenants]
        with client.pipeline(transaction=False) as pipe:
            for lane, safe in places:
                pipe.zrange(known_key(lane, safe), 0, -1)
            members = pipe.execute()
            blocks = [[block_of_member(each) for each in found if not each[0]] for found in members]
            for (lane, safe), of_tenant in zip(places, blocks, strict=True):
                for block in of_tenant:
                    pipe.hgetall(counters_key(lane, safe, block))
                    pipe.hgetall(wide_counters_key(lane, safe, block))
            counters = iter(pipe.execute())
        for tenant, found, of_tenant in zip(tenants, members, blocks, strict=True):
            held = Found(known={(each[0], each[1:]) for each in found if each[0]})
            for block in of_tenant:
                narrow, wide = next(counters), next(counters)
                for name, packed_counter in (narrow | wide).items():
                    _add(live, held, block, name, packed_counter)
            yield tenant, held


def _place(live: Generation, tenant: str) -> tuple[str, str]:
    """A tenant's lane and safe id."""
    return lane_key(live.name, lane_of(tenant, live.lanes)), safe_id(tenant)


def _add(live: Generation, held: Found, block: int, name: bytes, packed_counter: bytes) -> None:
    """Take in one packed counter."""
    day, family, scope, raw = read_counter_field(block, name)
    _, fields = live.families[family]
    first = FIELDS.index(fields[0])  # the fields of a family stand together
    places = slice(first, first + len(fields))
    by_hour = unpack_hours(packed_counter)
    if scope != TENANT_SCOPE:
        total = held.totals[scope, raw]
        for place in range(len(fields)):
            total[first + place] += sum(by_hour[place::KINDS_MAX])
        return
    for cells, of_day, into in (
        (by_hour, HOURS, held.hours),
        (unpack_quarters(packed_counter), QUARTERS, held.quarters),
    ):
        for at in range(of_day):
            counts = cells[at * KINDS_MAX : at * KINDS_MAX + len(fields)]
            if any(counts):
                into[day * of_day + at][places] = counts
