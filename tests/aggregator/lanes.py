"""A lane on a real Valkey to count into, and a naive count to compare with."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aggregator.counters.store import SCRIPT
from aggregator.counting.facts import Facts
from aggregator.counting.pack import pack
from schemas.kinds import FIELDS
from schemas.packed_counter import unpack_counter
from schemas.redis_keys import lane_key, safe_id

Cells = Counter[tuple[str, bytes, int, int, str]]
"""(tenant, scope, day, hour of the day, field) -> count."""


@dataclass
class Lane:
    """One lane of one generation, made anew."""

    client: Any  # redis-py's hints do not tell sync answers from async ones
    generation: str
    rules: str = "rules"
    key: str = field(init=False)

    def __post_init__(self) -> None:
        self.key = lane_key(self.generation, 0)
        self.client.hset(self.key, mapping={"generation": self.generation, "rules": self.rules})

    def call(
        self, moves: Sequence[tuple[int, int, int, int]], facts: Iterable[Facts] | None = None
    ) -> list[object]:
        """One call of the script; the answer as it comes."""
        return self.send(pack(moves, facts)[0])

    def send(self, argument: bytes) -> list[object]:
        """One call with a packed argument."""
        answer: list[object] = self.client.eval(SCRIPT, 1, self.key, self.generation, self.rules, argument)
        return answer

    def checkpoint(self, partition: int = 0) -> int:
        return int(self.client.hget(self.key, f"f{partition}") or 0)

    def cells(self, tenants: Iterable[str]) -> Cells:
        """Every count that is not 0, read as the layout says."""
        found: Cells = Counter()
        for tenant in tenants:
            safe = safe_id(tenant)
            for member in self.client.smembers(f"{self.key}:d:{safe}"):
                day = int(member)
                for scope, packed_counter in self.client.hgetall(f"{self.key}:c:{safe}:{day}").items():
                    for cell, count in enumerate(unpack_counter(packed_counter)):
                        if count:
                            hour, kind = divmod(cell, len(FIELDS))
                            found[tenant, scope, day, hour, FIELDS[kind]] = count
        return found

    def keys(self, pattern: str = "*") -> list[bytes]:
        """All keys below the lane's."""
        return list(self.client.scan_iter(match=f"{self.key}:{pattern}", count=1000))


def naive_count(events: Iterable[Facts]) -> Cells:
    """The law of counting by itself: each fact once, at its least hour."""
    least: dict[tuple[str, str | None, str | None, int, str, str | None, str], int] = {}
    for e in events:
        for recipient in e.recipients:
            identity = (*e.scopes, e.day, e.message_id, recipient, FIELDS[e.kind])
            least[identity] = min(least.get(identity, e.hour), e.hour)
    cells: Cells = Counter()
    for (tenant, sequence, template, day, _, _, name), hour in least.items():
        scopes = [b"t"]
        scopes += [b"s" + sequence.encode()] if sequence is not None else []
        scopes += [b"p" + template.encode()] if template is not None else []
        for scope in scopes:
            cells[tenant, scope, day + hour // 24, hour % 24, name] += 1
    return cells
