"""Reads counters from Redis. What cannot be read for certain is unavailable; it is never a zero.

Redis is a view that may be wiped, rolled back or rebuilt under us. So each answer reads the name of the
live generation first, and then, in one atomic read of the tenant's lane (`read.lua`), the lane's own
name together with the numbers: they are used only where both names agree.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, cast

import msgspec
import structlog
from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisClusterException, RedisError

from api.errors import UNAVAILABLE, ApiError
from schemas.counters import (
    GENERATION_KEY,
    LAYOUT,
    TENANT_SCOPE,
    Generation,
    lane_key,
    lane_of,
    safe_id,
    sequence_scope,
    template_scope,
    unpack_bag,
)
from schemas.settings import RedisSettings

log = structlog.get_logger(__name__)

SCRIPT: Final = files("api").joinpath("read.lua").read_bytes()
SCRIPT_SHA: Final = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest()

REDIS_ERRORS: Final = (RedisError, RedisClusterException)
"""All that redis-py raises for a Redis in trouble; its cluster client has a family of its own."""

TIMEOUT_S: Final = 2.0
CONNECTIONS: Final = 64


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose numbers are asked for: field in the counters, set that must know the id, and the raw id."""

    field: bytes
    known_set: str = ""
    id: str = ""

    @classmethod
    def tenant(cls) -> "Scope":
        """All mails of the tenant. Always known."""
        return cls(TENANT_SCOPE)

    @classmethod
    def sequence(cls, sequence: str) -> "Scope":
        """The mails of one sequence."""
        return cls(sequence_scope(sequence), "s", sequence)

    @classmethod
    def template(cls, template: str) -> "Scope":
        """The mails of one template."""
        return cls(template_scope(template), "t", template)


@dataclass(frozen=True, slots=True)
class Counters:
    """One read of a lane.

    known: whether a fact was ever counted for the scope; days: for each day since 1970 that has any,
    the counts by cell; complete_through: for each partition the time (ms) up to which it is counted.
    """

    known: bool
    days: dict[int, list[int]]
    complete_through: dict[int, int]


def connect(settings: RedisSettings) -> "Redis | RedisCluster":
    """A client for the Redis of the settings; it connects when it is first used.

    One retry, at once: a pooled connection may have been closed by the other side, and reads may repeat.
    """
    options: dict[str, Any] = {
        "socket_timeout": TIMEOUT_S,
        "socket_connect_timeout": TIMEOUT_S,
        "retry": Retry(NoBackoff(), 1),
    }
    if settings.redis_cluster:
        return RedisCluster.from_url(settings.redis_url, max_connections=CONNECTIONS, **options)
    pool = BlockingConnectionPool.from_url(
        settings.redis_url, max_connections=CONNECTIONS, timeout=TIMEOUT_S, **options
    )
    return Redis.from_pool(pool)


def _counters(known: int, through: list[bytes], bags: list[bytes]) -> Counters:
    """Decode the reply of the script. Raises: ValueError where a counter is damaged."""
    days = {int(day): unpack_bag(bag) for day, bag in zip(bags[::2], bags[1::2], strict=True)}
    if any(min(counts) < 0 for counts in days.values()):
        raise ValueError("damaged counter: below zero")
    complete = {int(name[1:]): int(ms) for name, ms in zip(through[::2], through[1::2], strict=True)}
    return Counters(known == 1, days, complete)


class Reader:
    """Reads on behalf of the routes.

    Both reads raise ApiError UNAVAILABLE where no sure answer is to be had: the client comes again.
    """

    def __init__(self, client: "Redis | RedisCluster") -> None:
        self._client = client
        self._trouble = ""

    async def live(self) -> Generation:
        """The record of the live generation."""
        try:
            raw = await self._client.get(GENERATION_KEY)
        except REDIS_ERRORS as error:
            raise self._unavailable("Redis cannot be read.", error) from error
        if raw is None:
            raise self._unavailable("There is no live generation of counters.")
        try:
            generation = msgspec.json.decode(raw, type=Generation)
        except msgspec.MsgspecError as error:
            raise self._unavailable("The record of the live generation cannot be read.", error) from error
        if generation.layout != LAYOUT or generation.lanes < 1:
            raise self._unavailable("The live generation has a layout that this version does not know.")
        return generation

    async def counters(self, live: Generation, tenant: str, scope: Scope, days: range) -> Counters:
        """The counters of a scope on some days, where the tenant's lane is still of the live generation.

        A lane of another name may mean that a new generation went live since `live` was read: then the
        record is read once more, and after that no more.
        """
        reply = await self._read_lane(live, tenant, scope, days)
        if reply is None:
            reply = await self._read_lane(await self.live(), tenant, scope, days)
        if reply is None:
            raise self._unavailable("The counters are not those of the live generation.")
        try:
            counters = _counters(*reply)
        except ValueError as error:
            raise self._unavailable("The counters are damaged.", error) from error
        self._well()
        return counters

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _read_lane(
        self, generation: Generation, tenant: str, scope: Scope, days: range
    ) -> tuple[int, list[bytes], list[bytes]] | None:
        arguments: tuple[str | bytes | int, ...] = (
            lane_key(generation.name, lane_of(tenant, generation.lanes)),
            generation.name,
            safe_id(tenant),
            scope.field,
            scope.known_set,
            scope.id,
            days.start,
            days.stop - 1,
        )
        try:
            try:
                reply = await self._client.evalsha_ro(SCRIPT_SHA, 1, *arguments)
            except NoScriptError:
                reply = await self._client.eval_ro(SCRIPT.decode(), 1, *arguments)
        except REDIS_ERRORS as error:
            raise self._unavailable("Redis cannot be read.", error) from error
        return cast("tuple[int, list[bytes], list[bytes]] | None", reply)

    def _unavailable(self, reason: str, error: Exception | None = None) -> ApiError:
        """The error to raise; logged when the trouble is a new one, not for each request that meets it."""
        if self._trouble != reason:
            self._trouble = reason
            log.warning("no answers from redis", reason=reason, error=str(error) if error else None)
        return ApiError(UNAVAILABLE, f"{reason} Try again later.")

    def _well(self) -> None:
        if self._trouble:
            log.info("answers from redis again", after=self._trouble)
            self._trouble = ""
