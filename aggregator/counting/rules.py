"""The rules of counting that a deployment chooses, and the fingerprint of all of them.

Every number is a pure function of the events and of the rules, so a generation of counters carries the
fingerprint of the rules that it was counted by, and a worker with other rules cannot write into it.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

import msgspec

from aggregator.counting.corpus import decoder_digest
from schemas.counters import LAYOUT
from schemas.kinds import FUTURE_MS, HORIZON_MS, KINDS, STALE_MS

VERSION: Final = 2
"""Moves with every change to `decode`, `timestamps`, `pack` or `apply.lua` that could change a number."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a deployment chooses.

    tenant_tag, sequence_tag, template_tag: the names of the SES message tags; they differ.
    default_tenant: the tenant of an event without a tenant tag; none: such an event is a dead letter.
    """

    tenant_tag: str = "tenant"
    sequence_tag: str = "sequence"
    template_tag: str = "template"
    default_tenant: str | None = None

    @property
    def tags(self) -> tuple[str, str, str]:
        """The three tag names: tenant, sequence, template."""
        return self.tenant_tag, self.sequence_tag, self.template_tag

    @property
    def fingerprint(self) -> str:
        """Equal where the same events give the same numbers in the same layout (16 hex digits).

        The decoder is part of it, by what it does (`corpus`): what it refuses is a dead letter.
        """
        parts = (
            VERSION,
            LAYOUT,
            ("decoder", decoder_digest()),
            self.tags,
            self.default_tenant,
            KINDS,
            (HORIZON_MS, STALE_MS, FUTURE_MS),
        )
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:16]
