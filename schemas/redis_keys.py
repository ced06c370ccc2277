"""The keys in Redis: every key that there is, what it holds, and how it is made. Nowhere else is one made.

A generation's tenants are spread over *lanes*; all keys of a lane begin with the lane's key
`{generation:lane}`, whose braces put them into one hash slot, so that one script call may touch them all on a
Redis Cluster too. **The rule for scripts**: a script is given LANE (or a key without a lane) as its key, and
makes the others by LANE, a colon, and what stands here.

    {ses-metrics}:generations  string  JSON of `schemas.counters.Record`: each generation that there is, and
                                    its state. `aggregator/counters/record.lua` alone writes it
    {ses-metrics}:lease       string  token of the rebuild that runs; expires within seconds of its death
    LANE = {generation:lane}  hash  `generation`, `rules` (fingerprint, and which erasures it has taken in:
                                    `aggregator/counters/lanes.py`), and for each partition
                                    `f<partition>`, the checkpoint (next offset; none is 0), and
                                    `c<partition>`, complete-through (ms); `retired`, `successor` and
                                    `barred`: see `aggregator/counters/lane.lua`
    LANE:n                    set   the tenants (made safe) that have counters
    LANE:i:TENANT             zset  what is known of a tenant, all of score 0, so in the order of bytes:
                                    SCOPE id for each known id, and 0 BLOCK for each block with counters
    LANE:c:TENANT:BLOCK       hash  the counters of `BLOCK_DAYS` days: DAYFAMILY SCOPE id -> packed counter
                                    (`schemas.packed_counter`), or `IS_WIDE`
    LANE:w:TENANT:BLOCK       hash  DAYFAMILY SCOPE id -> packed counter of more than 64 bytes
    LANE:m:HORIZON:SENDDAY    string  sizes of the message state's layers, and the entries in the last one
    LANE:m:HORIZON:SENDDAY:LAYER:BUCKET  hash  message state: 6-byte id -> decimal state

The last two expire; see `aggregator/counters/apply.lua`, which alone writes below LANE. The database is ours
alone.
TENANT is the tenant made safe by `safe_id`; raw ids only ever stand in hash fields, set members and values.
Days are UTC's, since 1970. BLOCK is the day divided by `BLOCK_DAYS`, and DAYFAMILY a byte: the day's place
in its block, and `BLOCK_DAYS` times the place of the family in the generation's record. SCOPE is a byte: 0 is
the tenant itself, whose id is empty, others are numbered from 1 in the order of the generation's record.
BLOCK as a member is four bytes, the highest first, from `FIRST_BLOCK` on.

Why blocks: a key costs Redis some 80 bytes beside what is in it, more than the counters of a small tenant's
day. Why not more days in one: a compact hash is looked through from its start, and is none beyond 512 fields.
Why wide ones apart: a hash with one value of more than 64 bytes (`hash-max-listpack-value`) is no compact
one, and each of its fields costs some 40 bytes more.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import quote, unquote
from zlib import crc32

RECORD_KEY: Final = "{ses-metrics}:generations"
LEASE_KEY: Final = "{ses-metrics}:lease"

FORMER_KEY: Final = "ses-metrics:generation"
"""Where versions before the record of all generations kept the live one. It is reported, and never read."""

FORMER_KEYS: Final = (FORMER_KEY, "ses-metrics:rebuild", "ses-metrics:rebuild:lease")
"""All that those versions kept beside their counters."""

TENANT_SCOPE: Final = 0
"""The scope that is the tenant itself; its id is empty."""

BLOCK_DAYS: Final = 4
FIRST_BLOCK: Final = -(2**31)

IS_WIDE: Final = b"\xfe"
"""Stands for a packed counter that is in the hash of the wide ones. No packed counter begins so."""

FAMILIES_MAX: Final = 256 // BLOCK_DAYS
"""What the byte of day and family has room for."""

_LANE: Final = re.compile(rb"\{([^:{}]+):\d+\}", re.ASCII)


def safe_id(raw: str) -> str:
    """A tenant id as it may stand in a Redis key: percent-encoded, so without `{`, `}` and `:`."""
    return quote(raw, safe="@")


def unsafe_id(safe: str) -> str:
    """The tenant id that `safe_id` made safe."""
    return unquote(safe)


def lane_of(tenant: str, lanes: int) -> int:
    """The lane (0 to `lanes` - 1) in which a tenant's keys live."""
    return crc32(tenant.encode()) % lanes


def lane_key(generation: str, lane: int) -> str:
    """The key of a lane's hash, with which all other keys of the lane begin."""
    return f"{{{generation}:{lane}}}"


def tenants_key(lane: str) -> str:
    """The key of the tenants of a lane that have counters. lane: the lane's key."""
    return f"{lane}:n"


def known_key(lane: str, tenant: str) -> str:
    """The key of what is known of a tenant. lane: the lane's key. tenant: made safe."""
    return f"{lane}:i:{tenant}"


def counters_key(lane: str, tenant: str, block: int) -> str:
    """The key of the counters of a block of days. lane: the lane's key. tenant: made safe."""
    return f"{lane}:c:{tenant}:{block}"


def wide_counters_key(lane: str, tenant: str, block: int) -> str:
    """The key of those of them that are wide. Arguments: as `counters_key`."""
    return f"{lane}:w:{tenant}:{block}"


def generation_of(key: bytes) -> str | None:
    """The name of the generation whose key this is; none where it is no generation's."""
    match = _LANE.match(key)
    return None if match is None else match[1].decode(errors="replace")


def member_of_id(scope: int, raw: str) -> bytes:
    """The member of `known_key` that says that an id of a scope is known. scope: its number, from 1."""
    return bytes((scope,)) + raw.encode()


def member_of_block(block: int) -> bytes:
    """The member of `known_key` that says that a block of days has counters."""
    return b"\0" + (block - FIRST_BLOCK).to_bytes(4, "big")


ALL_BLOCKS: Final = (b"[\0", b"(\1")
"""Where such members stand in `known_key`, as `ZRANGEBYLEX` has it."""

ALL_IDS: Final = (b"[\1", b"+")
"""And where those of ids do (`member_of_id`)."""


def block_of_member(member: bytes) -> int:
    """The block of such a member."""
    return int.from_bytes(member[1:], "big") + FIRST_BLOCK


def days_of(block: int) -> range:
    """The days of a block."""
    return range(block * BLOCK_DAYS, (block + 1) * BLOCK_DAYS)


class CounterField(NamedTuple):
    """Whose counts a field of `counters_key` holds.

    day: since 1970. family: its place among the generation's. scope: its number. id: raw, of the scope.
    """

    day: int
    family: int
    scope: int
    id: bytes


def counter_field(day: int, family: int, scope: int, raw: str = "") -> bytes:
    """The field of a scope's counts of one day. Arguments: as in `CounterField`, but the id as text."""
    return bytes((day % BLOCK_DAYS + BLOCK_DAYS * family, scope)) + raw.encode()


def read_counter_field(block: int, field: bytes) -> CounterField:
    """What a field of a block stands for. Raises: ValueError where it is none."""
    if len(field) < 2:
        raise ValueError(f"damaged counter: {field!r} is no field")
    family, day = divmod(field[0], BLOCK_DAYS)
    return CounterField(block * BLOCK_DAYS + day, family, field[1], field[2:])
