"""One reader over archive and topic: each offset once, or an error that says what is missing.

The topic is one in memory, which may be trimmed at any moment; the files are real ones.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Final

import pytest

from aggregator.archive.columns import events_of
from aggregator.archive.coverage import File
from aggregator.archive.file_writer import FileWriter
from aggregator.archive.slim import Reducer
from aggregator.archive.store import Store
from aggregator.config import AggregatorSettings
from aggregator.counting.facts import key_check
from aggregator.counting.reading import KafkaRecord
from aggregator.counting.rules import Erasures
from aggregator.errors import OtherLogError
from aggregator.history import reader
from aggregator.history.reader import History
from schemas.archive import KEY_CHECK_KEY, VERSION, VERSION_KEY
from tests.strategies import SOME_DAY, Record, event

END: Final = 40
REFUSED: Final = frozenset({5, 15, 25, 35})
IP: Final = "ses:source-ip"
LABELS: Final = {"tenant": ["acme"], IP: ["192.0.2.1"]}
LOG: Final = [
    Record(
        b"{" if at in REFUSED else json.dumps(event("Send", message_id=f"m-{at}", tags=LABELS)).encode(),
        SOME_DAY + at,
        at,
    )
    for at in range(END)
]
SAID: Final = {VERSION_KEY: str(VERSION), KEY_CHECK_KEY: key_check(b"")}


class Topic:
    """Partition 0 of a topic. first: of its offsets; a read of one below fails, as Kafka's does."""

    first = 0
    read: ClassVar[list[int]]

    def __init__(self, _settings: object) -> None:
        """Nothing is connected."""

    def close(self) -> None:
        """Nothing is open."""

    def ranges(self, partitions: int) -> dict[int, tuple[int, int]]:
        assert partitions == 1
        return {0: (self.first, END)}

    def offsets_since(self, partitions: int, since_ms: int) -> dict[int, int]:
        assert partitions == 1
        return {0: next((at for at in range(self.first, END) if LOG[at].timestamp >= since_ms), END)}

    def until(
        self, start: Mapping[int, int], stop: Mapping[int, int]
    ) -> Iterator[tuple[int, list[KafkaRecord]]]:
        assert start[0] >= min(self.first, stop[0])
        for at in range(start[0], stop[0]):
            self.read.append(at)
            yield 0, [LOG[at]]


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> type[Topic]:
    """Each test's own, as all of a history reads it."""
    made = type("Topic", (Topic,), {"read": []})
    monkeypatch.setattr(reader, "BulkReader", made)
    return made


@pytest.fixture
def settings(tmp_path: Path) -> AggregatorSettings:
    return AggregatorSettings(archive_url=f"file://{tmp_path}/archive")


def archive(settings: AggregatorSettings, *spans: tuple[int, int]) -> None:
    """Write files of these offsets."""
    store, reducer = Store(settings.archive_url), Reducer(b"")
    for first, next_ in spans:
        writer = FileWriter(store.unfinished(), SAID)
        writer.add("topic", 0, [reducer.reduce(each) for each in LOG[first:next_]])
        writer.close()
        store.put(writer.path, File("topic", 0, first, next_))


def slim_offsets(history: History, start: int, stop: int = END) -> list[int]:
    rows = history.slim({0: start}, {0: stop})
    return [each.offset for _, batch in rows for each in events_of(batch)]


def test_the_archive_is_read_and_then_the_topic(topic: type[Topic], settings: AggregatorSettings) -> None:
    archive(settings, (0, 10), (8, 30))
    topic.first = 20
    with History(settings, "topic") as history:
        assert history.ranges(1) == {0: (0, END)}
        assert history.archived({0: (0, END)}) == {0: 30}
        assert slim_offsets(history, 0) == list(range(END))
        assert slim_offsets(history, 12, 25) == list(range(12, 25))
        assert topic.read == list(range(30, END))
        assert history.offsets_since(1, SOME_DAY + 33) == {0: 33}
        assert history.offsets_since(1, SOME_DAY + 12) == {0: 10}, "that of its row group"


