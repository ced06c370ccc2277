"""Faust's own faults, provoked: whatever fetches and batches become of, the numbers are exact.

The worker is the true one; only what Faust hands on is disturbed (`tests.chaos.faulty`).
"""

from collections.abc import Callable

import pytest

from tests.chaos import view
from tests.chaos.arena import LIMIT_S, Arena, now_ms
from tests.pipeline import events
from tests.pipeline.programs import Program, wait_until

FAULTS = ("lose", "skip", "late", "cancel", "raise", "break")
PIECES = 12
PIECE = 400


def faulty(arena: Arena, seed: int, *faults: str) -> Program:
    """A worker on a Faust with these faults."""
    return arena.place.programs.start(
        "tests.chaos.faulty",
        AGGREGATOR_PORT="0",
        CONSUMER_GROUP=arena.place.programs.group,
        FAULT_SEED=str(seed),
        FAULTS=",".join(faults),
    )


def send_in_pieces(arena: Arena, seed: int) -> None:
    """Some thousand records, a little at a time, so that there are many fetches."""
    records = events.records(seed, now_ms(), PIECES * PIECE, tenants=8)
    for first in range(0, len(records), PIECE):
        arena.place.send(records[first : first + PIECE])


def check_checkpoints(arena: Arena) -> None:
    """All is counted without another record: what was lost last is found by the tick."""
    wait_until(
        lambda: view.is_counted(arena.redis, arena.place.ends()), "every checkpoint is at the end", LIMIT_S
    )


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_of_faust(arena: Arena, fault: str, record_property: Callable[[str, object], None]) -> None:
    """A fetch or a batch is lost, cut, late, or raises, again and again: read once more, exact."""
    worker = faulty(arena, 1, fault)
    worker.wait_until_ready()
    for seed in range(1, 10):  # where the machine is slow there are few fetches, and large ones
        send_in_pieces(arena, seed)
        check_checkpoints(arena)
        if worker.said("disturbed"):
            break
    assert not worker.said("no records at these offsets"), "a fault is taken for a hole in the log"
    arena.check()
    times = len(worker.said("disturbed"))
    record_property("times", times)
    assert times, "nothing was disturbed"
    assert worker.running
    arena.place.check_dead_letters(arena.place.naive_dead_letters())


def test_all_faults_of_faust_and_rebalances(arena: Arena) -> None:
    """All of them together, while workers come and go: late fetches are of revoked partitions too."""
    first = faulty(arena, 2, *FAULTS)
    first.wait_until_ready()
    send_in_pieces(arena, 2)
    second = faulty(arena, 3, *FAULTS)
    wait_until(lambda: bool(second.said("counting")), "the second one counts", LIMIT_S)
    send_in_pieces(arena, 3)
    assert first.stop() == 0
    third = faulty(arena, 4, *FAULTS)
    send_in_pieces(arena, 4)
    wait_until(lambda: bool(third.said("counting")), "the third one counts", LIMIT_S)
    second.kill()

    def reported() -> set[str]:
        return {line["fault"] for worker in (first, second, third) for line in worker.said("disturbed")}

    for seed in range(5, 30):
        send_in_pieces(arena, seed)
        check_checkpoints(arena)
        if reported() == set(FAULTS):
            break
    assert reported() == set(FAULTS)
    arena.check()
    assert third.running
    arena.place.check_dead_letters(arena.place.naive_dead_letters())
