"""While a cluster moves the lane's slot key by key, the API answers with all of the counts or not at all.

The node that the keys go to takes one that has not come yet for one that there never was, if it is asked for
that one alone: counts would be missing, and a known id unknown, with status 200.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import repeat
from typing import Final

import pytest

from api.config import ApiSettings
from api.counters.connection import connect
from api.counters.reader import WHOLE_TENANT, CounterReader, Scope
from api.errors import UNAVAILABLE, ApiError
from api.query.query import Groups, Needs
from schemas.kinds import FAMILIES
from schemas.redis_keys import BLOCK_DAYS
from tests.api.writer import EPOCH, QUARTER, Counted, Writer
from tests.valkey_cluster import PATIENT_MS, ValkeyCluster, valkey_cluster

pytestmark = pytest.mark.programs

DAY = 20_334
DAYS = (range(DAY - 20, DAY - 12), range(DAY - 9, DAY + 20))
GROUPS = Groups("sequence", DAYS[1])
ALL = tuple(FAMILIES)
IN_PIECES = 24
"""Fields of one call, which are three blocks."""


def midnight(day: int) -> datetime:
    return EPOCH + timedelta(days=day)


READS: Final[tuple[Callable[[CounterReader], Awaitable[object]], ...]] = (
    lambda reader: reader.counters("acme", WHOLE_TENANT, Needs(DAYS, ALL, groups=GROUPS)),
    lambda reader: reader.counters("acme", WHOLE_TENANT, Needs(DAYS, ALL, by_quarter=True)),
    lambda reader: reader.counters("acme", Scope("sequence", "a"), Needs(DAYS)),
    lambda reader: reader.known_ids("acme", "sequence", None, 10),
)
"""All that the API reads of a tenant."""


async def read_while_it_moves(cluster: ValkeyCluster, writer: Writer) -> list[str]:
    """Read when each key has moved alone, when it was left alone, and before any. Returns: what was wrong.

    Each in one call, and what takes most in pieces too.
    """
    client = connect(ApiSettings(redis_url=cluster.url, redis_cluster=True))
    readers = CounterReader(client), CounterReader(client, at_once=IN_PIECES)
    wrong, refused = [], 0
    try:
        whole = [await read(readers[0]) for read in READS]
        asked = [*zip(READS, whole, repeat(readers[0])), (READS[0], whole[0], readers[1])]
        move = cluster.move_of(writer.lane())
        keys = set(move.keys(move.source))
        move.begin()
        for read, right, reader in asked:
            assert await read(reader) == right, "a key is needed that there need not be"
        move.end()
        move = move.back()
        for key in sorted(keys):
            for moved in ({key}, keys - {key}):
                move.begin()
                move.move(moved)
                for read, right, reader in asked:
                    try:
                        if await read(reader) != right:
                            wrong.append(f"{key!r} {'had moved' if moved == {key} else 'was left'} alone")
                    except ApiError as error:
                        refused += error.code is UNAVAILABLE
                move.end()
                move = move.back()
    finally:
        await readers[0].close()
    assert refused, "what is read was away"
    return wrong


def test_all_is_read_or_nothing() -> None:
    """Counters of several blocks of days and two families, wide ones and others, and known ids.

    Two blocks that follow each other are all wide, and the next has no wide ones.
    """
    with valkey_cluster(PATIENT_MS) as cluster, cluster.client() as client:
        writer = Writer(client, lanes=1)
        writer.go_live()
        wide = [Counted(midnight(DAY) + at * QUARTER, "sent", 2, sequence="a") for at in range(96)]
        other = [Counted(midnight(DAY - days), "opened_human", sequence="b") for days in (1, 9)]
        wide += [replace(each, field="delayed", at=each.at - timedelta(days=15)) for each in wide]
        first = DAY // BLOCK_DAYS * BLOCK_DAYS + BLOCK_DAYS
        whole = [replace(wide[at], at=midnight(first) + at * QUARTER) for at in range(96)]
        wide += [replace(each, at=each.at + timedelta(days=day)) for each in whole for day in range(8)]
        narrow = [Counted(midnight(day), "opened", sequence="b") for day in (DAY - 5, first + 12)]
        writer.write([*wide, *other, *narrow])
        wrong = asyncio.run(read_while_it_moves(cluster, writer))
        assert not wrong, "; ".join(wrong[:3])
