"""The workloads of the benchmark: which mails are sent, and what happens to them when. No bytes here.

Law: a workload is a pure function of its shape, its number of events and its seed, and comes in the order of
event time, as SES reports. `events.py` writes each happening as SES does; `expected.py` counts them.

A mail is sent, delivered (or bounces) within seconds, seldom later, and is read within hours or days:
repeated opens and clicks are as usual, so whoever does not dedupe counts too much. One mail in fifty has two
recipients. A few are rejected, or cannot be rendered and are not sent at all; a few of those who read
unsubscribe. What would happen after the last event is not reported, but where a shape says so.
"""

import heapq
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, islice, takewhile
from math import log
from random import Random
from typing import Final, NamedTuple

from tests.benchmarks.variants import BOUNCES, READERS, SUBSCRIPTIONS

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000

START_MS: Final = 1_756_684_800_000
"""2025-09-01T00:00Z."""

EVENTS_A_MAIL: Final = 3.0
"""Events of one mail in the mean; what sets the rate of sending, so that the events fill the days."""

SENT, DELIVERED, OPENED, CLICKED, BOUNCED, COMPLAINED = range(6)
DELAYED, REJECTED, RENDERING_FAILED, SUBSCRIPTION = range(6, 10)
"""What may happen to a mail; the types of SES's events."""


@dataclass(frozen=True)
class Shape:
    """What kind of customers a workload has.

    zipf: the exponent of the tenants' sizes (the n-th has 1/n**zipf of the first); 0: all are alike.
    sequences, templates: of each tenant; a template belongs to one sequence. days: how long it lasts.
    start_ms: when the first mail may be sent. whole: no mail is sent after the last day, and all that becomes
    of the mails is reported: about as many events as were asked for. within: nothing is reported after the
    last day: somewhat fewer events than were asked for. batch: how many records stand in each of Kafka's
    record batches; 0: as many as a busy producer has.
    """

    name: str
    tenants: int
    zipf: float
    sequences: int = 20
    templates: int = 50
    days: int = 15
    start_ms: int = START_MS
    whole: bool = False
    within: bool = False
    seed: int = 1
    batch: int = 0


REFERENCE: Final = Shape("reference", tenants=200, zipf=1.0)
BIG: Final = Shape("big-tenants", tenants=5, zipf=0.0)
TINY: Final = Shape("tiny-tenants", tenants=20_000, zipf=0.0, sequences=2, templates=5)
LONG_TAIL: Final = Shape("long-tail", tenants=20_000, zipf=0.0, sequences=1, templates=1, days=2, within=True)
"""What most installations look like: 5 mails a day of each tenant, where there are `TAIL_EVENTS`."""
TWO_THOUSAND: Final = replace(LONG_TAIL, name="two-thousand", tenants=2_000)
"""As many mails of a tenth of the tenants: 50 a day of each."""
TAIL_EVENTS: Final = 600_000
SMALL_BATCHES: Final = Shape("small-batches", tenants=200, zipf=1.0, batch=2)
"""The reference workload, written as a quiet ingest does: a fetch holds many small record batches."""
SHAPES: Final = {
    shape.name: shape for shape in (REFERENCE, BIG, TINY, LONG_TAIL, TWO_THOUSAND, SMALL_BATCHES)
}


def tail(shape: Shape, events: int) -> tuple[Shape, int]:
    """A long tail with fewer events, and with fewer tenants: each has as many mails a day as ever."""
    return replace(shape, tenants=shape.tenants * events // TAIL_EVENTS), events


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
    person: the recipient's place in `mail.people`; what is about the mail is about all of them.
    variant: the place in the table of its kind, where that has one (`variants.py`).
    """

    at_ms: int
    number: int
    kind: int
    person: int
    mail: Mail
    variant: int = 0


def happenings(shape: Shape, events: int) -> Iterator[Happening]:
    """A workload in the order of time: its first `events` happenings, or about as many (see `Shape`)."""
    if shape.within:
        end_ms = shape.start_ms + shape.days * DAY
        return takewhile(lambda each: each.at_ms < end_ms, _happenings(shape, events))
    return islice(_happenings(shape, events), None if shape.whole else events)


def _happenings(shape: Shape, events: int) -> Iterator[Happening]:
    rng = Random(f"{shape.name} {shape.seed}")
    to_come: list[Happening] = []
    made = 0
    for mail in _mails(rng, shape, events):
        while to_come and to_come[0].at_ms <= mail.sent_ms:
            yield heapq.heappop(to_come)
        for at_ms, kind, person, variant in _life(rng, mail):
            heapq.heappush(to_come, Happening(at_ms, made, kind, person, mail, variant))
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


def _life(rng: Random, mail: Mail) -> Iterator[tuple[int, int, int, int]]:
    """What happens to a mail: time, kind, recipient, variant."""
    if rng.random() < 0.001:
        yield mail.sent_ms + SECOND, RENDERING_FAILED, 0, 0
        return
    yield mail.sent_ms, SENT, 0, 0
    if rng.random() < 0.001:
        yield mail.sent_ms + 2 * SECOND, REJECTED, 0, 0
        return
    read_from = 0
    for person in range(len(mail.people)):
        at_ms = mail.sent_ms + 400 + int(rng.random() * 8 * SECOND)
        if rng.random() < 0.01:
            yield at_ms, DELAYED, person, 0
            at_ms += 2 * MINUTE + int(rng.random() * 3 * HOUR)
        if rng.random() < 0.02:
            yield at_ms, BOUNCED, person, _pick(rng, _BOUNCES)
            continue
        yield at_ms, DELIVERED, person, 0
        read_from = read_from or at_ms
        if rng.random() < 0.001:
            complained_ms = at_ms + HOUR + int(rng.random() * DAY)
            yield complained_ms - complained_ms % SECOND, COMPLAINED, person, 0  # the provider's clock
    if read_from and rng.random() < 0.45:
        yield from _reading(rng, read_from)


def _reading(rng: Random, at_ms: int) -> Iterator[tuple[int, int, int, int]]:
    while True:
        at_ms += 5 * SECOND + int(_exponential(rng) * 6 * HOUR)
        yield at_ms, OPENED, 0, _pick(rng, _READERS)
        if rng.random() < 0.25:
            yield at_ms + 2 * SECOND + int(rng.random() * MINUTE), CLICKED, 0, _pick(rng, _READERS)
        if rng.random() < 0.004:
            yield at_ms + MINUTE, SUBSCRIPTION, 0, _pick(rng, _SUBSCRIPTIONS)
        if rng.random() < 0.55:
            return


_BOUNCES, _READERS, _SUBSCRIPTIONS = (
    list(accumulate(row.share for row in rows)) for rows in (BOUNCES, READERS, SUBSCRIPTIONS)
)


def _pick(rng: Random, shares: list[float]) -> int:
    """A place, by shares that were added up to 1."""
    return bisect(shares, rng.random(), hi=len(shares) - 1)


def tenant_name(tenant: int) -> str:
    """The tenant's id, as its tag says it."""
    return f"tenant-{tenant:05}"


def sequence_name(sequence: int) -> str:
    """The sequence's id; tenants call theirs alike, as numbers given by a program are."""
    return f"seq-{sequence:03}"


def template_name(template: int) -> str:
    """The template's id."""
    return f"tpl-{template:04}"
