"""What Redis holds, seen from outside: every cell with its checkpoints in one step, and copies to go back to.

Law: nothing here comes from the aggregator. `tests.pipeline.stored` reads what a counter holds; which lane a
tenant lives in is worked out anew.
"""

import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from schemas import topics
from tests.pipeline import oracle, stored

Cells = Counter[oracle.Cell]
"""Numbers: of a scope, of a quarter of an hour, of a field."""

_SEE = """
local counters = {}
for _, key in ipairs(redis.call('KEYS', KEYS[1] .. ':c:*')) do
  local wide = KEYS[1] .. ':w:' .. string.sub(key, #KEYS[1] + 4)
  counters[#counters + 1] = {key, redis.call('HGETALL', key), redis.call('HGETALL', wide)}
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


def lanes(client: Any) -> list[str]:
    """The keys of the live generation's lanes; none where there is no generation."""
    live = stored.live(client)
    return [f"{{{live['name']}:{lane}}}" for lane in range(live["lanes"])] if live else []


def see(client: Any, lane: str, partitions: int = topics.EVENTS.partitions) -> Seen:
    """A lane of the live generation in one atomic step; nothing where there is no generation any more."""
    live = stored.live(client)
    head, found = client.eval(_SEE, 1, lane) if live else ((), ())
    fields = dict(zip(head[::2], head[1::2], strict=True))
    cells: Cells = Counter()
    for key, *both in found:
        _, tenant, block = key.decode().removeprefix(lane).rsplit(":", 2)
        narrow, wide = (dict(zip(pairs[::2], pairs[1::2], strict=True)) for pairs in both)
        cells += stored.cells(live, tenant, int(block), narrow, wide)
    return Seen([int(fields.get(b"f%d" % number, 0)) for number in range(partitions)], cells)


def least(client: Any) -> list[int]:
    """For each partition the lowest checkpoint of all lanes of the live generation; 0 where there is none."""
    seen = [see(client, lane).checkpoints for lane in lanes(client)]
    return [min(each) for each in zip(*seen, strict=True)] or [0] * topics.EVENTS.partitions


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
