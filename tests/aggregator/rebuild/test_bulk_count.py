"""Counting in bulk ends with the first call that fails, also where others wait behind it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from threading import Event
from typing import Any

import pytest

from aggregator.config import AggregatorSettings
from aggregator.counters.store import Answer, LaneCall
from aggregator.counters.throttle import ALONE
from aggregator.counting.decode import Decoder
from aggregator.counting.reading import DeadLetter, KafkaRecord, Record, read_batch
from aggregator.counting.rules import NO_ERASURES, Erasures, Rules
from aggregator.errors import UndeliveredError
from aggregator.history.reader import Part
from aggregator.rebuild import bulk_count
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


def test_no_call_passes_a_record_whose_dead_letter_was_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that were submitted meanwhile would: then the dead letter would be lost for good."""
    others_wait = Event()
    applied: list[Sequence[LaneCall]] = []

    class Counters:
        def __init__(self, _settings: object) -> None:
            self.open = self.close = lambda: None

        def checkpoints(self, _generation: Generation) -> list[dict[int, int]]:
            return [{}]

        def apply(self, _generation: Generation, calls: Sequence[LaneCall]) -> list[Answer]:
            applied.append(calls)
            return [Answer("OK") for _ in calls]

    class DeadLetters:
        def __init__(self, _settings: object) -> None:
            """There is no Kafka."""

        def write(self, _partition: int, dead_letters: Sequence[DeadLetter]) -> None:
            if dead_letters:
                assert others_wait.wait(10)
                raise UndeliveredError("Kafka is out of reach")

    class Erasers:
        def __init__(self, _settings: object, store: Counters) -> None:
            self._store = store
            self.close = lambda: None

        def checkpoints(self, generation: Generation) -> tuple[Erasures, list[dict[int, int]]]:
            return NO_ERASURES, self._store.checkpoints(generation)

    def progress(_partition: int, offset: int) -> None:
        if offset > bulk_count.IN_FLIGHT - 1:
            others_wait.set()

    fakes: dict[str, Any] = {
        "Store": Counters,
        "Eraser": Erasers,
        "DeadLetterWriter": DeadLetters,
        "History": Log,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(bulk_count, name, fake)
    monkeypatch.setattr(bulk_count, "AT_ONCE", 1)
    with pytest.raises(UndeliveredError):
        bulk_count.count_until(
            AggregatorSettings(),
            GENERATION,
            {0: 41},
            dead_lettered={0: 0},
            progress=progress,
            pace=ALONE,
            lock=nullcontext(),
        )
    assert others_wait.is_set()
    assert applied == []
