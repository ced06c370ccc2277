"""Is what was counted right? A run with a wrong number is no result, however fast it was.

Redis is read here as its layout (`schemas.redis_keys`) says, past the API and the aggregator, and compared
with what the workload's generator counted: the hours of each tenant, the totals of each sequence and
template, and the tenants that there are. (`verify` compares every cell with a recount; it is a measure too.)
"""

from collections import defaultdict
from typing import Any

import msgspec
import redis

from schemas.counters import Generation, Record
from schemas.instants import HOURS
from schemas.kinds import FIELDS
from schemas.packed_counter import unpack_counter
from schemas.redis_keys import (
    RECORD_KEY,
    TENANT_SCOPE,
    lane_key,
    lane_of,
    safe_id,
    sequence_scope,
    template_scope,
)
from tests.benchmarks.expected import Counts, Expected
from tests.benchmarks.workload import sequence_name, template_name, tenant_name

KINDS = len(FIELDS)


class WrongNumbersError(Exception):
    """What was counted is not what must be counted; the text names one place."""


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
    sequences: dict[tuple[int, bytes], Counts] = {
        (tenant, sequence_scope(sequence_name(number))): counts
        for (tenant, number), counts in expected.sequences.items()
    }
    templates: dict[tuple[int, bytes], Counts] = {
        (tenant, template_scope(template_name(number))): counts
        for (tenant, number), counts in expected.templates.items()
    }
    scopes = sequences | templates
    got_scopes: dict[tuple[int, bytes], Counts] = {}
    for tenant in expected.quarters:
        hours = expected.hours(tenant)
        got_hours, of_tenant = _read(client, live, tenant_name(tenant))
        if got_hours != hours:
            wrong = min(at for at in {*hours, *got_hours} if hours.get(at) != got_hours.get(at))
            raise WrongNumbersError(
                f"{tenant_name(tenant)}, hour {wrong}: {got_hours.get(wrong)} instead of {hours.get(wrong)}"
            )
        got_scopes |= {(tenant, scope): counts for scope, counts in of_tenant.items()}
    if got_scopes != scopes:
        place = next(at for at in {*scopes, *got_scopes} if scopes.get(at) != got_scopes.get(at))
        raise WrongNumbersError(f"{place}: {got_scopes.get(place)} instead of {scopes.get(place)}")


def _read(
    client: redis.Redis, live: Generation, tenant: str
) -> tuple[dict[int, Counts], dict[bytes, Counts]]:
    """A tenant's counts by hour, and the totals of its sequences and templates by field."""
    lane, safe = lane_key(live.name, lane_of(tenant, live.lanes)), safe_id(tenant)
    days = [int(day) for day in client.smembers(f"{lane}:d:{safe}")]
    with client.pipeline(transaction=False) as pipe:
        for day in days:
            pipe.hgetall(f"{lane}:c:{safe}:{day}")
        packed_counters = pipe.execute()
    hours: dict[int, Counts] = {}
    totals: dict[bytes, Counts] = defaultdict(lambda: [0] * KINDS)
    for day, of_day in zip(days, packed_counters, strict=True):
        for scope, packed_counter in of_day.items():
            cells = unpack_counter(packed_counter)
            if scope == TENANT_SCOPE:
                for hour in range(HOURS):
                    counts = cells[hour * KINDS : (hour + 1) * KINDS]
                    if any(counts):
                        hours[day * HOURS + hour] = counts
            else:
                total = totals[scope]
                for kind in range(KINDS):
                    total[kind] += sum(cells[kind::KINDS])
    return hours, dict(totals)
