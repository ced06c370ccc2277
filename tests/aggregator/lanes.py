"""A lane on a real Valkey to count into, and naive counts to compare with."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aggregator.counters.store import SCRIPT
from aggregator.counting.cells import KNOWN, Cell
from aggregator.counting.checkpoints import Move
from aggregator.counting.facts import Facts
from aggregator.counting.pack import pack, pack_moves
from aggregator.counting.states import Identities
from schemas.counters import TENANT
from schemas.instants import DAY_MS, QUARTER_MS, QUARTERS
from schemas.kinds import FAMILIES, FIELDS
from schemas.packed_counter import KINDS_MAX, unpack_quarters
from schemas.redis_keys import BLOCK_DAYS, IS_WIDE, lane_key, read_counter_field, safe_id

Cells = Counter[tuple[str, int, str, int, int, str]]
"""(tenant, number of the scope, id, day, quarter of the day, field) -> count."""

IDENTITIES: Final = Identities("00112233445566778899aabbccddeeff")
_FAMILIES: Final = tuple(FAMILIES.values())


def kinds(*fields: str) -> tuple[int, ...]:
    """The indices of kinds, by their fields."""
    return tuple(sorted(map(FIELDS.index, fields)))


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
        asked = [Move(*each) for each in moves]
        return self.send(pack_moves(asked) if facts is None else pack(asked, facts, IDENTITIES)[0])

    def send(self, argument: bytes) -> list[object]:
        """One call with a packed argument."""
        answer: list[object] = self.client.eval(SCRIPT, 1, self.key, self.generation, self.rules, argument)
        return answer

    def checkpoint(self, partition: int = 0) -> int:
        return int(self.client.hget(self.key, f"f{partition}") or 0)

    def known(self, tenant: str) -> list[bytes]:
        """The known ids and the blocks of a tenant, as they stand."""
        found: list[bytes] = self.client.zrange(f"{self.key}:i:{safe_id(tenant)}", 0, -1)
        return found

    def cells(self, tenants: Iterable[str]) -> Cells:
        """Every count that is not 0, read as the layout says; each block that has one is known."""
        found: Cells = Counter()
        for tenant in tenants:
            blocks = set()
            for key in self.keys(f"c:{_literal(safe_id(tenant))}:*"):
                block = int(key.rpartition(b":")[2])
                wide = self.client.hgetall(key.replace(b"}:c:", b"}:w:"))
                narrow = self.client.hgetall(key)
                assert {name for name, value in narrow.items() if value == IS_WIDE} == wide.keys()
                for name, packed_counter in (narrow | wide).items():
                    day, family, scope, raw = read_counter_field(block, name)
                    blocks.add(b"\0" + (day // BLOCK_DAYS + 2**31).to_bytes(4, "big"))
                    for cell, count in enumerate(unpack_quarters(packed_counter)):
                        if count:
                            quarter, kind = divmod(cell, KINDS_MAX)
                            of = tenant, scope, raw.decode(), day, quarter, _FAMILIES[family][kind]
                            found[of] = count
            assert {member for member in self.known(tenant) if member[:1] == b"\0"} == blocks
        return found

    def keys(self, pattern: str = "*") -> list[bytes]:
        """All keys below the lane's."""
        return list(self.client.scan_iter(match=f"{self.key}:{pattern}", count=1000))


def _literal(text: str) -> str:
    """A text as a pattern of Redis that matches nothing else."""
    return "".join(f"\\{each}" if each in "*?[]^\\" else each for each in text)


def naive_count(events: Iterable[Facts]) -> Cells:
    """The law of counting by itself: each fact once, at its least quarter of an hour."""
    least: dict[tuple[Any, ...], int] = {}
    for e in events:
        for kind in e.kinds:
            for recipient in e.recipients:
                identity = (e.scopes, e.day, e.message_id, recipient, FIELDS[kind])
                least[identity] = min(least.get(identity, e.quarter), e.quarter)
    cells: Cells = Counter()
    for ((tenant, ids), day, _, _, name), quarter in least.items():
        for scope, raw in ((0, ""), *enumerate(ids, 1)):
            if raw is not None:
                cells[tenant, scope, raw, day + quarter // QUARTERS, quarter % QUARTERS, name] += 1
    return cells


def naive_cells(names: Sequence[str], events: Iterable[Facts]) -> Counter[Cell]:
    """The same as cells, and which ids are known. names: of the scopes beside the tenant."""
    cells: Counter[Cell] = Counter()
    for (tenant, scope, id_, day, quarter, of), count in naive_count(events).items():
        name = (TENANT, *names)[scope]
        cells[Cell(tenant, name, id_, day * DAY_MS + quarter * QUARTER_MS, of)] = count
        if scope:
            cells[Cell(tenant, name, id_, None, KNOWN)] = 1
    return cells
