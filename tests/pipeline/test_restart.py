"""Crashes: a worker may end or stand still at any moment, and the numbers are those of a naive count.

Where a worker is hit in mid-stream, the checkpoints show that it has begun with the records that lie ready
and that it has not come to their end.
"""

import time

from schemas import topics
from tests.pipeline import events, log
from tests.pipeline.place import Place, naive_count
from tests.pipeline.programs import Program

TENANTS = 6
PIECE = 20_000


def counted(place: Place) -> int:
    """How far all lanes are, together."""
    return sum(map(sum, place.checkpoints()))


def wait_until_in_the_middle(place: Place, worker: Program, before: int) -> None:
    """Return as soon as more is counted than `before`: what was there before the next records were sent."""
    worker.wait_until(lambda: counted(place) > before, "it begins to count")


def is_in_the_middle(place: Place) -> bool:
    """Whether a lane has still to come to the topic's end."""
    ends = place.ends()
    return any(lane != ends for lane in place.checkpoints())


def test_killed_in_mid_stream(place: Place) -> None:
    """A worker that is killed by SIGKILL in mid-stream, again and again, leaves no number wrong.

    The first to follow is of the same group, and waits for the end of the dead one's session; the next ones
    are of other groups and begin at once.
    """
    records = events.records(7, time.time_ns() // 1_000_000, 5 * PIECE, TENANTS)
    first, *left = (records[at : at + PIECE] for at in range(0, len(records), PIECE))
    place.send([*first, *left.pop(0)])
    hits: list[bool] = []
    before = 0
    worker = place.programs.worker()
    same, other = place.programs.group, f"{place.programs.group}-other"
    for number, group in enumerate((same, other, other + "-yet")):
        wait_until_in_the_middle(place, worker, before)
        worker.kill()
        hits.append(is_in_the_middle(place))
        before = counted(place)
        if number or not hits[-1]:  # whoever comes next has something to count
            place.send(left.pop(0))
        worker = place.programs.worker(group)
    assert any(hits), "no kill came before the end: send bigger pieces"
    for piece in left:
        place.send(piece)
    place.wait_until_counted(worker)
    place.check_dead_letters(place.naive_dead_letters())
    api = place.programs.api()
    place.make_keys(events.TENANTS[:TENANTS])
    api.wait_until_ready()
    place.check(api, naive_count(records))


def test_two_workers_one_killed_one_frozen(place: Place) -> None:
    """Of two workers one is killed, one stands still past its session and goes on: all is counted once."""
    records = events.records(8, time.time_ns() // 1_000_000, 4 * PIECE, TENANTS)
    pieces = [records[at : at + PIECE] for at in range(0, len(records), PIECE)]
    frozen, killed = place.programs.worker(), place.programs.worker()
    for worker in (frozen, killed):
        worker.wait_until_ready()
    both_have_partitions(place, frozen, killed)
    before = counted(place)
    place.send(pieces[0])
    wait_until_in_the_middle(place, frozen, before)
    frozen.freeze()
    killed.kill()
    place.send(pieces[1])
    third = place.programs.worker()
    place.wait_until_counted(third)
    place.send(pieces[2])
    frozen.thaw()
    place.send(pieces[3])
    place.wait_until_counted(third)
    both_have_partitions(place, frozen, third)
    place.wait_until_counted(frozen)
    place.check_dead_letters(place.naive_dead_letters())
    api = place.programs.api()
    place.make_keys(events.TENANTS[:TENANTS])
    api.wait_until_ready()
    place.check(api, naive_count(records))


def both_have_partitions(place: Place, one: Program, other: Program) -> None:
    """Wait until two workers of a group share the partitions, as each of them says."""

    def shared() -> bool:
        begun = [worker.said("counting") for worker in (one, other)]
        positions = [lines[-1]["positions"] for lines in begun if lines]
        return len(positions) == 2 and all(positions) and sum(map(len, positions)) == topics.EVENTS.partitions

    one.wait_until(shared, "the partitions are shared")
    assert len(log.ends(place.bootstrap, place.programs.events_topic)) == topics.EVENTS.partitions
