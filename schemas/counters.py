"""The Redis layout: which keys exist, what they hold and how to read a counter.

A *generation* is one complete set of counters, built from the topic under one set of rules. Its tenants
are spread over *lanes*; all keys of a lane begin with the lane's key `{generation:lane}`, whose braces
put them into one hash slot, so that one script call may touch them all on a Redis Cluster too.

    {ses-metrics}:generations  string  JSON of `Record`: each generation that there is, and its state.
                                    `aggregator/counters/record.lua` alone writes it
    {ses-metrics}:lease       string  token of the rebuild that runs; expires within seconds of its death
    LANE = {generation:lane}  hash  `generation`, `rules` (fingerprint), and for each partition
                                    `f<partition>`, the checkpoint (next offset; none is 0), and
                                    `c<partition>`, complete-through (ms); `retired`, `successor` and
                                    `barred`: see `aggregator/counters/lane.lua`
    LANE:n                    set   the tenants (made safe) that have counters
    LANE:d:TENANT             set   the days (since 1970, UTC) that have counters
    LANE:c:TENANT:DAY         hash  scope -> packed counter: the counts of that day, see `unpack_counter`
    LANE:s:TENANT             set   the known sequences (raw ids)
    LANE:t:TENANT             set   the known templates (raw ids)
    LANE:m:TENANT:SENDDAY     string  sizes of the message state's layers, and the entries in the last one
    LANE:m:TENANT:SENDDAY:LAYER:BUCKET  hash  message state: 6-byte id -> decimal state

The last two expire; see `aggregator/counters/apply.lua`, which alone writes below LANE. The database is ours
alone.
TENANT is the tenant made safe by `safe_id`; raw ids only ever stand in hash fields, set members and values.
"""

from enum import StrEnum
from typing import Final
from urllib.parse import quote, unquote
from zlib import crc32

import msgspec

from schemas.kinds import FIELDS, KINDS

RECORD_KEY: Final = "{ses-metrics}:generations"
LEASE_KEY: Final = "{ses-metrics}:lease"

LAYOUT: Final = 2
"""Version of this layout. A program meets another one only by refusing it."""

LANES: Final = 16
"""Lanes of a new generation. Fixed for the generation's life."""

HOURS: Final = 24
CELLS: Final = HOURS * len(KINDS)
"""A cell is `hour * len(KINDS) + index of the kind`: one number of one day."""

MANY, SEVERAL, MINUS = 253, 254, 255
assert CELLS <= MANY, "cells and the marks of a packed counter share one byte"


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """One generation.

    name: the name of its key space; lanes: how many lanes it has; rules: the fingerprint of the rules it
    was counted by; layout: the version of this layout; kinds: the fields of the kinds, in the order in which
    cells number them; cluster_id, topic_id: the Kafka cluster and topic it was counted from; created_ms:
    when, by Redis's clock.
    """

    name: str
    lanes: int
    rules: str
    layout: int
    kinds: tuple[str, ...]
    cluster_id: str
    topic_id: str
    created_ms: int

    @property
    def is_readable(self) -> bool:
        """Whether this program knows how to read it: it has this layout, and these kinds in this order."""
        return self.layout == LAYOUT and self.kinds == FIELDS and self.lanes > 0


class State(StrEnum):
    """Where a generation is in its life; `aggregator.counters.lifecycle` says which may follow which."""

    BUILDING = "building"
    """A rebuild counts the topic into it."""
    COMPARING = "comparing"
    """A rebuild compares it with the live one."""
    CLOSING = "closing"
    """A rebuild closes the lanes of the live one, to switch to it."""
    LIVE = "live"
    """Workers count into it, and the API answers from it."""
    RETIRED = "retired"
    """It was live."""
    DROPPING = "dropping"
    """Its keys are being removed, or expire."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A generation in the record.

    attempt: of one that is `closing`, the token of the lease under which its rebuild does so.
    start: the checkpoints it began with, where it does not begin at the start of the log: what was begun as
    partial counters must not be finished as whole ones.
    """

    generation: Generation
    state: State
    attempt: str = ""
    start: dict[int, int] = {}

    @property
    def closes_as(self) -> str:
        """What stands as `retired` in the lanes that it closes."""
        return closed_for(self.generation.name, self.attempt)


class Record(msgspec.Struct, frozen=True):
    """Every generation there is: at most one is live, and at most one is being made."""

    members: tuple[Member, ...]

    @property
    def live(self) -> Generation | None:
        """The live one, none where there is none."""
        return next((each.generation for each in self.members if each.state is State.LIVE), None)

    @property
    def next(self) -> Member | None:
        """The one that is being made, none where there is none."""
        making = (State.BUILDING, State.COMPARING, State.CLOSING)
        return next((each for each in self.members if each.state in making), None)

    def named(self, name: str) -> Member | None:
        """The generation of that name, none where there is none."""
        return next((each for each in self.members if each.generation.name == name), None)


def closed_for(successor: str, attempt: str) -> str:
    """What says in a lane for whom it was closed, and in which attempt."""
    return f"{successor}:{attempt}"


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


TENANT_SCOPE: Final = b"t"


def sequence_scope(sequence: str) -> bytes:
    """The field of a sequence in a day's counters."""
    return b"s" + sequence.encode()


def template_scope(template: str) -> bytes:
    """The field of a template in a day's counters."""
    return b"p" + template.encode()


def unpack_counter(packed_counter: bytes) -> list[int]:
    """The counts of one scope and day.

    packed_counter: two bytes (little endian) with the length of the packed part, the packed part, and what
    came
        since. Both parts are items: a cell is one count; 255 and a cell take one back; 254, a cell and a
        byte are that many counts; 253, a cell and four bytes (little endian) are that many.
    Returns: `CELLS` counts, by cell.
    Raises: ValueError where the packed counter ends within an item or names no cell: the counter is damaged.
    """
    counts = [0] * CELLS
    at, end = 2, len(packed_counter)
    try:
        while at < end:
            mark = packed_counter[at]
            if mark < CELLS:
                counts[mark] += 1
                at += 1
            elif mark == MINUS:
                counts[packed_counter[at + 1]] -= 1
                at += 2
            elif mark == SEVERAL:
                counts[packed_counter[at + 1]] += packed_counter[at + 2]
                at += 3
            elif mark == MANY and at + 6 <= end:
                counts[packed_counter[at + 1]] += int.from_bytes(packed_counter[at + 2 : at + 6], "little")
                at += 6
            else:
                raise ValueError(f"damaged counter: mark {mark} at byte {at}")
    except IndexError:
        raise ValueError("damaged counter: it ends within an item or names no cell") from None
    if end < 2:
        raise ValueError("damaged counter: no length")
    return counts
