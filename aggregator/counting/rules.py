"""The rules of counting that a deployment chooses, and the fingerprint of all of them.

Every number is a pure function of the events and of the rules, so a generation of counters carries the
fingerprint of the rules that it was counted by, and a worker with other rules cannot write into it.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Final

import msgspec

from aggregator.counting.corpus import decoder_digest
from schemas import machines
from schemas.counters import LAYOUT
from schemas.kinds import FUTURE_MS, KINDS

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
