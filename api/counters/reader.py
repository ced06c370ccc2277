"""Reads counters from Redis. What cannot be read for certain is unavailable; it is never a zero.

Redis is a view that may be wiped, rolled back or rebuilt under us. So each answer reads the record of the
generations, and of the tenant's lane at one moment (`read.lua`) what the lane says of itself together with
the numbers: they are used only where both agree. The known ids are read likewise (`ids.lua`). What would
hold Redis up is read in pieces (`api.counters.long.pieces`), still of one moment.

Both go in one round trip: the lane is that of the generation that was live when we last looked. Where that
is no longer the live one, its numbers are dropped and the lane of the live one is read. (A name goes live
once: what was live before the lane was read and is live at the time of the request was so in between.)
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

import msgspec
import structlog
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import NoScriptError

from api.counters.closed_lanes import ClosedLanes
from api.counters.exchange import REDIS_ERRORS, Command
from api.counters.long.asked import AT_ONCE as FIELDS_AT_ONCE
from api.counters.long.asked import Asked, together
from api.counters.long.pieces import Pieces, Place
from api.counters.pace import AT_ONCE, Pace
from api.counters.replies import Counters, StoredIds, counters_of, partitions_of, totals_of
from api.counters.round_trips import Reply, RoundTrips
from api.counters.scripts import IDS, READ, Script
from api.errors import INVALID_PARAMETER, UNAVAILABLE, ApiError
from api.query.query import Needs
from schemas.counters import Generation, Record
from schemas.kinds import FAMILIES
from schemas.redis_keys import TENANT_SCOPE, lane_key, lane_of, member_of_id, safe_id
from schemas.shared.redis_errors import describe

log = structlog.get_logger(__name__)


PLACES: Final = {family: place for place, family in enumerate(FAMILIES)}
"""Of the families of kinds, in Redis."""

ATTEMPTS: Final = 3
"""Reads of a lane for one answer: the generation may change between two of them."""

TOO_MUCH: Final = 0
"""What `read.lua` says where it would have to look at more than one call may."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose numbers are asked for. name: of the scope, which need not be one; none: the tenant. id: raw."""

    name: str | None
    id: str = ""


WHOLE_TENANT: Final = Scope(None)
"""All mails of the tenant. Always known."""


def _nothing() -> None:
    """Nothing is to be checked then."""


def _scope_bytes(live: Generation, name: str | None) -> bytes:
    """A scope as the scripts are told it; nothing where the generation does not count it."""
    number = TENANT_SCOPE if name is None else live.scope_number(name)
    return b"" if number is None else member_of_id(number, "")


