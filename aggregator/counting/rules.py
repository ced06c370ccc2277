"""By what is counted: the rules that a deployment chooses, and the erasures of its tenants. Pure.

Law: every number is a pure function of the events, of the rules and of the erasures. So a generation of
counters carries the fingerprint of the rules that it was counted by, and each of its lanes the number of the
last erasure that it has taken in; who has others cannot write there.

An erasure says of a tenant up to when: a record of the events topic that is that tenant's, and whose own
Kafka time is not later, states nothing (`decode`). The latest of a tenant's erasures holds. It has a number,
one more than its offset in the topic of erasures. A lane stands at the greatest number of its tenants, 0
where none is erased: that names all erasures of its tenants, as who has read up to a number knows each one
below it. (Compaction takes away only what a later record says again.)
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from aggregator.counting.corpus import decoder_digest
from aggregator.errors import ErasedError
from schemas import machines
from schemas.counters import LAYOUT
from schemas.kinds import FUTURE_MS, KINDS
from schemas.redis_keys import lane_of

VERSION: Final = 3
"""Moves with every change to `decode`, `timestamps`, `states`, `pack` or `apply.lua` that could change a
number."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a deployment chooses.

    tenant_tag: the name of the SES message tag that names the tenant. scopes: name and tag of each further
    scope, in the order of their numbers; all tags differ. default_tenant: the tenant of an event without a
    tenant tag; none: such an event is a dead letter. recipient_key: of the pseudonyms of addresses, up to 64
    bytes.
    """

    tenant_tag: str = "tenant"
    scopes: tuple[tuple[str, str], ...] = (("sequence", "sequence"), ("template", "template"))
    default_tenant: str | None = None
    recipient_key: bytes = field(default=b"", repr=False)

    @property
    def scope_names(self) -> tuple[str, ...]:
        """The names of the scopes beside the tenant, in the order of their numbers, from 1 on."""
        return tuple(name for name, _ in self.scopes)

    @property
    def tags(self) -> tuple[str, ...]:
        """All tag names: of the tenant, and of each further scope."""
        return self.tenant_tag, *(tag for _, tag in self.scopes)

    @property
    def fingerprint(self) -> str:
        """Equal where the same events give the same numbers in the same layout (16 hex digits).

        The decoder is part of it, by what it does (`corpus`): what it refuses is a dead letter.
        """
        parts = (
            VERSION,
            LAYOUT,
            ("decoder", decoder_digest()),
            self.tenant_tag,
            self.scopes,
            self.default_tenant,
            hashlib.sha256(b"recipient key " + self.recipient_key).hexdigest(),
            KINDS,
            machines.TABLE,
            FUTURE_MS,
        )
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:16]


class Erasure(NamedTuple):
    """Of a tenant, all its erasures together.

    through_ms: the Kafka time of the last record that states nothing, in ms since 1970. number: of the last
    erasure of it.
    """

    through_ms: int
    number: int


class Erasures:
    """All erasures up to a place in their topic. Never changed once it is made."""

    def __init__(self, told: Iterable[tuple[int, str, int]] = (), end: int = 0) -> None:
        """Take in what the topic says.

        told: offset, tenant and time (ms since 1970) of each record, in any order. end: the offset up to
        which the topic was read.
        """
        table: dict[str, Erasure] = {}
        said = set()
        for offset, tenant, through_ms in told:
            said.add((tenant, through_ms))
            had = table.get(tenant, Erasure(through_ms, 0))
            table[tenant] = Erasure(max(had.through_ms, through_ms), max(had.number, offset + 1))
        self.table: Final[Mapping[str, Erasure]] = table
        """By tenant."""
        self.said: Final = frozenset(said)
        """Tenant and time of each."""
        self.end: Final = end
        self._by_lanes: dict[int, list[int]] = {}

    def through(self, tenant: str) -> int | None:
        """Up to when (ms since 1970) a tenant is erased; none where it is not."""
        found = self.table.get(tenant)
        return None if found is None else found.through_ms

    def of_lane(self, lane: int, lanes: int) -> int:
        """The number at which a lane stands that has taken in all of them. lanes: how many there are."""
        if not self.table:
            return 0
        numbers = self._by_lanes.get(lanes)
        if numbers is None:
            numbers = [0] * lanes
            for tenant, (_, number) in self.table.items():
                of = lane_of(tenant, lanes)
                numbers[of] = max(numbers[of], number)
            self._by_lanes[lanes] = numbers
        return numbers[lane]

    def since(self, number: int, lane: int, lanes: int) -> list[str]:
        """The tenants of a lane that were erased after a number, in order."""
        return sorted(
            tenant
            for tenant, each in self.table.items()
            if each.number > number and lane_of(tenant, lanes) == lane
        )

    def check(self, number: int, lane: int, lanes: int) -> None:
        """Return where a lane stands at what these say of it. number: at which it stands.

        Raises: ErasedError, else: the lane is of other erasures, and must not be counted into by these, nor
        be compared with what these make of the log.
        """
        wanted = self.of_lane(lane, lanes)
        if number != wanted:
            raise ErasedError(
                f"lane {lane} has taken in erasure {number} of a tenant, and {wanted} is known here: run"
                " again, and where that does not help start a worker"
            )


NO_ERASURES: Final = Erasures()
"""Nobody is erased, and nothing was read."""
