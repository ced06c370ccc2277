"""One tenant's counters in calls that are short, so that Redis serves others in between: still of one moment.

Law, as of the API's long reads: **what is read is what all of it was at the moment of the last call.** Each
key is watched (`WATCH`) before it is read, on the same connection, and the last call goes in a transaction
(`MULTI`, `EXEC`): Redis does it only where no watched key was written since. redis-py says the same where the
connection was lost, and with it what was watched.

Counting goes on meanwhile. What it writes is new, mostly: so the newest blocks are what the last call reads,
and need not be watched. Where something before them was written, all is read again, with more in the last
call each time; after that all must be read in one call. That holds others up, but a proof that never comes
is worse: up to `IN_ONE_CALL`, for from 5 s on Redis refuses everybody (`BUSY`, `busy-reply-threshold`).
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import redis
import structlog
from redis.exceptions import RedisClusterException, WatchError

from aggregator.counters.connection import Client, translated
from aggregator.counters.snapshots.answer import SNAPSHOT, Held, Snapshot, snapshot_from
from aggregator.errors import StoreUnavailableError
from schemas.redis_keys import (
    ALL_BLOCKS,
    ALL_IDS,
    IS_WIDE,
    block_of_member,
    counters_key,
    known_key,
    wide_counters_key,
)
from schemas.shared.redis_errors import describe

log = structlog.get_logger(__name__)

AT_ONCE: Final = 1_000
"""Packed counters, or names, that one call reads at most: about two milliseconds of Redis."""

TRIES: Final = ((0, 1), (1, 4), (2, 16))
"""Of each try: how many of the newest blocks the last call reads, however large, and how many times `AT_ONCE`
it may read if more fit into it."""

IN_ONE_CALL: Final = 1_000_000
"""Packed counters that are read in one call if need be: one to three seconds."""

_LAST_BLOCK: Final = 2**31 - 1


class Wanted(NamedTuple):
    """Whose counters. lane: its key. tenant: made safe. first, last: blocks of days; none for all."""

    lane: str
    generation: str
    tenant: str
    first: int | None
    last: int | None

    def blocks(self, members: Iterable[bytes]) -> list[int]:
        """Those of blocks of the tenant that are wanted. members: of `known_key`, of all of them."""
        numbers = map(block_of_member, members)
        return [
            each
            for each in numbers
            if (self.first is None or self.first <= each) and (self.last is None or each <= self.last)
        ]


def read_in_pieces(client: Client, wanted: Wanted) -> Snapshot | None:
    """Read all that is wanted.

    Returns: none where it must be read in one call: too much was written meanwhile, or something is wrong,
    which that call will say.
    Raises: StoreUnavailableError where it is too much for that.
    """
    why = "it was written all the time"
    try:
        for newest, times in TRIES:
            with _server(client, wanted.lane).pipeline() as watching:
                try:
                    return _Reading(watching, wanted).read(newest, times * AT_ONCE)
                except WatchError:
                    continue
    except (redis.RedisError, RedisClusterException) as error:
        why = describe(error)
    with translated():
        size = _size(client, wanted)
    if size > IN_ONE_CALL:
        raise StoreUnavailableError(f"{size:,} counters of a tenant cannot be read at once: {why}")
    log.info("a tenant is read in one call", lane=wanted.lane, why=why)
    return None


def _size(client: Client, wanted: Wanted) -> int:
    """How many packed counters are wanted."""
    members: Any = client.zrangebylex(known_key(wanted.lane, wanted.tenant), *ALL_BLOCKS)
    keys = [counters_key(wanted.lane, wanted.tenant, block) for block in wanted.blocks(members)]
    sizes: list[Any] = [client.hlen(key) for key in keys]
    return sum(sizes)


def _server(client: Client, key: str) -> redis.Redis:
    """The server that has a key: in a cluster, what is watched is watched on one."""
    if isinstance(client, redis.Redis):
        return client
    node: Any = client.get_node_from_key(key)  # type: ignore[no-untyped-call]
    connection: redis.Redis = client.get_redis_connection(node)
    return connection


class _Reading:
    """One try. Every method raises redis.RedisError, and `read` WatchError."""

    def __init__(self, watching: Any, wanted: Wanted) -> None:
        """watching: a pipeline, which does what it is told at once while it watches."""
        self._redis = watching
        self._wanted = wanted

    def read(self, newest: int, at_last: int) -> Snapshot | None:
        """Try it. newest, at_last: as in `TRIES`. Returns: none where the lane is gone."""
        wanted = self._wanted
        known = known_key(wanted.lane, wanted.tenant)
        self._redis.watch(known)
        numbers = wanted.blocks(self._names(known, *ALL_BLOCKS))
        before = numbers[: len(numbers) - self._newest(numbers, newest, at_last)]
        blocks = [(number, self._counters(number)) for number in before]
        ids = [] if wanted.last is not None else list(self._names(known, *ALL_IDS))
        first = before[-1] + 1 if before else wanted.first
        last = _LAST_BLOCK if wanted.last is None else wanted.last  # the known ids are read already
        self._redis.multi()
        bounds = ("", "" if first is None else first, last)
        self._redis.eval_ro(SNAPSHOT, 1, wanted.lane, wanted.generation, *bounds, wanted.tenant)
        [answer] = self._redis.execute()
        if answer is None:
            return None
        found = snapshot_from(answer)
        return found._replace(held=[Held(blocks + found.held[0].blocks, ids)])

    def _newest(self, numbers: list[int], at_least: int, room: int) -> int:
        """How many blocks the last call reads."""
        found = 0
        for number in reversed(numbers):
            room -= self._redis.hlen(self._keys(number)[0])
            if room < 0 and found >= at_least:
                break
            found += 1
        return found

    def _keys(self, block: int) -> tuple[str, str]:
        of = self._wanted.lane, self._wanted.tenant, block
        return counters_key(*of), wide_counters_key(*of)

    def _counters(self, block: int) -> dict[bytes, bytes]:
        """The packed counters of a block, wide ones among them. They are watched."""
        keys = self._keys(block)
        self._redis.watch(*keys)
        found, wide = dict(self._fields(keys[0])), None
        for name, packed in found.items():
            if packed == IS_WIDE:
                wide = dict(self._fields(keys[1])) if wide is None else wide
                found[name] = wide.get(name, b"")  # which is damage, as in `snapshot.lua`
        return found

    def _fields(self, key: str) -> Iterator[tuple[bytes, bytes]]:
        """Of a hash that is written by nobody, or the try is in vain: each field, maybe more than once."""
        cursor, is_begun = 0, False
        while cursor or not is_begun:
            is_begun = True
            cursor, some = self._redis.hscan(key, cursor, count=AT_ONCE)
            yield from some.items()

    def _names(self, key: str, first: bytes, last: bytes) -> Iterator[bytes]:
        while True:
            members = self._redis.zrangebylex(key, first, last, 0, AT_ONCE)
            yield from members
            if len(members) < AT_ONCE:
                return
            first = b"(" + members[-1]
