"""Counting in bulk ends with the first call that fails, or early where it is asked to; it passes nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from threading import Event
from typing import Any

import msgpack
import pytest

from aggregator.bulk import count
from aggregator.config import AggregatorSettings
from aggregator.counters.store import Answer, LaneCall
from aggregator.counters.throttle import ALONE
from aggregator.counting.decode import Decoder
from aggregator.counting.reading import DeadLetter, KafkaRecord, Record, read_batch
from aggregator.counting.rules import NO_ERASURES, Erasures, Rules
from aggregator.errors import UndeliveredError
from aggregator.history.reader import Part
from schemas.counters import Generation
from tests.aggregator.generations import GENERATION
from tests.pipeline import events

NOW = 1_764_000_000_000


class Log:
    """A partition with a record that can't be read, and good ones behind it."""

    without_dead_letter = 0

    def __init__(self, _settings: object, _topic_id: str, _erasures: Erasures) -> None:
        sent = [each.value for each in events.records(1, NOW, 40, tenants=1)]
        self.rows: list[KafkaRecord] = [Record(0, NOW, None, b"{")]
        self.rows += [Record(at, NOW, None, value) for at, value in enumerate(sent, 1)]

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def readings(self, lanes: int, *_: Mapping[int, int]) -> Iterator[Part]:
        decoder = Decoder(Rules())
        for row in self.rows:
            yield Part(0, row.offset + 1, read_batch(decoder, lanes, iter([row])))


class Counters:
    """A Redis that takes everything."""

    def __init__(self, _settings: object) -> None:
        self.open = self.close = lambda: None

    def checkpoints(self, _generation: Generation) -> list[dict[int, int]]:
        return [{}]

    def apply(self, _generation: Generation, calls: Sequence[LaneCall]) -> list[Answer]:
        APPLIED.extend(calls)
        return [Answer("OK") for _ in calls]


APPLIED: list[LaneCall] = []


class Erasers:
    """No tenant is erased."""

    def __init__(self, _settings: object, store: Counters) -> None:
        self._store = store
        self.close = lambda: None

    def checkpoints(self, generation: Generation) -> tuple[Erasures, list[dict[int, int]]]:
        return NO_ERASURES, self._store.checkpoints(generation)


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither Redis nor Kafka; each part that is read is a batch of its own."""
    APPLIED.clear()
    replaced: dict[str, Any] = {"Store": Counters, "Eraser": Erasers, "History": Log, "AT_ONCE": 1}
    for name, fake in replaced.items():
        monkeypatch.setattr(count, name, fake)


def count_until(leave: Callable[[], bool]) -> int:
    return count.count_until(
        AggregatorSettings(),
        GENERATION,
        {0: 41},
        dead_lettered={0: 0},
        pace=ALONE,
        lock=nullcontext(),
        leave=leave,
    )


def test_no_call_passes_a_record_whose_dead_letter_was_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that were submitted meanwhile would: then the dead letter would be lost for good."""
    others_wait = Event()
    parts: list[int] = []

    class DeadLetters:
        def __init__(self, _settings: object) -> None:
            """There is no Kafka."""

        def write(self, _partition: int, dead_letters: Sequence[DeadLetter]) -> None:
            if dead_letters:
                assert others_wait.wait(10)
                raise UndeliveredError("Kafka is out of reach")

    def leave() -> bool:
        parts.append(1)
        if len(parts) == count.IN_FLIGHT:
            others_wait.set()
        return False

    monkeypatch.setattr(count, "DeadLetterWriter", DeadLetters)
    with pytest.raises(UndeliveredError):
        count_until(leave)
    assert others_wait.is_set()
    assert APPLIED == []


@pytest.mark.parametrize(("parts", "reached"), [(7, 7), (100, 41)])
def test_what_is_left_early_is_counted_as_far_as_it_was_read(
    monkeypatch: pytest.MonkeyPatch, parts: int, reached: int
) -> None:
    """Another one goes on at the checkpoints: behind them would be lost what nobody has read."""

    class DeadLetters:
        def __init__(self, _settings: object) -> None:
            """There is no Kafka."""

        def write(self, _partition: int, dead_letters: Sequence[DeadLetter]) -> None:
            """It is written."""

    monkeypatch.setattr(count, "DeadLetterWriter", DeadLetters)
    left = iter(range(parts - 1))
    count_until(lambda: next(left, None) is None)
    ends = [end for call in APPLIED for _, _, end, _ in msgpack.unpackb(call.argument, raw=True)[0]]
    assert ends == sorted(ends)
    assert ends[-1] == reached, "it passes what is not counted"
