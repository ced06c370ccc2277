"""What rows of the archive say under some rules: readings, as `counting.reading` makes them of records.

An archived record that is refused becomes no dead letter here: its bytes are not there. It has one wherever a
worker has passed it, as dead letters come before checkpoints.
"""

from collections.abc import Iterator
from operator import itemgetter
from sys import getsizeof
from typing import Any, Final

from aggregator.counting.checkpoints import Events
from aggregator.counting.facts import Facts, Refusal
from aggregator.counting.reading import RECIPIENT_BYTES, WEIGHT_A_READING, Reading
from aggregator.history.plain import Plain, PlainLaw
from aggregator.log.bulk_reader import BATCH
from schemas.redis_keys import lane_of

_OFFSET: Final = itemgetter(0)


def readings_of(law: PlainLaw, lanes: int, batch: Any) -> Iterator[tuple[Reading, list[int]]]:
    """What the rows of a record batch say, a bounded part at a time.

    law: of the rules. lanes: how many the generation has.
    Returns: readings, each with an `end`, and the offsets that are refused.
    """
    rows = batch.num_rows
    at_once = max(1, min(BATCH, rows * WEIGHT_A_READING // max(1, batch.nbytes)))
    for first in range(0, rows, at_once):
        part = batch.slice(first, at_once)
        reading, refused = _reading(law.read(part), lanes)
        reading.end = part.column("offset")[-1].as_py() + 1
        yield reading, refused


def _reading(plain: Plain, lanes: int) -> tuple[Reading, list[int]]:
    reading, refused = Reading(stated=plain.stated, weight=plain.weight), list[int]()
    by_lane: list[Events] = [[] for _ in range(lanes)]
    places = [by_lane[lane_of(each.tenant, lanes)] if each else [] for each in plain.scopes]
    for place, event in zip(map(places.__getitem__, plain.of), plain.events, strict=True):
        place.append(event)
    for offset, outcome in plain.others:
        if type(outcome) is Facts:
            by_lane[lane_of(outcome.scopes.tenant, lanes)].append((offset, outcome))
            reading.stated[outcome.kinds] += len(outcome.recipients)
            reading.weight += getsizeof(outcome.message_id) + RECIPIENT_BYTES * len(outcome.recipients)
            continue
        reading.outcomes[str(outcome)] += 1
        if isinstance(outcome, Refusal):
            refused.append(offset)
    for lane, events in enumerate(by_lane):
        if events:
            events.sort(key=_OFFSET)  # the plain ones came first
            reading.by_lane[lane] = events
    reading.outcomes["counted"] = sum(map(len, by_lane))
    return reading, refused
