"""What Redis holds, seen from outside: every cell with its checkpoints in one step, and copies to go back to.

Law: nothing here comes from the aggregator. The layout is the contract of `schemas.redis_keys`; which lane a
tenant lives in is worked out anew.
"""

import json
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

from schemas import redis_keys, topics
from schemas.packed_counter import KINDS_MAX, unpack_quarters
from tests.pipeline import oracle

Cells = Counter[oracle.Cell]
"""Numbers: of a scope, of a quarter of an hour, of a field."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)

_SEE = """
local counters = {}
for _, key in ipairs(redis.call('KEYS', KEYS[1] .. ':c:*')) do
  counters[#counters + 1] = {key, redis.call('HGETALL', key)}
end
return {redis.call('HGETALL', KEYS[1]), counters}
"""
_COPY = """
local all = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  all[#all + 1] = {key, redis.call('PEXPIRETIME', key), redis.call('DUMP', key)}
end
return all
"""


@dataclass(frozen=True)
class Seen:
    """A lane at one instant: the checkpoint of each partition, and every count that is not 0."""

    checkpoints: list[int]
    cells: Cells


def lane_of(tenant: str, lanes: int) -> int:
    """The lane that a tenant lives in."""
    return zlib.crc32(tenant.encode()) % lanes


def _generations(client: Any) -> list[dict[str, Any]]:
    """The members of the record, each with its state; none where there is no record."""
    record = client.get(redis_keys.RECORD_KEY)
    return json.loads(record)["members"] if record else []


def lanes(client: Any) -> list[str]:
    """The keys of the live generation's lanes; none where there is no generation."""
    live = [each["generation"] for each in _generations(client) if each["state"] == "live"]
    return [f"{{{each['name']}:{lane}}}" for each in live for lane in range(each["lanes"])]


def see(client: Any, lane: str, partitions: int = topics.EVENTS.partitions) -> Seen:
    """A lane in one atomic step; what its numbers stand for is fixed with its generation."""
    head, found = client.eval(_SEE, 1, lane)
    fields = dict(zip(head[::2], head[1::2], strict=True))
    members = [each["generation"] for each in _generations(client)]
    of = next(each for each in members if lane.startswith(f"{{{each['name']}:"))
    scopes, families = ("tenant", *of["scopes"]), [family for _, family in of["families"]]
    cells: Cells = Counter()
    for key, pairs in found:
        _, tenant, block = key.decode().removeprefix(lane).rsplit(":", 2)
        for name, packed_counter in zip(pairs[::2], pairs[1::2], strict=True):
            day, family, scope, raw = redis_keys.read_counter_field(int(block), name)
            where = (unquote(tenant), scopes[scope], raw.decode())
            for cell, count in enumerate(unpack_quarters(packed_counter)):
                if count:
                    quarter, kind = divmod(cell, KINDS_MAX)
                    at = EPOCH + timedelta(days=day) + quarter * QUARTER
                    cells[where, at, families[family][kind]] = count
    return Seen([int(fields.get(b"f%d" % number, 0)) for number in range(partitions)], cells)


def is_counted(client: Any, ends: list[int]) -> bool:
    """Whether there is a generation and all of its checkpoints stand at the topic's ends."""
    keys = lanes(client)
    return bool(keys) and all(see(client, lane, len(ends)).checkpoints == ends for lane in keys)


def is_counted_up_to(client: Any, ends: list[int]) -> bool:
    """Whether there is a generation and all of its checkpoints stand at these offsets or further on."""
    keys = lanes(client)
    seen = [see(client, lane, len(ends)).checkpoints for lane in keys]
    return bool(keys) and all(
        checkpoint >= end for each in seen for checkpoint, end in zip(each, ends, strict=True)
    )


def all_cells(client: Any) -> Cells:
    """Every count of the live generation that is not 0."""
    cells: Cells = Counter()
    for lane in lanes(client):
        cells += see(client, lane).cells
    return cells


def flat(count: oracle.Count) -> Cells:
    """The oracle's numbers as cells."""
    return Counter(count.cells())


@dataclass(frozen=True)
class Difference:
    """How two counts differ: facts that are missing, facts that are too many, and the first cells of each."""

    lost: int
    double: int
    examples: list[str]

    def __bool__(self) -> bool:
        return bool(self.lost or self.double)

    def __str__(self) -> str:
        return "\n  ".join([f"lost {self.lost}, double {self.double}", *self.examples])


def difference(got: Cells, want: Cells) -> Difference:
    """Compare what Redis holds with what it should hold, by the tenants' own cells.

    A fact stands in several scopes; only the tenant's are summed up, all of them are compared.
    """
    lost, double = want - got, got - want
    reported = [
        f"{cell}: {got[cell]}, should be {want[cell]}" for cell in sorted(lost.keys() | double.keys())
    ]
    return Difference(_facts(lost), _facts(double), reported[:10])


def _facts(cells: Cells) -> int:
    """Facts behind cells; at least one where any cell differs."""
    return max(sum(n for (scope, _, _), n in cells.items() if scope[1] == "tenant"), min(1, len(cells)))


Copy = list[tuple[bytes, int, bytes]]
"""Every key, when it expires (ms since 1970, -1 for never), and its value as DUMP writes it."""


def copy(client: Any) -> Copy:
    """All of a Redis at one instant."""
    return [(key, expires, value) for key, expires, value in client.eval(_COPY, 0)]


def go_back(client: Any, to: Iterable[tuple[bytes, int, bytes]]) -> None:
    """Set a Redis back to a copy in one step, so that no connection notices."""
    with client.pipeline(transaction=True) as pipeline:
        pipeline.flushall()
        for key, expires, value in to:
            pipeline.restore(key, max(expires, 0), value, absttl=expires > 0)
        pipeline.execute()