def test_what_is_trimmed_meanwhile_is_read_from_the_archive(
    topic: type[Topic], settings: AggregatorSettings
) -> None:
    """As the archive holds it by then: it is asked again where the topic begins once its part is read."""
    archive(settings, (0, 30))
    topic.first = 20
    with History(settings, "topic") as history:
        rows = history.slim({0: 0}, {0: END})
        found = [each.offset for each in events_of(next(rows)[1])]
        archive(settings, (30, 38))
        topic.first = 36
        found += [each.offset for _, batch in rows for each in events_of(batch)]
        assert found == list(range(END))
        assert topic.read == [38, 39]


def test_a_hole_is_an_error_and_never_passed_over(topic: type[Topic], settings: AggregatorSettings) -> None:
    archive(settings, (0, 10), (12, 30))
    topic.first = 20
    with History(settings, "topic") as history:
        assert history.ranges(1) == {0: (12, END)}
        with pytest.raises(OtherLogError, match="offset 10"):
            slim_offsets(history, 0)
        assert slim_offsets(history, 0, 10) == list(range(10))
    alone = AggregatorSettings()
    with History(alone, "topic") as history:
        assert history.ranges(1) == {0: (20, END)}
        with pytest.raises(OtherLogError, match="no archive has offset 19"):
            slim_offsets(history, 19)


@pytest.mark.parametrize(
    ("at", "turn", "unwritten"),
    [((20, 0), 20, 2), ((20, 18), 20, 0), ((20, 27), 27, 0), ((0, 0), 0, 0)],
)
def test_from_where_dead_letters_may_be_missing_the_topic_is_read(
    topic: type[Topic], settings: AggregatorSettings, at: tuple[int, int], turn: int, unwritten: int
) -> None:
    """There what is refused has its bytes. Of what only the archive has they are gone: it is counted.

    at: where the topic begins, and below which dead letters are written.
    """
    archive(settings, (0, 30))
    topic.first, dead_lettered = at
    with History(settings, "topic") as history:
        parts = list(history.readings(4, {0: 0}, {0: END}, {0: dead_lettered}))
        assert topic.read == list(range(turn, END))
        assert history.without_dead_letter == unwritten
    dead_letters = [each.offset for part in parts for each in part.reading.dead_letters]
    assert dead_letters == sorted(at for at in REFUSED if at >= turn)
    counted = [at for part in parts for events in part.reading.by_lane.values() for at, _ in events]
    assert counted == [at for at in range(END) if at not in REFUSED]
    assert [part.next for part in parts] == sorted({part.next for part in parts})
    assert parts[-1].next == END


def test_what_is_erased_states_nothing_wherever_it_is_read(
    topic: type[Topic], settings: AggregatorSettings
) -> None:
    """By the law alone: the archive still has the rows."""
    archive(settings, (0, 30))
    topic.first = 20
    for through in (25, 33):
        erasures = Erasures([(0, "acme", SOME_DAY + through)], 1)
        with History(settings, "topic", erasures) as history:
            parts = list(history.readings(4, {0: 0}, {0: END}, {0: END}))
        counted = [at for part in parts for events in part.reading.by_lane.values() for at, _ in events]
        assert counted == [at for at in range(through + 1, END) if at not in REFUSED]
        erased = sum(part.reading.outcomes["erased"] for part in parts)
        assert erased == len(set(range(through + 1)) - REFUSED)


@pytest.mark.parametrize(("scope_tags", "kept"), [(f"ip={IP}", True), ("", False)])
def test_tags_that_hold_ips_count_where_the_topic_alone_is_read(
    topic: type[Topic], scope_tags: str, kept: bool
) -> None:
    """No archive has them; without one, rules may use them."""
    assert topic.first == 0
    rules = AggregatorSettings(scope_tags=scope_tags) if scope_tags else AggregatorSettings()
    with History(rules, "topic") as history:
        ((_, batch),) = history.slim({0: 38}, {0: 39})
    (found,) = events_of(batch)
    assert ("ses:source-ip" in dict(found.tags or ())) == kept
