"""What rows of the archive say under some rules: readings, as `counting.reading` makes them of records.

An archived record that is refused becomes no dead letter here: its bytes are not there. It has one wherever a
worker has passed it, as dead letters come before checkpoints.
"""

from collections.abc import Iterator
from sys import getsizeof
from typing import Any

from aggregator.archive.columns import events_of
from aggregator.archive.restore import SlimLaw
from aggregator.counting.checkpoints import Events
from aggregator.counting.facts import Facts, Refusal, Scopes
from aggregator.counting.reading import WEIGHT_A_READING, Reading
from aggregator.log.bulk_reader import BATCH
from schemas.redis_keys import lane_of


def readings_of(law: SlimLaw, lanes: int, batch: Any) -> Iterator[tuple[Reading, list[int]]]:
    """What the rows of a record batch say, a bounded part at a time.

    law: of the rules. lanes: how many the generation has.
    Returns: readings, each with an `end`, and the offsets that are refused.
    """
    rows = batch.num_rows
    at_once = max(1, min(BATCH, rows * WEIGHT_A_READING // max(1, batch.nbytes)))
    for first in range(0, rows, at_once):
        yield _reading(law, lanes, batch.slice(first, at_once))


def _reading(law: SlimLaw, lanes: int, batch: Any) -> tuple[Reading, list[int]]:
    reading = Reading()
    by_lane, outcomes = reading.by_lane, reading.outcomes
    refused: list[int] = []
    places: dict[Scopes, Events] = {}
    weight = 0
    for slim in events_of(batch):
        outcome = law.outcome_of(slim)
        if type(outcome) is Facts:
            events = places.get(outcome.scopes)
            if events is None:
                lane = lane_of(outcome.scopes.tenant, lanes)
                events = places[outcome.scopes] = by_lane.setdefault(lane, [])
            events.append((slim.offset, outcome))
            weight += getsizeof(outcome.message_id) + sum(map(getsizeof, outcome.recipients))
            continue
        outcomes[str(outcome)] += 1
        if isinstance(outcome, Refusal):
            refused.append(slim.offset)
    outcomes["counted"] = sum(map(len, by_lane.values()))
    reading.weight = weight
    reading.end = batch.column("offset")[-1].as_py() + 1
    return reading, refused
