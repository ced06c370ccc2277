"""The mail of a year, step by step, with what an independent count makes of it. Pure.

A step is a span of days. Its records are those of `tests.pipeline.events`, of up to 14 days before its end;
some of those that count are repeated weeks later, byte for byte, when what they repeat may long be in the
archive alone. No mail belongs to two steps, so what is counted step by step adds up.
"""

from collections.abc import Iterator, Mapping, Sequence
from heapq import heappop, heappush
from random import Random
from typing import Final, NamedTuple

from deploy.traffic import DAY
from tests.pipeline import events, oracle
from tests.pipeline.log import Outgoing
from tests.pipeline.place import time_of

DAYS: Final = 365
REPEATED: Final = 0.05
"""Of the records that count, the share that comes once more..."""
REPEATED_WITHIN: Final = 80 * DAY
"""... so much later at most. Then it may count no more: what it says was counted before."""


class Step(NamedTuple):
    """A span of days. day: where it ends. records: to be sent. mails: those of its own, to be counted."""

    day: int
    records: Sequence[Outgoing]
    mails: Sequence[Outgoing]


def year(seed: int, end_ms: int, number: int, steps: int) -> Iterator[Step]:
    """The year before `end_ms`, in so many steps. number: of records, about."""
    rng = Random(seed)
    later: list[tuple[int, int, Outgoing]] = []
    for step in range(steps):
        day = (step + 1) * DAYS // steps
        now_ms = end_ms - (DAYS - day) * DAY
        mails = events.records(seed * 10_000 + step, now_ms, round(number / steps / (1 + REPEATED)))
        repeated = []
        for each in rng.sample(mails, round(len(mails) * REPEATED)):
            again = each._replace(time_ms=each.time_ms + rng.randrange(REPEATED_WITHIN))
            if again.time_ms <= end_ms and oracle.read(each.value, time_of(each.time_ms)).facts:
                heappush(later, (max(again.time_ms, now_ms), rng.getrandbits(62), again))
                repeated.append(again)
        due = []
        while later and later[0][0] <= now_ms:
            due.append(heappop(later)[-1])
        yield Step(day, [*mails, *due], [*mails, *repeated])


def counted(records: Sequence[Outgoing], tags: Mapping[str, str]) -> dict[oracle.Cell, int]:
    """What an independent count makes of records. tags: of the further scopes, by their names."""
    return oracle.count(((each.value, time_of(each.time_ms)) for each in records), tags).cells()
