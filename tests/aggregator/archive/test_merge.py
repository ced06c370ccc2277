"""Small files become larger ones, row for row, wherever whoever merges them is stopped."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from aggregator.archive import merge
from aggregator.archive.check import check
from aggregator.archive.columns import events_of
from aggregator.archive.coverage import MERGED_AT_ONCE, File, covered
from aggregator.archive.file_writer import FileWriter
from aggregator.archive.slim import Reducer, SlimEvent
from aggregator.archive.store import UNFINISHED, Store
from aggregator.errors import ArchiveUnavailableError
from schemas.archive import KEY_CHECK_KEY, VERSION, VERSION_KEY
from tests.strategies import SOME_DAY, Record, event

MB = 1024 * 1024
ROWS = 21
SAID = {VERSION_KEY: str(VERSION), KEY_CHECK_KEY: "k"}
REDUCER = Reducer(b"")


def slim(offset: int) -> SlimEvent:
    text = json.dumps(event("Send", message_id=f"m-{offset}"))
    return REDUCER.reduce(Record(text.encode(), SOME_DAY, offset))


def filled(store: Store, first: int, next_: int, said: dict[str, str] = SAID) -> File:
    """A file with a row at every second offset."""
    writer = FileWriter(store.unfinished(), said)
    rows = [slim(offset) for offset in range(first, next_) if offset % 2 == 0]
    if rows:
        writer.add("topic", 3, rows)
    writer.close()
    return store.put(writer.path, File("topic", 3, first, next_))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"file://{tmp_path}")


@pytest.fixture
def small(store: Store) -> list[File]:
    """As many small neighbours as are merged, one of them without a row."""
    ends = [number * ROWS for number in range(MERGED_AT_ONCE)] + [(MERGED_AT_ONCE - 1) * ROWS + 1]
    return [filled(store, first, next_) for first, next_ in zip([1, *ends[1:]], ends[1:], strict=False)] + [
        filled(store, ends[-1], ends[-1] + ROWS)
    ]


def rows(tmp_path: Path, files: list[File]) -> list[SlimEvent]:
    return [each for file in sorted(files) for each in events_of(pq.read_table(tmp_path / file.name))]


def test_neighbours_become_one_file_that_says_the_same(
    store: Store, small: list[File], tmp_path: Path
) -> None:
    before = rows(tmp_path, small)
    after = sorted(merge.merged(store, small, 100 * MB))
    assert after == sorted(store.files())
    assert len(after) == len(small) - MERGED_AT_ONCE + 1
    assert covered(after) == covered(small)
    assert rows(tmp_path, after) == before
    assert store.metadata(after[0]) == SAID
    assert check(store).faults == []
    assert list((tmp_path / UNFINISHED).iterdir()) == []


def test_stopped_before_the_old_ones_are_removed_nothing_is_lost(
    store: Store, small: list[File], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What overlaps then agrees, and who comes next goes on."""

    def away(_file: File) -> None:
        raise ArchiveUnavailableError("killed here")

    monkeypatch.setattr(store, "remove", away)
    with pytest.raises(ArchiveUnavailableError):
        merge.merged(store, small, 100 * MB)
    assert set(small) < set(store.files())
    assert check(store).faults == []


def test_a_file_that_is_gone_or_broken_stops_it_and_nothing_is_removed(
    store: Store, small: list[File], tmp_path: Path
) -> None:
    (tmp_path / small[3].name).write_bytes(b"PAR1")
    with pytest.raises(ArchiveUnavailableError):
        merge.merged(store, small, 100 * MB)
    assert [file.name for file in sorted(store.files())] == [file.name for file in small]
    assert list((tmp_path / UNFINISHED).iterdir()) == []


def test_files_that_were_not_written_alike_stay_apart(store: Store, small: list[File]) -> None:
    store.remove(small[2])
    small[2] = filled(store, small[2].first, small[2].next, SAID | {"x": "y"})
    assert merge.merged(store, small, 100 * MB) == small
    assert sorted(store.files()) == small
