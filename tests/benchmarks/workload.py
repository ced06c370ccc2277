"""The workloads of the benchmark: which mails are sent, and what happens to them when. No bytes here.

Law: a workload is a pure function of its shape, its number of events and its seed, and comes in the order of
event time, as SES reports. `events.py` writes each happening as SES does; `expected` counts them while they
are made, which is easy: the first happening of a kind is the earliest one.

A mail is sent, delivered (or bounces) within seconds, seldom later, and is read within hours or days:
repeated opens and clicks are as usual, so whoever does not dedupe counts too much. One mail in fifty has two
recipients. What would happen after the last event is not reported, but where a shape says so.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate, islice
from math import log
from random import Random
from typing import Final, NamedTuple

from schemas.kinds import FIELDS

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000

START_MS: Final = 1_756_684_800_000
"""2025-09-01T00:00Z."""

EVENTS_A_MAIL: Final = 3.0
"""Events of one mail in the mean; what sets the rate of sending, so that the events fill the days."""

SENT, DELIVERED, OPENED, CLICKED, BOUNCED, COMPLAINED = range(len(FIELDS))
DELAYED: Final = len(FIELDS)
"""A DeliveryDelay: read, and not counted."""


@dataclass(frozen=True)
class Shape:
    """What kind of customers a workload has.

    zipf: the exponent of the tenants' sizes (the n-th has 1/n**zipf of the first); 0: all are alike.
    sequences, templates: of each tenant; a template belongs to one sequence. days: how long it lasts.
    start_ms: when the first mail may be sent. whole: no mail is sent after the last day, and all that becomes
    of the mails is reported: about as many events as were asked for.
    """

    name: str
    tenants: int
    zipf: float
    sequences: int = 20
    templates: int = 50
    days: int = 15
    start_ms: int = START_MS
    whole: bool = False
    seed: int = 1


REFERENCE: Final = Shape("reference", tenants=200, zipf=1.0)
BIG: Final = Shape("big-tenants", tenants=5, zipf=0.0)
TINY: Final = Shape("tiny-tenants", tenants=20_000, zipf=0.0, sequences=2, templates=5)
SHAPES: Final = {shape.name: shape for shape in (REFERENCE, BIG, TINY)}


class Mail(NamedTuple):
    """One mail. tenant, sequence, template: numbers; chance: 128 random bits; people: its recipients."""

    sent_ms: int
    tenant: int
    sequence: int
    template: int
    chance: int
    people: tuple[int, ...]


class Happening(NamedTuple):
    """What happens to a mail: when (ms since 1970, UTC) and what.

    number: counts all happenings, in the order in which they were made up, so that no two compare equal.
    person: the recipient's place in `mail.people`; opens, clicks and sends are about all of them.
    """

    at_ms: int
    number: int
    kind: int
    person: int
    mail: Mail


def happenings(shape: Shape, events: int) -> Iterator[Happening]:
    """A workload in the order of time: its first `events` happenings, or about as many if it is whole."""
    return islice(_happenings(shape, events), None if shape.whole else events)


def _happenings(shape: Shape, events: int) -> Iterator[Happening]:
    rng = Random(f"{shape.name} {shape.seed}")
    to_come: list[Happening] = []
    made = 0
    for mail in _mails(rng, shape, events):
        while to_come and to_come[0].at_ms <= mail.sent_ms:
            yield heapq.heappop(to_come)
        for at_ms, kind, person in _life(rng, mail):
            heapq.heappush(to_come, Happening(at_ms, made, kind, person, mail))
            made += 1
    while to_come:
        yield heapq.heappop(to_come)


def _mails(rng: Random, shape: Shape, events: int) -> Iterator[Mail]:
    """The mails, without an end where the shape is not whole: then the events end it."""
    tenants = range(shape.tenants)
    weights = list(accumulate(1 / (rank + 1) ** shape.zipf for rank in tenants))
    gap_ms = shape.days * DAY * EVENTS_A_MAIL / events
    at_ms = float(shape.start_ms)
    while not shape.whole or at_ms < shape.start_ms + shape.days * DAY:
        template = int(rng.random() * shape.templates)
        yield Mail(
            int(at_ms),
            rng.choices(tenants, cum_weights=weights)[0],
            template % shape.sequences,
            template,
            rng.getrandbits(128),
            _people(rng),
        )
        at_ms += gap_ms * _exponential(rng)


def _people(rng: Random) -> tuple[int, ...]:
    first = rng.getrandbits(24)
    return (first, first ^ 1 ^ rng.getrandbits(16) << 1) if rng.random() < 0.02 else (first,)


def _exponential(rng: Random) -> float:
    """A random time whose mean is 1."""
    return -log(1.0 - rng.random())


def _life(rng: Random, mail: Mail) -> Iterator[tuple[int, int, int]]:
    """What happens to a mail: time, kind, recipient."""
    yield mail.sent_ms, SENT, 0
    read_from = 0
    for person in range(len(mail.people)):
        at_ms = mail.sent_ms + 400 + int(rng.random() * 8 * SECOND)
        if rng.random() < 0.01:
            yield at_ms, DELAYED, person
            at_ms += 2 * MINUTE + int(rng.random() * 3 * HOUR)
        if rng.random() < 0.02:
            yield at_ms, BOUNCED, person
            continue
        yield at_ms, DELIVERED, person
        read_from = read_from or at_ms
        if rng.random() < 0.001:
            complained_ms = at_ms + HOUR + int(rng.random() * DAY)
            yield complained_ms - complained_ms % SECOND, COMPLAINED, person  # the provider's clock
    if read_from and rng.random() < 0.45:
        at_ms = read_from
        while True:
            at_ms += 5 * SECOND + int(_exponential(rng) * 6 * HOUR)
            yield at_ms, OPENED, 0
            if rng.random() < 0.25:
                yield at_ms + 2 * SECOND + int(rng.random() * MINUTE), CLICKED, 0
            if rng.random() < 0.55:
                return


def tenant_name(tenant: int) -> str:
    """The tenant's id, as its tag says it."""
    return f"tenant-{tenant:05}"


