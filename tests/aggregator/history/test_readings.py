"""Rows of the archive say what their records say, but that they make no dead letters."""

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.archive.columns import columns_of
from aggregator.archive.restore import SlimLaw
from aggregator.archive.slim import Reducer
from aggregator.counting.decode import Decoder
from aggregator.counting.reading import read_all
from aggregator.counting.rules import Rules
from aggregator.history import readings
from aggregator.history.plain import PlainLaw
from aggregator.history.readings import readings_of
from tests.examples import examples
from tests.strategies import Record, records

LANES: Final = 4
RULES: Final = Rules(recipient_key=b"sixteen bytes or more")
DECODER, LAW, REDUCER = Decoder(RULES), PlainLaw(SlimLaw(RULES)), Reducer(RULES.recipient_key)


@settings(max_examples=examples(60))
@given(st.lists(records(), min_size=1, max_size=12), st.sampled_from([1, 5, 20_000]))
def test_rows_are_read_as_their_records_are(drawn: list[Record], at_once: int) -> None:
    """The same events of each lane and the same outcomes, in parts that end one after the other."""
    sent = [Record(each.value, each.timestamp, 3 * at, each.key) for at, each in enumerate(drawn)]
    (whole,) = read_all(DECODER, LANES, iter(sent))
    batch = columns_of("topic", 0, list(map(REDUCER.reduce, sent)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(readings, "BATCH", at_once)
        parts = list(readings_of(LAW, LANES, batch))
    assert [reading.end for reading, _ in parts] == [
        sent[min(at + at_once, len(sent)) - 1].offset + 1 for at in range(0, len(sent), at_once)
    ]
    together = {
        lane: [event for reading, _ in parts for event in reading.by_lane.get(lane, [])]
        for lane in whole.by_lane
    }
    assert together == whole.by_lane
    outcomes, stated = whole.outcomes.copy(), whole.stated.copy()
    for reading, _ in parts:
        stated.subtract(reading.stated)
        assert reading.dead_letters == []
        outcomes.subtract(reading.outcomes)
    assert not any(outcomes.values())
    assert not any(stated.values())
    assert [at for _, refused in parts for at in refused] == [each.offset for each in whole.dead_letters]
