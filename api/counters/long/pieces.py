"""Long reads, cut into short calls so that Redis serves others in between, and still of one moment.

Law: **what is read is what all of it was at the moment of the last call.** Each key is watched (`WATCH`)
before it is read, on the same connection, and the last call goes in a transaction (`MULTI`, `EXEC`): Redis
does it only where no watched key was written since, by whatever (counting, an erasure, a wipe, a copy that is
loaded).

Counting goes on meanwhile. What it writes is new, mostly: so the newest blocks are what the last call reads,
and need not be watched. Where something before them was written, all is read again, with more in the last
call each time; after that all must be read in one call. That holds others up, but an answer that never comes
is worse.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from redis.asyncio import Redis, RedisCluster

from api.counters.exchange import REDIS_ERRORS
from api.counters.long.asked import Asked, Block, Piece, blocks_of, within
from api.counters.long.watched import Command, Watched, watched
from api.counters.replies import MAX_GROUP_FIELDS
from api.counters.scripts import READ
from schemas.redis_keys import (
    block_of_member,
    counters_key,
    known_key,
    member_of_block,
    wide_counters_key,
)

log = structlog.get_logger(__name__)

LAST: Final = (1, 4, 16)
"""How many times as many fields the last call looks at, try by try."""

A_PAGE: Final = 1_000
"""Names of blocks, or their sizes, that are asked for together."""

CONNECTIONS: Final = 2
"""Long reads under way; each has a connection of its own."""

LOOKED_THROUGH: Final = 8 * MAX_GROUP_FIELDS
"""Fields that are looked through for groups at most, as in `read.lua`."""

END: Final = b"0"
"""The cursor at the begin and at the end of a scan."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tenant's counters are. lane: its key; generation: its name; tenant: made safe."""

    lane: str
    generation: str
    tenant: str

    @property
    def head(self) -> Command:
        """The first arguments of the scripts."""
        return (1, self.lane, self.generation, self.tenant)


class Pieces:
    """All long reads of one application."""

    def __init__(self, client: "Redis | RedisCluster", at_once: int) -> None:
        """at_once: fields that a call may look at."""
        self._client = client
        self._at_once = at_once
        self._room = asyncio.Semaphore(CONNECTIONS)

    async def read(self, place: Place, asked: Asked) -> list[Any] | None:
        """What `read.lua` would say if it were asked for all at once.

        Returns: None where it must be: too much was written meanwhile, or something is wrong, which that
        call will say.
        """
        async with self._room:
            try:
                for times in LAST:
                    async with watched(self._client, place.lane) as connection:
                        reading = _Reading(connection, place, asked, self._at_once)
                        reply = await reading.reply(times * self._at_once)
                    if reply is not None:
                        return reply
                why = "it was written all the time"
            except REDIS_ERRORS as error:
                why = str(error)
        log.info("a long read is done in one call", lane=place.lane, why=why)
        return None


@dataclass(slots=True)
class _Reading:
    """One try. by_family, groups: what was read by now, as `read.lua` says it."""

    connection: Watched
    place: Place
    asked: Asked
    at_once: int
    by_family: list[list[Any]] = field(init=False)
    groups: dict[int, dict[bytes, bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.by_family = [[] for _ in self.asked.places]

    async def reply(self, last: int) -> list[Any] | None:
        """As `Pieces.read`. last: fields of the last call."""
        blocks = await self._sized(await self._blocks())
        too_many = sum(block.size for block in blocks) > LOOKED_THROUGH
        *before, newest = self.asked.pieces(blocks, self.at_once, last)
        for piece in () if too_many else before:
            if not await self._read(piece):
                return None
            if self._has_too_many_groups:
                break
        said = await self.connection.at_last(self._command(newest, last))
        if not said:
            return None
        retired, succeeded, is_known, partitions = self._take(said)
        too_many = too_many or said[5] is None or self._has_too_many_groups
        by_block = None if too_many else _flat(self.groups)
        return [retired, succeeded, is_known, partitions, self.by_family, by_block]

    @property
    def _has_too_many_groups(self) -> bool:
        return sum(map(len, self.groups.values())) > MAX_GROUP_FIELDS

    async def _blocks(self) -> list[Block]:
        """The blocks that there are. Which they are is watched."""
        known = known_key(self.place.lane, self.place.tenant)
        await self.connection.ask(("WATCH", known))
        found = []
        for days in self.asked.days:
            of = blocks_of(days)
            first, last = b"[" + member_of_block(of[0]), b"[" + member_of_block(of[-1])
            while True:
                [members] = await self.connection.ask(("ZRANGEBYLEX", known, first, last, "LIMIT", 0, A_PAGE))
                numbers = map(block_of_member, members)
                found += [Block(number, within(days, number)) for number in numbers]
                if len(members) < A_PAGE:
                    break
                first = b"(" + members[-1]
        return found

    async def _sized(self, blocks: list[Block]) -> list[Block]:
        """Blocks with their sizes, where ids are wanted. They may grow: they only say how to cut."""
        wanted = [at for at, block in enumerate(blocks) if self.asked.has_groups(block.number)]
        for some in (wanted[at : at + A_PAGE] for at in range(0, len(wanted), A_PAGE)):
            sizes = await self.connection.ask(*(("HLEN", self._keys(blocks[at])[0]) for at in some))
            for at, size in zip(some, sizes, strict=True):
                blocks[at] = blocks[at]._replace(size=size)
        return blocks

    def _keys(self, block: Block) -> tuple[str, str]:
        of = self.place.lane, self.place.tenant, block.number
        return counters_key(*of), wide_counters_key(*of)

    async def _read(self, piece: Piece) -> bool:
        """Watch a piece and read it. Returns: whether it is as it was when pieces were made."""
        watch: list[Command] = [("WATCH", *(key for block in piece.blocks for key in self._keys(block)))]
        cursor, is_begun = END, False
        while cursor != END or not is_begun:
            is_begun = True
            *_, said = await self.connection.ask(*watch, self._command(piece, self.at_once, cursor))
            watch = []
            if not said:
                return False
            self._take(said)
            cursor = said[6] if piece.is_part else END
        return True

    def _command(self, piece: Piece, at_once: int, cursor: bytes = END) -> Command:
        """The call for a piece, by the script's text: nobody may have flushed it then."""
        return ("EVAL_RO", READ.text, *self.place.head, *self.asked.piece(piece, at_once, cursor))

    def _take(self, said: list[Any]) -> list[Any]:
        """Keep the counters of a piece. Returns: what is before them."""
        *before, by_family, by_block = said[:6]
        for all_of, some in zip(self.by_family, by_family, strict=True):
            all_of.extend(some)
        for number, (fields, values) in zip((by_block or [])[::2], (by_block or [])[1::2], strict=True):
            self.groups.setdefault(number, {}).update(zip(fields, values, strict=True))
        return before


def _flat(groups: dict[int, dict[bytes, bytes]]) -> list[Any]:
    """Fields of blocks as `read.lua` says them."""
    return [
        part for block, fields in groups.items() for part in (block, [list(fields), list(fields.values())])
    ]
