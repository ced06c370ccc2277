"""What must be counted of a workload, by the law of counting: the generator's own count, kind by kind.

Easy, as happenings come in the order of their time: the first one that states a fact is the earliest. Which
kinds an event states stands here and in `variants.py`, once more and by other means than in the program.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas.kinds import FIELDS
from tests.benchmarks.variants import BOUNCES, READERS, SUBSCRIPTIONS
from tests.benchmarks.workload import (
    BOUNCED,
    CLICKED,
    COMPLAINED,
    DELAYED,
    DELIVERED,
    MINUTE,
    OPENED,
    REJECTED,
    RENDERING_FAILED,
    SENT,
    SUBSCRIPTION,
    Happening,
    Shape,
    happenings,
    tenant_name,
)

QUARTER: Final = 15 * MINUTE
QUARTERS_AN_HOUR: Final = 4

Counts = list[int]
"""Counts by kind, in the order of `schemas.kinds.FIELDS`."""


def _stated() -> dict[tuple[int, int], tuple[str, ...]]:
    plain = {
        SENT: "sent",
        DELIVERED: "delivered",
        COMPLAINED: "complained",
        DELAYED: "delayed",
        REJECTED: "rejected",
        RENDERING_FAILED: "rendering_failed",
    }
    stated: dict[tuple[int, int], tuple[str, ...]] = {(kind, 0): (name,) for kind, name in plain.items()}
    stated |= {(BOUNCED, n): ("bounced", row.field) for n, row in enumerate(BOUNCES)}
    stated |= {
        (SUBSCRIPTION, n): ("unsubscribed",) if row.is_all else () for n, row in enumerate(SUBSCRIPTIONS)
    }
    for kind, name in ((OPENED, "opened"), (CLICKED, "clicked")):
        for n, row in enumerate(READERS):
            stated[kind, n] = (name, f"{name}_human") if row.is_human else (name,)
    return stated


_STATED: Final[Mapping[tuple[int, int], list[int]]] = {
    what: [FIELDS.index(name) for name in names] for what, names in _stated().items()
}
"""By kind and variant: the places of the fields that such an event states."""

_OF_ALL: Final = {SENT, REJECTED, RENDERING_FAILED}
"""One fact for each recipient of the mail, and at the time of the mail."""
_OF_MAIL: Final = {OPENED, CLICKED, SUBSCRIPTION}
"""One fact for the mail, which may be stated again."""


def no_counts() -> Counts:
    """Nothing counted."""
    return [0] * len(FIELDS)


@dataclass
class Expected:
    """What must be counted: made by `add` of the happenings, each as it comes.

    quarters: of each tenant, counts by quarter of an hour (since 1970). sequences, templates: their totals,
    by tenant and number. messages: mails that anything is known of.
    """

    quarters: dict[int, dict[int, Counts]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(no_counts))
    )
    sequences: dict[tuple[int, int], Counts] = field(default_factory=lambda: defaultdict(no_counts))
    templates: dict[tuple[int, int], Counts] = field(default_factory=lambda: defaultdict(no_counts))
    events: int = 0
    messages: int = 0
    _seen: set[tuple[int, int]] = field(default_factory=set)

    def add(self, happening: Happening) -> None:
        """Count one; happenings come in the order of their time."""
        at_ms, _, kind, _, mail, variant = happening
        self.events += 1
        self.messages += kind in {SENT, RENDERING_FAILED}
        much = 1
        if kind in _OF_ALL:
            at_ms, much = mail.sent_ms, len(mail.people)
        for place in _STATED[kind, variant]:
            if kind in _OF_MAIL:
                if (mail.chance, place) in self._seen:
                    continue
                self._seen.add((mail.chance, place))
            self.quarters[mail.tenant][at_ms // QUARTER][place] += much
            self.sequences[mail.tenant, mail.sequence][place] += much
            self.templates[mail.tenant, mail.template][place] += much

    def pass_on(self, happening: Happening) -> Happening:
        """Count one and give it back."""
        self.add(happening)
        return happening

    def hours(self, tenant: int) -> dict[int, Counts]:
        """A tenant's counts by hour (since 1970)."""
        hours: dict[int, Counts] = {}
        for quarter, counts in self.quarters[tenant].items():
            hour = quarter // QUARTERS_AN_HOUR
            hours[hour] = [sum(both) for both in zip(hours.get(hour, no_counts()), counts, strict=True)]
        return hours

    def totals(self) -> dict[str, Counts]:
        """The totals of each tenant, by its id."""
        return {
            tenant_name(tenant): [sum(column) for column in zip(*quarters.values(), strict=True)]
            for tenant, quarters in self.quarters.items()
        }

    def times(self, copies: int) -> "Expected":
        """What must be counted where the same happens to so many times as many mails."""
        return Expected(
            {
                tenant: {at: _times(counts, copies) for at, counts in quarters.items()}
                for tenant, quarters in self.quarters.items()
            },
            {of: _times(counts, copies) for of, counts in self.sequences.items()},
            {of: _times(counts, copies) for of, counts in self.templates.items()},
            self.events * copies,
            self.messages * copies,
        )

    @property
    def facts(self) -> int:
        """How many facts are counted, each once."""
        return sum(map(sum, self.totals().values()))


def _times(counts: Counts, copies: int) -> Counts:
    return [count * copies for count in counts]


def expected(shape: Shape, events: int) -> Expected:
    """What must be counted of a workload."""
    counted = Expected()
    for happening in happenings(shape, events):
        counted.add(happening)
    return counted