def sequence_name(sequence: int) -> str:
    """The sequence's id; tenants call theirs alike, as numbers given by a program are."""
    return f"seq-{sequence:03}"


def template_name(template: int) -> str:
    """The template's id."""
    return f"tpl-{template:04}"


Counts = list[int]
"""Counts by kind, in the order of `schemas.kinds.FIELDS`."""


def _none() -> Counts:
    return [0] * len(FIELDS)


@dataclass
class Expected:
    """What must be counted: made by `add` of the happenings, each as it comes.

    hours: of each tenant, counts by hour (since 1970). sequences, templates: their totals, by tenant and
    number.
    """

    hours: dict[int, dict[int, Counts]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(_none))
    )
    sequences: dict[tuple[int, int], Counts] = field(default_factory=lambda: defaultdict(_none))
    templates: dict[tuple[int, int], Counts] = field(default_factory=lambda: defaultdict(_none))
    events: int = 0
    messages: int = 0
    _seen: set[tuple[int, int]] = field(default_factory=set)

    def add(self, happening: Happening) -> None:
        """Count one; happenings come in the order of their time."""
        at_ms, _, kind, _, mail = happening
        self.events += 1
        much = 1
        if kind == SENT:
            self.messages += 1
            much = len(mail.people)
        elif kind == DELAYED:
            return
        elif kind in {OPENED, CLICKED}:
            fact = (mail.chance, kind)
            if fact in self._seen:
                return
            self._seen.add(fact)
        self.hours[mail.tenant][at_ms // HOUR][kind] += much
        self.sequences[mail.tenant, mail.sequence][kind] += much
        self.templates[mail.tenant, mail.template][kind] += much

    def pass_on(self, happening: Happening) -> Happening:
        """Count one and give it back."""
        self.add(happening)
        return happening

    def totals(self) -> dict[str, Counts]:
        """The totals of each tenant, by its id."""
        return {
            tenant_name(tenant): [sum(column) for column in zip(*hours.values(), strict=True)]
            for tenant, hours in self.hours.items()
        }


def expected(shape: Shape, events: int) -> Expected:
    """What must be counted of a workload."""
    counted = Expected()
    for happening in happenings(shape, events):
        counted.add(happening)
    return counted
