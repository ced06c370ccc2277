"""Reads of a whole generation, lane by lane: for who runs the API. No tenant's answer needs them.

What cannot be read for certain is unavailable here too: a lane that is gone has no partitions and no tenants,
and that is not to be taken for none.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from api.counters.exchange import REDIS_ERRORS
from api.counters.reader import CounterReader
from api.counters.replies import partitions_of
from api.errors import UNAVAILABLE, ApiError
from api.query.freshness import complete_through
from schemas.counters import Generation
from schemas.redis_keys import lane_key, tenants_key, unsafe_id

AT_ONCE: Final = 500
"""Tenants of one read, about."""


async def partitions_of_all(reader: CounterReader) -> dict[int, int | None]:
    """For each known partition up to when (ms) all lanes are counted; None where one has no such time.

    Raises: ApiError UNAVAILABLE also where one lane alone cannot be read.
    """
    live = await reader.live()
    lanes = await asyncio.gather(*(_partitions(reader, live, number) for number in range(live.lanes)))
    known = {partition for lane in lanes for partition in lane}
    return {
        partition: complete_through({number: lane.get(partition) for number, lane in enumerate(lanes)})
        for partition in sorted(known)
    }


async def all_tenants(reader: CounterReader) -> AsyncIterator[list[str]]:
    """All tenants that have counters, some at a time, each once.

    In memory are those of one lane. One that comes meanwhile may be among them or not.
    Raises: ApiError UNAVAILABLE where one lane alone cannot be read, or another generation goes live.
    """
    live = await reader.live()
    for number in range(live.lanes):
        key = tenants_key(lane_key(live.name, number))
        seen: set[bytes] = set()  # a scan may name one twice
        cursor, is_begun = 0, False
        while cursor or not is_begun:
            is_begun = True
            now_live, reply = await reader.ask("SSCAN", key, cursor, "COUNT", AT_ONCE)
            if now_live != live:
                raise ApiError(UNAVAILABLE, "Another generation went live meanwhile. Try again.")
            if isinstance(reply, REDIS_ERRORS):
                raise ApiError(UNAVAILABLE, f"Lane {number} of the live generation cannot be read.")
            cursor, members = reply
            yield [unsafe_id(member.decode()) for member in members if member not in seen]
            seen.update(members)
        await _partitions(reader, live, number)  # it was there to the end


async def _partitions(reader: CounterReader, live: Generation, number: int) -> dict[int, int | None]:
    _, fields = await reader.ask("HGETALL", lane_key(live.name, number))
    if isinstance(fields, REDIS_ERRORS) or fields.get(b"generation") != live.name.encode():
        raise ApiError(UNAVAILABLE, f"Lane {number} of the live generation cannot be read.")
    times = [pair for pair in fields.items() if pair[0][:1] in (b"f", b"c") and pair[0][1:].isdigit()]
    try:
        return partitions_of([part for pair in times for part in pair])
    except ValueError as error:
        raise ApiError(UNAVAILABLE, f"Lane {number} of the live generation is damaged.") from error
