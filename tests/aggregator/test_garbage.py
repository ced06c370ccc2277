"""That processes which count may look for garbage seldom."""

import gc
from typing import Final

from aggregator.counting.checkpoints import FACTS_A_CALL
from aggregator.counting.decode import Decoder
from aggregator.counting.pack import pack
from aggregator.counting.reading import Record, read_all
from aggregator.counting.rules import Rules
from aggregator.garbage import look_seldom
from tests.aggregator.lanes import IDENTITIES
from tests.benchmarks import events
from tests.benchmarks.workload import REFERENCE, happenings

DECODER: Final = Decoder(Rules())
UNREADABLE: Final = (
    None,
    b"{",
    b"\xff",
    b'{"eventType": "Send", "mail": {"tags": {"tenant": [{}]}}}',
    b"[" * 2_000,
)


def count() -> int:
    """Read and pack some events, and what is none. Returns: how many state facts."""
    reported = [(each.value, each.timestamp_ms) for each in events.records(happenings(REFERENCE, 500))]
    values = [*reported, *((value, 0) for value in UNREADABLE)]
    records = [Record(offset, ms, None, value) for offset, (value, ms) in enumerate(values)]
    facts = []
    for reading in read_all(DECODER, 1, iter(records)):
        facts += [each for _, each in reading.by_lane[0]]
    pack([], facts, IDENTITIES)
    return len(facts)


def test_what_counting_makes_is_gone_without_a_look_for_cycles() -> None:
    """Of events and of what is refused alike: else memory would grow from look to look."""
    assert count() > 400  # caches are full
    gc.collect()
    gc.disable()
    try:
        count()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_python_looks_after_more_than_a_call_makes() -> None:
    """Some ten containers an event."""
    before = gc.get_threshold()
    try:
        look_seldom()
        assert gc.get_threshold()[0] > 10 * FACTS_A_CALL
    finally:
        gc.set_threshold(*before)
