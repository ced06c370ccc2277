"""The lag of each partition: told by who has it, and growing while it is not counted."""

from collections.abc import Iterator

import pytest
from prometheus_client import generate_latest

from aggregator import metrics
from aggregator.worker.lag import Lags
from tests.metrics_text import by_partition


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lags(clock: Clock) -> Iterator[Lags]:
    made = Lags(clock)
    yield made
    made.hold(())


def reported(metric: str = "seconds") -> dict[int, float]:
    return by_partition(generate_latest(metrics.WORKER).decode(), f"aggregator_lag_{metric}")


def test_a_lag_grows_while_nothing_is_said_of_it(clock: Clock, lags: Lags) -> None:
    """It is worked out when it is read: a worker that waits, for whatever reason, shows how long."""
    lags.hold([0, 3])
    lags.complete(3, clock.ms - 2_000)
    lags.unread(3, 17)
    assert reported() == {0: 0, 3: 2}
    clock.ms += 400_000
    lags.hold([0, 3])  # each try to begin says so again
    assert reported() == {0: 400, 3: 402}
    assert reported("records") == {3: 17}


def test_what_is_taken_away_leaves_nothing_behind(clock: Clock, lags: Lags) -> None:
    """Another worker has it now, and its number there is the one; given back, it begins anew."""
    lags.hold([0, 1])
    lags.complete(0, clock.ms - 600_000)
    lags.unread(0, 5)
    lags.hold([1])
    assert (reported(), reported("records")) == ({1: 0}, {})
    lags.hold([0, 1])
    assert reported() == {0: 0, 1: 0}
    lags.hold(())
    assert reported() == {}


def test_a_clock_that_was_set_back_makes_no_lag_below_zero(clock: Clock, lags: Lags) -> None:
    lags.hold([0])
    clock.ms -= 5_000
    assert reported() == {0: 0}