class CounterReader:
    """Reads on behalf of the routes.

    All reads raise ApiError UNAVAILABLE where no sure answer is to be had: the client comes again. Where they
    take `on_live`, it is called once, as soon as there is a live generation and before anything that is said
    of its lane; what it raises ends the read.
    """

    def __init__(
        self,
        client: "Redis | RedisCluster",
        clock_s: Callable[[], float] = time.monotonic,
        at_once: int = FIELDS_AT_ONCE,
    ) -> None:
        """at_once: fields that one call may have Redis look at."""
        self._client = client
        self._at_once = at_once
        self._trips = RoundTrips(client)
        self._pieces = Pieces(client, at_once)
        self._closed_lanes = ClosedLanes(clock_s)
        self._last_raw: bytes | None = None
        self._last_record = Record(())
        self._last_live: Generation | None = None
        self._readable: Generation | None = None
        self._trouble = ""

    async def live(self) -> Generation:
        """The record of the live generation."""
        return (await self.ask())[0]

    async def ask(self, *command: str | bytes | int) -> tuple[Generation, Any]:
        """The live generation, and the reply to a command that was asked with it, which may be an error."""
        said, reply = await self._ask(*command)
        return self._live(said), reply

    async def counters(
        self,
        tenant: str,
        scope: Scope,
        needs: Needs,
        on_live: Callable[[], None] = _nothing,
        pace: Pace = AT_ONCE,
    ) -> Counters:
        """The counters of a scope, from the tenant's lane of the live generation.

        pace: of the reading, and of taking apart what was read.

        A generation that has not our kinds in our families is not read at all: a field that it does not count
        would be answered as zero, and one that it numbers otherwise as another.

        Raises: ApiError INVALID_PARAMETER where groups are wanted of what is no scope, RANGE_TOO_LARGE where
        those are too many.
        """
        groups = needs.groups
        async with pace.step():
            live, reply = await self._counted(tenant, scope, needs, on_live)
        if groups is not None and groups.scope not in live.scopes:
            raise ApiError(
                INVALID_PARAMETER, f"`group_by` must be one of {', '.join(live.scopes)}.", "group_by"
            )
        unpack = partial(counters_of, reply, needs.families, by_quarter=needs.by_quarter)
        try:
            counters = await pace.run(unpack)
        except ValueError as error:
            raise self._unavailable("The counters are damaged.", error) from error
        self._well()
        return counters

    async def totals(self, tenant: str, needs: Needs) -> dict[str, int]:
        """The counts of a whole tenant over whole days: for each field of the families its sum.

        Nothing of it is kept: who asks for one tenant after the other must not crowd out what answers are
        made of.
        """
        _, reply = await self._counted(tenant, WHOLE_TENANT, needs, _nothing)
        try:
            return totals_of(reply, needs.families)
        except ValueError as error:
            raise self._unavailable("The counters are damaged.", error) from error

    async def _counted(
        self, tenant: str, scope: Scope, needs: Needs, on_live: Callable[[], None]
    ) -> tuple[Generation, list[Any]]:
        """The generation, and the reply of `read.lua`."""
        groups = needs.groups
        days = together(needs.days)
        places = bytes(PLACES[family] for family in needs.families)
        group_days = range(0) if groups is None else groups.days

        def asked(live: Generation) -> Asked:
            group = b"" if groups is None else _scope_bytes(live, groups.scope)
            named = _scope_bytes(live, scope.name)
            wanted = named and named + scope.id.encode()
            return Asked(wanted, days, places, needs.by_quarter, group, group_days)

        return await self._read(READ, tenant, asked, on_live)

    async def known_ids(
        self,
        tenant: str,
        scope: str | None,
        after: str | None,
        number: int,
        on_live: Callable[[], None] = _nothing,
    ) -> StoredIds:
        """Known ids of a tenant's scope, and which scopes there are.

        scope: none: the scopes alone. after: the id after which they begin. number: how many at most.
        """

        def scoped(live: Generation) -> Command:
            return (b"" if scope is None else _scope_bytes(live, scope), after or "", number)

        live, (fields, ids) = await self._read(IDS, tenant, scoped, on_live)
        try:
            known = StoredIds(live.scopes, [raw.decode() for raw in ids], partitions_of(fields))
        except ValueError as error:
            raise self._unavailable("The counters are damaged.", error) from error
        self._well()
        return known

    async def close(self) -> None:
        """Close the connections."""
        await self._trips.close()
        await self._client.aclose()

    async def _read(
        self,
        script: Script,
        tenant: str,
        scoped: Callable[[Generation], Command | Asked],
        on_live: Callable[[], None],
    ) -> tuple[Generation, list[Any]]:
        """Call a script on the tenant's lane of the live generation.

        scoped: further arguments, or what is asked, which depend on the scopes of that.
        Returns: the generation, and the script's numbers.
        """
        held = self._last_live or await self.live()
        lost = False
        for attempt in range(ATTEMPTS):
            place = Place(lane_key(held.name, lane_of(tenant, held.lanes)), held.name, safe_id(tenant))
            asked = scoped(held)
            arguments = asked.whole(self._at_once) if isinstance(asked, Asked) else asked
            said, reply = await self._call(script, place, arguments)
            live = self._live(said)
            if attempt == 0:
                on_live()
            if reply == TOO_MUCH and live == held and isinstance(asked, Asked):
                reply = await self._pieces.read(place, asked)
                if reply is None:
                    said, reply = await self._call(script, place, asked.whole(None))
                    live = self._live(said)
            if isinstance(reply, REDIS_ERRORS):
                raise self._unavailable("Redis cannot be read.", reply) from reply
            if reply is not None and live == held:
                retired, succeeded, *numbers = reply
                if retired is None or self._closed_lanes.may_be_read(
                    self._last_record, said[1], retired, succeeded=succeeded == 1
                ):
                    return held, cast("list[Any]", numbers)
                lost = True
            held = live
        if lost:
            raise self._unavailable("The live generation is closed, and no switch is under way.")
        raise self._unavailable("The counters are not those of the live generation.")

    async def _call(self, script: Script, place: Place, arguments: Command) -> Reply:
        said, reply = await self._ask("EVALSHA_RO", script.sha, *place.head, *arguments)
        if isinstance(reply, NoScriptError):
            said, reply = await self._ask("EVAL_RO", script.text, *place.head, *arguments)
        return said, reply

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
        if raw == self._last_raw and self._readable is not None:
            return self._readable
        self._readable = None
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
            raise self._unavailable(f"The live generation {live.foreign}.")
        self._last_live = self._readable = live
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
