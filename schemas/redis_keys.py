"""The keys in Redis: every key that there is, what it holds, and how it is made. Nowhere else is one made.

A generation's tenants are spread over *lanes*; all keys of a lane begin with the lane's key
`{generation:lane}`, whose braces put them into one hash slot, so that one script call may touch them all on a
Redis Cluster too. **The rule for scripts**: a script is given LANE (or a key without a lane) as its key, and
makes the others by LANE, a colon, and what stands here.

    {ses-metrics}:generations  string  JSON of `schemas.counters.Record`: each generation that there is, and
                                    its state. `aggregator/counters/record.lua` alone writes it
    {ses-metrics}:lease       string  token of the rebuild that runs; expires within seconds of its death
    LANE = {generation:lane}  hash  `generation`, `rules` (fingerprint), and for each partition
                                    `f<partition>`, the checkpoint (next offset; none is 0), and
                                    `c<partition>`, complete-through (ms); `retired`, `successor` and
                                    `barred`: see `aggregator/counters/lane.lua`
    LANE:n                    set   the tenants (made safe) that have counters
    LANE:d:TENANT             set   the days (since 1970, UTC) that have counters
    LANE:c:TENANT:DAY         hash  scope -> packed counter (`schemas.packed_counter`): the counts of that day
    LANE:s:TENANT             set   the known sequences (raw ids)
    LANE:t:TENANT             set   the known templates (raw ids)
    LANE:m:TENANT:SENDDAY     string  sizes of the message state's layers, and the entries in the last one
    LANE:m:TENANT:SENDDAY:LAYER:BUCKET  hash  message state: 6-byte id -> decimal state

The last two expire; see `aggregator/counters/apply.lua`, which alone writes below LANE. The database is ours
alone.
TENANT is the tenant made safe by `safe_id`; raw ids only ever stand in hash fields, set members and values.
"""

import re
from typing import Final
from urllib.parse import quote, unquote
from zlib import crc32

RECORD_KEY: Final = "{ses-metrics}:generations"
LEASE_KEY: Final = "{ses-metrics}:lease"

FORMER_KEY: Final = "ses-metrics:generation"
"""Where versions before the record of all generations kept the live one. It is reported, and never read."""

FORMER_KEYS: Final = (FORMER_KEY, "ses-metrics:rebuild", "ses-metrics:rebuild:lease")
"""All that those versions kept beside their counters."""

SEQUENCES: Final = "s"
TEMPLATES: Final = "t"
"""The sets of a tenant's known ids, as they are named in keys."""

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


def days_key(lane: str, tenant: str) -> str:
    """The key of the days that have counters. lane: the lane's key. tenant: made safe."""
    return f"{lane}:d:{tenant}"


def generation_of(key: bytes) -> str | None:
    """The name of the generation whose key this is; none where it is no generation's."""
    match = _LANE.match(key)
    return None if match is None else match[1].decode(errors="replace")


TENANT_SCOPE: Final = b"t"


def sequence_scope(sequence: str) -> bytes:
    """The field of a sequence in a day's counters."""
    return b"s" + sequence.encode()


def template_scope(template: str) -> bytes:
    """The field of a template in a day's counters."""
    return b"p" + template.encode()
