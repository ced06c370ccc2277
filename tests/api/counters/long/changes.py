"""What was counted for a tenant, and what may happen to it while it is read."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

import msgpack

from aggregator.counters.store import SCRIPT
from aggregator.counting.facts import Facts, Scopes
from aggregator.counting.pack import pack
from aggregator.counting.states import Identities
from schemas.kinds import FIELDS
from schemas.redis_keys import BLOCK_DAYS, lane_key
from tests.api.writer import EPOCH, QUARTER, Counted, Writer

FIRST: Final = 20_000
"""A day that begins a block."""

BLOCKS: Final = 7
GAP: Final = FIRST + 3 * BLOCK_DAYS
"""The first day of a block that has no counters."""

DAYS: Final = (range(FIRST - 40, FIRST - 30), range(FIRST, FIRST + BLOCKS * BLOCK_DAYS))
LONG_ID: Final = "i" * 70
"""No hash with such an id is a compact one, so that it is read by a cursor."""

Change: TypeAlias = Callable[[Writer], None]


def midnight(day: int) -> datetime:
    return EPOCH + timedelta(days=day)


def filled(writer: Writer) -> None:
    """Each block has counters; the second many ids, the third wide ones; one fact may move, see `move`."""
    gap = range(GAP, GAP + BLOCK_DAYS)
    for day in (day for days in DAYS for day in days if day not in gap):
        writer.write([Counted(midnight(day), "sent", 3, sequence="a"), Counted(midnight(day), "delayed")])
    ids = [LONG_ID, *(f"{number}" for number in range(60))]
    second, third = midnight(FIRST + BLOCK_DAYS + 1), midnight(FIRST + 2 * BLOCK_DAYS)
    writer.write(Counted(second, "sent", sequence=each) for each in ids)
    writer.write(Counted(third + at * QUARTER, "sent", 1 + at % 3, sequence="b") for at in range(96))
    opened(writer, 5 * BLOCK_DAYS * 96)
    writer.client.hset(writer.lane(), mapping={"f0": 5, "c0": 1_000})


def opened(writer: Writer, quarter: int) -> None:
    """Count an open of one mail, which was sent on the first day."""
    fact = Facts(
        Scopes("acme", ("b", None, None, None)), FIRST, quarter, "moves", (FIELDS.index("opened"),), (None,)
    )
    argument, _ = pack([], [fact], Identities(writer.generation.identity_key))
    answer: Any = writer.client.eval(SCRIPT, 1, writer.lane(), "g1", "r", argument)
    assert answer[0] == b"OK"


def move(writer: Writer) -> None:
    """A fact goes from one block to another, before it: it is in one of them, always."""
    opened(writer, 0)


def count(writer: Writer) -> None:
    """In the first block, the last, and one that was not there."""
    days = (FIRST, DAYS[1][-1], GAP)
    writer.write(Counted(midnight(day), "sent", 50, sequence="new") for day in days)
    writer.client.hset(writer.lane(), mapping={"f0": 9, "c0": 2_000})


def appear(writer: Writer) -> None:
    """A block that was not there, and more in the newest one."""
    days = (GAP + 1, DAYS[1][-1])
    writer.write(Counted(midnight(day), "sent", 2, sequence="a") for day in days)


def grow(writer: Writer) -> None:
    """A wide counter, which stands nowhere but among the wide ones, and one of the newest block."""
    at = midnight(FIRST + 2 * BLOCK_DAYS)
    writer.write([Counted(at, "sent", 900, sequence="b"), Counted(midnight(DAYS[1][-1]), "sent", 9)])


def erase(writer: Writer) -> None:
    nothing = msgpack.packb([[], False])
    erasing = msgpack.packb(["r2", ["acme"]])
    writer.client.eval(SCRIPT, 1, writer.lane(), "g1", "r", nothing, erasing)


def retire(writer: Writer) -> None:
    """A rebuild closes the lane, which has counted a little more before."""
    count(writer)
    writer.client.hset(writer.lane(), "retired", "attempt")


def switch(writer: Writer) -> None:
    """Another generation goes live, which has counted otherwise."""
    other = Writer(writer.client, "g2")
    other.write([Counted(midnight(day), "sent", 9) for day in DAYS[1]])
    for lane in range(writer.generation.lanes):
        writer.client.hset(lane_key("g1", lane), mapping={"retired": "g2", "successor": "g2"})
    other.go_live()


def wipe(writer: Writer) -> None:
    writer.client.flushdb()


def roll_back(writer: Writer) -> None:
    """What a Redis has that lost the last days: the same lane, less in it."""
    writer.client.flushdb()
    older = Writer(writer.client)
    older.go_live()
    older.write([Counted(midnight(day), "sent", 2) for day in DAYS[1][:-5]])


def flush_scripts(writer: Writer) -> None:
    writer.client.script_flush()


CHANGES: Final = (move, count, grow, appear, erase, retire, switch, wipe, roll_back, flush_scripts)
