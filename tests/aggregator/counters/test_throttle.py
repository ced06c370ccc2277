"""How a rebuild is throttled beside a service."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from aggregator.counters.throttle import ALONE, FACTS_A_CALL_MAX, FACTS_A_CALL_MIN, THROTTLED, lower_priority


@pytest.mark.parametrize(
    ("facts", "took_s", "expected"),
    [
        (400, 0.004, 200),
        (400, 0.001, 800),
        (400, 0.002, 400),
        (100, 1.0, FACTS_A_CALL_MIN),
        (2000, 0.0001, FACTS_A_CALL_MAX),
    ],
)
def test_calls_hold_what_there_is_time_for(facts: int, took_s: float, expected: int) -> None:
    """As much longer or shorter as the last ones were, within bounds."""
    assert THROTTLED.call_s == 0.002
    assert THROTTLED.facts_next(facts, took_s) == expected


def test_alone_a_call_takes_what_it_takes() -> None:
    """Nobody is served meanwhile."""
    assert ALONE.facts_next(FACTS_A_CALL_MAX, 10.0) == FACTS_A_CALL_MAX


def test_half_of_the_processors_when_idle() -> None:
    """The other half is never kept from taking waiting work over; a thread keeps it to itself."""
    before = os.sched_getaffinity(0)

    def given_way() -> tuple[set[int], int]:
        lower_priority()
        return os.sched_getaffinity(0), os.sched_getscheduler(0)

    with ThreadPoolExecutor(1) as pool:
        processors, policy = pool.submit(given_way).result()
    assert processors < before or len(before) == 1
    assert len(processors) == (len(before) + 1) // 2
    assert policy == os.SCHED_IDLE
    assert os.sched_getaffinity(0) == before
