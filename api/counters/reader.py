"""Reads counters from Redis. What cannot be read for certain is unavailable; it is never a zero.

Redis is a view that may be wiped, rolled back or rebuilt under us. So each answer reads the record of the
generations, and in one atomic read of the tenant's lane (`read.lua`) what the lane says of itself together
with the numbers: they are used only where both agree. The known ids are read likewise (`ids.lua`).

Both go in one round trip: the lane is that of the generation that was live when we last looked. Where that
is no longer the live one, its numbers are dropped and the lane of the live one is read. (A name goes live
once: what was live before the lane was read and is live at the time of the request was so in between.)
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final, cast

import msgspec
import structlog
from anyio import to_thread
from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError

from api.counters.closed_lanes import ClosedLanes
from api.counters.round_trips import AT_ONCE, REDIS_ERRORS, Command, Reply, RoundTrips
from api.errors import RANGE_TOO_LARGE, UNAVAILABLE, ApiError
from api.query.freshness import complete_through
from api.query.hours import Cells, unpack_cells
from schemas.counters import Generation, Record
from schemas.redis_keys import (
    SEQUENCES,
    TEMPLATES,
    TENANT_SCOPE,
    lane_key,
    lane_of,
    safe_id,
    sequence_scope,
    template_scope,
)
from schemas.shared.redis_errors import describe
from schemas.shared.settings import RedisSettings

log = structlog.get_logger(__name__)


class Script:
    """A Lua script and the name by which Redis knows it."""

    def __init__(self, name: str) -> None:
        self.text = files("api.counters").joinpath(name).read_text("utf-8")
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


READ: Final = Script("read.lua")
IDS: Final = Script("ids.lua")

KNOWN_SETS: Final[Mapping[str, str]] = {"sequence": SEQUENCES, "template": TEMPLATES}
GROUP_FIELDS: Final[Mapping[str, bytes]] = {"sequence": sequence_scope(""), "template": template_scope("")}
"""By what the API groups: the set of its known ids, and how its fields in a day's counters begin."""

MAX_GROUP_FIELDS: Final = 50_000
"""Scopes of days that one answer may look through for its groups: more would hold up Redis and us."""

TIMEOUT_S: Final = 2.0
ATTEMPTS: Final = 3
"""Reads of a lane for one answer: the generation may change between two of them."""


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
        return cls(sequence_scope(sequence), SEQUENCES, sequence)

    @classmethod
    def template(cls, template: str) -> "Scope":
        """The mails of one template."""
        return cls(template_scope(template), TEMPLATES, template)


