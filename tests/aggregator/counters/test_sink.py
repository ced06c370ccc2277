"""The order of what is applied: what stands behind a failure is not done, whoever submitted it."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any, cast

import pytest

from aggregator.counters.apply import Applied, Packed
from aggregator.counters.sink import NotAppliedError, Sink
from aggregator.counters.store import LaneCall
from aggregator.counting.checkpoints import Backlog, Move
from aggregator.counting.facts import Refusal
from aggregator.counting.reading import DeadLetter, Pending, Reading
from aggregator.errors import UndeliveredError

DEAD_LETTER = DeadLetter(4, 0, None, b"{", Refusal.UNREADABLE)


class Calls:
    """A Redis and a Kafka of which only the order of what they are asked is known."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.may_go_on = Event()
        self.may_go_on.set()
        self.in_call = Event()
        self.kafka_is_away = False

    def fold(self, _backlog: Backlog) -> list[Packed]:
        return []

    def count(self, _calls: Iterable[Packed]) -> Applied:
        self.in_call.set()
        assert self.may_go_on.wait(10)
        self.done.append("count")
        return Applied(new=3)

    def move(self, calls: Sequence[LaneCall]) -> None:
        self.done.append(f"move {[call.lane for call in calls]}")

    def write(self, partition: int, dead_letters: Sequence[DeadLetter]) -> None:
        if self.kafka_is_away:
            raise UndeliveredError("Kafka is out of reach")
        self.done.append(f"write {partition} {[each.offset for each in dead_letters]}")


def refused() -> Pending:
    pending = Pending()
    pending.add(2, Reading(dead_letters=[DEAD_LETTER]), [])
    return pending


def with_sinks(work: Callable[[Calls, Callable[[], Sink]], None]) -> list[str]:
    """Runs something with a thread and whatever makes a sink in it. Returns: what was done, in order."""
    calls = Calls()
    anything = cast("Any", calls)
    with ThreadPoolExecutor(1) as thread:
        work(calls, lambda: Sink(thread, anything, anything))
    return calls.done


def test_dead_letters_are_written_before_the_calls_that_pass_their_records() -> None:
    def work(_calls: Calls, new: Callable[[], Sink]) -> None:
        sink = new()
        assert sink.count(refused()).result() == Applied(new=3)
        sink.move({0: [Move(2, 4, 5)], 1: []}).result()

    assert with_sinks(work) == ["write 2 [4]", "count", "move [0]"]


def test_a_dead_letter_that_was_written_before_is_not_kept() -> None:
    """Of a rebuild: the worker that counted the record first wrote it."""
    pending = Pending()
    pending.add(2, Reading(dead_letters=[DEAD_LETTER, DEAD_LETTER._replace(offset=9)]), [], 5)
    assert [each.offset for each in pending.dead_letters[2]] == [9]


def test_after_a_failure_nothing_is_applied_and_a_new_sink_goes_on() -> None:
    """A dead letter that Kafka did not take stops all that could move a checkpoint past it."""

    def work(calls: Calls, new: Callable[[], Sink]) -> None:
        sink = new()
        calls.may_go_on.clear()
        first = sink.count(Pending())
        calls.kafka_is_away = True
        failed, queued, moved = sink.count(refused()), sink.count(Pending()), sink.move({0: [Move(2, 4, 5)]})
        calls.may_go_on.set()
        assert first.result() == Applied(new=3)
        with pytest.raises(UndeliveredError):
            failed.result()
        calls.kafka_is_away = False
        for job in (queued, moved, sink.count(refused())):
            with pytest.raises(NotAppliedError):
                job.result()
        new().count(refused()).result()

    assert with_sinks(work) == ["count", "write 2 [4]", "count"]


def test_a_sink_that_was_stopped_ends_the_call_that_it_is_in() -> None:
    def work(calls: Calls, new: Callable[[], Sink]) -> None:
        sink = new()
        calls.may_go_on.clear()
        begun, waiting = sink.count(Pending()), sink.count(Pending())
        assert calls.in_call.wait(10)
        sink.stop()
        calls.may_go_on.set()
        assert begun.result() == Applied(new=3)
        with pytest.raises(NotAppliedError):
            waiting.result()

    assert with_sinks(work) == ["count"]
