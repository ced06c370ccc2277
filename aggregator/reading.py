"""From a fetched batch to what must be done with it. Pure.

A fetched batch is read record by record; what comes out are the events of each lane, the dead letters, and
how many records had which outcome.
"""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from aggregator.facts import Facts, Reader, Refusal, Scopes
from aggregator.fences import Events
from schemas.counters import lane_of

FLOOD_WINDOW: Final = 1000


class KafkaRecord(Protocol):
    """What we use of a record, whichever client read it."""

    @property
    def offset(self) -> int:
        """Its offset in the partition."""

    @property
    def timestamp(self) -> int:
        """Its own Kafka time, in ms since 1970."""

    @property
    def key(self) -> bytes | None:
        """Its key."""

    @property
    def value(self) -> bytes | None:
        """Its value."""


@dataclass(slots=True)
class Reading:
    """What a batch says.

    by_lane: the events that state facts. letters: what was refused, and why. unreadable: which of the records
    (from 0) were. outcomes: counts records by the outcome's name; `counted` stands for facts.
    """

    by_lane: dict[int, Events] = field(default_factory=dict)
    letters: list[tuple[KafkaRecord, Refusal]] = field(default_factory=list)
    unreadable: list[int] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)


def read_batch(reader: Reader, lanes: int, records: Iterable[KafkaRecord]) -> Reading:
    """Read a batch.

    reader: the rules. lanes: how many lanes the generation has. records: of one partition, in order.
    """
    reading = Reading()
    by_lane, outcomes = reading.by_lane, reading.outcomes
    places: dict[Scopes, Events] = {}
    read = reader.read
    for number, record in enumerate(records):
        outcome = read(record.value, record.timestamp)
        if type(outcome) is Facts:
            events = places.get(outcome.scopes)
            if events is None:
                lane = lane_of(outcome.scopes.tenant, lanes)
                events = places[outcome.scopes] = by_lane.setdefault(lane, [])
            events.append((record.offset, outcome))
        elif isinstance(outcome, Refusal):
            reading.letters.append((record, outcome))
            outcomes[outcome] += 1
            if outcome is Refusal.UNREADABLE:
                reading.unreadable.append(number)
        else:
            outcomes[str(outcome)] += 1
    outcomes["counted"] = sum(map(len, by_lane.values()))
    return reading


class FloodWatch:
    """Tells a bad deploy from bad data: whether most of the last records could not be read.

    Only `unreadable` counts: no tag that a tenant chooses makes a record unreadable.
    """

    def __init__(self) -> None:
        self._last: deque[bool] = deque(maxlen=FLOOD_WINDOW)

    def is_flood(self, number: int, unreadable: Iterable[int]) -> bool:
        """Take in a batch.

        number: of its records. unreadable: which of them (from 0) could not be read, in order.
        Returns: whether at some record more than half of the last 1,000 were unreadable.
        """
        bad = set(unreadable)
        last = self._last
        total = sum(last)
        if not bad and not total:  # nearly always
            last.extend([False] * min(number, FLOOD_WINDOW))
            return False
        for index in range(number):
            if len(last) == FLOOD_WINDOW:
                total -= last[0]
            last.append(index in bad)
            total += last[-1]
            if len(last) == FLOOD_WINDOW and total * 2 > FLOOD_WINDOW:
                return True
        return False