@dataclass(frozen=True, slots=True)
class Counters:
    """One read of a lane.

    known: whether a fact was ever counted for the scope; days: for each day since 1970 that has any,
    its counts; partitions: for each known partition the time (ms) up to which it is counted, None
    where it has none yet; groups: for each id of the groups that were wanted, its days.
    """

    known: bool
    days: dict[int, Cells]
    partitions: dict[int, int | None]
    groups: dict[str, dict[int, Cells]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KnownIds:
    """The ids for which a fact was ever counted, in no order; partitions: as in `Counters`."""

    ids: list[bytes]
    partitions: dict[int, int | None]


def connect(settings: RedisSettings) -> "Redis | RedisCluster":
    """A client for the Redis of the settings; it connects when it is first used.

    One retry, at once: a pooled connection may have been closed by the other side, and reads may repeat.
    """
    options: dict[str, Any] = {
        "socket_timeout": TIMEOUT_S,
        "socket_connect_timeout": TIMEOUT_S,
        "retry": Retry(NoBackoff(), 1),
        **settings.redis_tls(),
    }
    url, others = settings.redis_nodes
    if settings.redis_cluster:
        nodes = [ClusterNode(host, port) for host, port in others]
        return RedisCluster.from_url(url, startup_nodes=nodes, max_connections=AT_ONCE, **options)
    pool = BlockingConnectionPool.from_url(url, max_connections=AT_ONCE, timeout=TIMEOUT_S, **options)
    return Redis.from_pool(pool)


def _pairs(flat: list[Any]) -> Iterable[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _partitions(fields: list[bytes]) -> dict[int, int | None]:
    """For each partition with a checkpoint or a time, its time."""
    times = {bytes(name): int(value) for name, value in _pairs(fields)}
    return {int(name[1:]): times.get(b"c" + name[1:]) for name in times}


def _counters(reply: list[Any]) -> Counters:
    """Decode the numbers of the reply of `read.lua`.

    Raises: ValueError where a counter is damaged; ApiError where the groups are too many.
    """
    known, fields, packed_counters, by_day = reply
    if by_day is None:
        raise ApiError(
            RANGE_TOO_LARGE,
            f"The range has more than {MAX_GROUP_FIELDS:,} days of groups. Ask for a shorter one.",
            "from",
        )
    groups: dict[str, dict[int, Cells]] = {}
    for day, scopes in _pairs(by_day):
        for scope, packed_counter in _pairs(scopes):
            groups.setdefault(scope[1:].decode(), {})[int(day)] = unpack_cells(packed_counter)
    return Counters(
        known == 1,
        {int(day): unpack_cells(packed_counter) for day, packed_counter in _pairs(packed_counters)},
        _partitions(fields),
        groups,
    )


def _nothing() -> None:
    """Nobody to judge."""


class Reader:
    """Reads on behalf of the routes.

    All reads raise ApiError UNAVAILABLE where no sure answer is to be had: the client comes again. Where they
    take `on_live`, it is called once, as soon as there is a live generation and before anything that is said
    of its lane; what it raises ends the read.
    """

    def __init__(self, client: "Redis | RedisCluster", clock_s: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._trips = RoundTrips(client)
        self._closed_lanes = ClosedLanes(clock_s)
        self._last_raw: bytes | None = None
        self._last_record = Record(())
        self._last_live: Generation | None = None
        self._trouble = ""

    async def live(self) -> Generation:
        """The record of the live generation."""
        said, _ = await self._ask()
        return self._live(said)

    async def counters(
        self,
        tenant: str,
        scope: Scope,
        days: range,
        group_by: str | None = None,
        on_live: Callable[[], None] = _nothing,
    ) -> Counters:
        """The counters of a scope on some days, from the tenant's lane of the live generation.

        group_by: `sequence` or `template` for the counters of each of them too.
        Raises: ApiError RANGE_TOO_LARGE where those are too many.
        """
        group = b"" if group_by is None else GROUP_FIELDS[group_by]
        scoped = (scope.field, scope.known_set, scope.id, days.start, days.stop - 1, group, MAX_GROUP_FIELDS)
        reply = await self._read(READ, tenant, scoped, on_live)
        try:
            # Groups may be many, and taking them apart takes a while: other requests go on meanwhile.
            counters = await to_thread.run_sync(_counters, reply) if group else _counters(reply)
        except ValueError as error:
            raise self._unavailable("The counters are damaged.", error) from error
        self._well()
        return counters

    async def known_ids(self, tenant: str, kind: str, on_live: Callable[[], None] = _nothing) -> KnownIds:
        """The ids of a tenant's sequences or templates. kind: `sequence` or `template`."""
        fields, ids = await self._read(IDS, tenant, (KNOWN_SETS[kind],), on_live)
        try:
            known = KnownIds(list(ids), _partitions(fields))
        except ValueError as error:
            raise self._unavailable("The counters are damaged.", error) from error
        self._well()
        return known

    async def partitions(self) -> dict[int, int | None]:
        """For each known partition up to when (ms) all lanes are counted; None where one has no such time.

        Raises: ApiError UNAVAILABLE also where one lane alone cannot be read.
        """
        live = await self.live()
        lanes = await asyncio.gather(*(self._lane(live, number) for number in range(live.lanes)))
        known = {partition for lane in lanes for partition in lane}
        return {
            partition: complete_through({number: lane.get(partition) for number, lane in enumerate(lanes)})
            for partition in sorted(known)
        }

    async def _lane(self, live: Generation, number: int) -> dict[int, int | None]:
        _, fields = await self._ask("HGETALL", lane_key(live.name, number))
        if isinstance(fields, REDIS_ERRORS) or fields.get(b"generation") != live.name.encode():
            raise ApiError(UNAVAILABLE, f"Lane {number} of the live generation cannot be read.")
        times = [pair for pair in fields.items() if pair[0][:1] in (b"f", b"c") and pair[0][1:].isdigit()]
        try:
            return _partitions([part for pair in times for part in pair])
        except ValueError as error:
            raise ApiError(UNAVAILABLE, f"Lane {number} of the live generation is damaged.") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _read(
        self, script: Script, tenant: str, scoped: Command, on_live: Callable[[], None]
    ) -> list[Any]:
        """Call a script on the tenant's lane of the live generation."""
        held = self._last_live or await self.live()
        lost = False
        for attempt in range(ATTEMPTS):
            lane = lane_key(held.name, lane_of(tenant, held.lanes))
            arguments = (1, lane, held.name, safe_id(tenant), *scoped)
            said, reply = await self._ask("EVALSHA_RO", script.sha, *arguments)
            if isinstance(reply, NoScriptError):
                said, reply = await self._ask("EVAL_RO", script.text, *arguments)
            live = self._live(said)
            if attempt == 0:
                on_live()
            if isinstance(reply, REDIS_ERRORS):
                raise self._unavailable("Redis cannot be read.", reply) from reply
            if reply is not None and live == held:
                retired, succeeded, *numbers = reply
                if retired is None or self._closed_lanes.may_be_read(
                    self._last_record, said[1], retired, succeeded=succeeded == 1
                ):
                    return cast("list[Any]", numbers)
                lost = True
            held = live
        if lost:
            raise self._unavailable("The live generation is closed, and no switch is under way.")
        raise self._unavailable("The counters are not those of the live generation.")

    async def _ask(self, *command: str | bytes | int) -> Reply:
        try:
            return await self._trips.ask(command)
        except REDIS_ERRORS as error:
            raise self._unavailable("Redis cannot be read.", error) from error

    def _live(self, said: Any) -> Generation:
        """The live generation, of the record and the lease as they were read."""
        if isinstance(said, REDIS_ERRORS):
            raise self._unavailable("Redis cannot be read.", said) from said
        raw = said[0]
        if raw is None:
            raise self._unavailable("There is no live generation of counters.")
        if raw != self._last_raw:
            try:
                self._last_record = msgspec.json.decode(raw, type=Record)
            except msgspec.MsgspecError as error:
                raise self._unavailable("The record of the generations cannot be read.", error) from error
            self._last_raw = raw
        live = self._last_record.live
        if live is None:
            raise self._unavailable("There is no live generation of counters.")
        if not live.is_readable:
            raise self._unavailable(
                "The live generation has a layout or kinds of events that this version does not know."
            )
        self._last_live = live
        return live

    def _unavailable(self, reason: str, error: Exception | None = None) -> ApiError:
        """The error to raise; logged when the trouble is a new one, not for each request that meets it."""
        if self._trouble != reason:
            self._trouble = reason
            why = {"why": describe(error), "error": str(error)} if error else {}
            log.warning("no answers from redis", reason=reason, **why)
        return ApiError(UNAVAILABLE, f"{reason} Try again later.")

    def _well(self) -> None:
        if self._trouble:
            log.info("answers from redis again", after=self._trouble)
            self._trouble = ""
