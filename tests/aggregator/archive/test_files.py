"""Slim events as files: what is written is read, as columns that are told in the schema."""

import json
import os
from pathlib import Path
from threading import Event
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.archive import file_writer
from aggregator.archive import store as store_module
from aggregator.archive.columns import SCHEMA, columns_of, events_of
from aggregator.archive.coverage import File
from aggregator.archive.file_writer import FileWriter
from aggregator.archive.slim import Reducer, SlimEvent
from aggregator.archive.store import UNFINISHED, UPLOADED, Store
from aggregator.errors import ArchiveUnavailableError
from schemas.archive import COLUMNS
from tests.strategies import SOME_DAY, Record, event, records

REDUCER = Reducer(b"sixteen bytes or more")
FILE = File("topic", 3, 0, 10)

slim_events = st.lists(records(), min_size=1, max_size=5).map(
    lambda found: [REDUCER.reduce(each) for each in found]
)


def slim(number: int) -> list[SlimEvent]:
    """Different ones, in order."""
    types = ("Send", "Delivery", "Open", "Bounce", "Subscription", "Complaint", "Other")
    found = []
    for offset in range(number):
        text = json.dumps(event(types[offset % len(types)], message_id=f"m-{offset}"))
        found.append(REDUCER.reduce(Record(text.encode(), SOME_DAY + offset, offset)))
    return found


def written(path: Path, events: list[SlimEvent], at_once: int = 1_000) -> Path:
    writer = FileWriter(path, {"a": "b"})
    for first in range(0, len(events), at_once):
        writer.add("topic", 3, events[first : first + at_once])
    assert writer.rows == len(events)
    writer.close()
    return path


@given(slim_events)
def test_columns_say_what_the_events_say(events: list[SlimEvent]) -> None:
    batch = columns_of("topic", 3, events)
    assert list(events_of(batch)) == events
    assert set(batch.column("topic_id").to_pylist()) == {"topic"}
    assert set(batch.column("partition").to_pylist()) == {3}


def test_every_field_is_written_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a file of several row groups; each column has a value that is not null in some row."""
    monkeypatch.setattr(file_writer, "ROWS_A_GROUP", 1_000)
    events = [*slim(1_500), SlimEvent(3_000, 5, "too_large", odd_tags="{}")]
    bot = events[2].user_agent
    assert bot
    path = written(tmp_path / "a.parquet", events)
    with pq.ParquetFile(path) as opened:
        assert opened.num_row_groups == 2
        assert opened.schema_arrow.equals(SCHEMA)
        assert opened.metadata.metadata[b"a"] == b"b"
        table = opened.read()
    assert list(events_of(table)) == events
    empty = {column.name for column in COLUMNS if table.column(column.name).null_count == table.num_rows}
    assert empty == {"complaint_feedback_type", "is_bot_event"}


def test_rows_are_packed_while_the_next_ones_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They count as waiting until they are packed; no more than one row group is at a time."""
    monkeypatch.setattr(file_writer, "ROWS_A_GROUP", 10)
    events = slim(30)
    writer = FileWriter(tmp_path / "a.parquet", {})
    go_on, write = Event(), writer._write
    monkeypatch.setattr(writer, "_write", lambda table: write(table) if go_on.wait(60) else 0)
    writer.add("topic", 3, events[:10])
    writer.add("topic", 3, events[10:15])
    both = columns_of("topic", 3, events[:10]).nbytes + columns_of("topic", 3, events[10:15]).nbytes
    assert (writer.size, writer.waiting_bytes) == (0, both)
    go_on.set()
    writer.add("topic", 3, events[15:])
    assert writer.size > 0, "the first row group is in the file"
    writer.close()
    assert writer.waiting_bytes == 0
    assert list(events_of(pq.read_table(writer.path))) == events


def test_what_cannot_be_packed_is_an_error_of_what_writes_next(tmp_path: Path) -> None:
    writer = FileWriter(tmp_path / "a.parquet", {})
    writer.add("topic", 3, slim(10))
    writer._sink.close()
    writer.pack()
    with pytest.raises((OSError, ValueError), match="closed"):
        writer.close()


def test_a_column_that_a_file_lacks_is_null_in_all_rows() -> None:
    """So the schema may grow, and what was written before is read."""
    batch = columns_of("topic", 3, slim(7)).drop_columns(["user_agent", "notification", "tags"])
    assert [(each.user_agent, each.notification, each.tags) for each in events_of(batch)] == [
        (None, False, None)
    ] * 7


def test_a_directory_that_is_not_there_is_an_empty_archive(tmp_path: Path) -> None:
    assert Store(f"file://{tmp_path}/none").files() == []


def test_a_file_is_put_in_place_whole(tmp_path: Path) -> None:
    """Until then it has no name that an archive knows, and nothing of it is left elsewhere."""
    store = Store(f"file://{tmp_path}/archive")
    path = written(store.unfinished(), slim(10))
    assert store.files() == []
    file = store.put(path, FILE)
    assert store.files() == [file]
    assert file.size > 0
    assert list((tmp_path / "archive" / UNFINISHED).iterdir()) == []
    assert store.metadata(file) == {"a": "b"}
    with store.open(file) as opened:
        assert list(events_of(opened.read())) == slim(10)
    store.remove(file)
    store.remove(file)
    assert store.files() == []


def test_a_file_of_a_process_that_died_goes_in_time(tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}")
    old, new = (written(store.unfinished(), slim(1)) for _ in range(2))
    os.utime(old, (1, 1))
    store.unfinished()
    assert (old.exists(), new.exists()) == (False, True)


def test_what_the_store_cannot_do_is_told(tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}")
    with pytest.raises(ArchiveUnavailableError), store.open(FILE):
        pass
    (tmp_path / "topic").write_text("in the way")
    with pytest.raises(ArchiveUnavailableError):
        store.put(written(store.unfinished(), slim(1)), FILE)
    with pytest.raises(ValueError, match="ARCHIVE_URL"):
        Store("nonsense://x")


class _CutShort:
    """A file system on which an upload ends in good order after half of it, as pyarrow's does on an error."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def open_output_stream(self, path: str, **options: Any) -> Any:
        stream = self._real.open_output_stream(path, **options)

        class Half:
            def __enter__(self) -> "Half":
                return self

            def __exit__(self, *_: object) -> None:
                stream.close()

            def write(self, whole: Any) -> None:
                stream.write(whole[: len(whole) // 2])
                raise OSError("the connection was cut")

        return Half()


def test_an_upload_that_was_cut_short_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(f"file://{tmp_path}/archive")
    path = written(store.unfinished(), slim(10))
    (tmp_path / "archive" / "topic" / "00003").mkdir(parents=True)
    (tmp_path / "archive" / UPLOADED).mkdir()
    monkeypatch.setattr(store_module, "PAUSES_S", ())
    monkeypatch.setattr(store, "_is_local", False)
    real = store._fs
    monkeypatch.setattr(store, "_fs", _CutShort(real))
    with pytest.raises(ArchiveUnavailableError, match="cut"):
        store.put(path, FILE)
    assert store.files() == []
    assert path.exists()
    monkeypatch.setattr(store, "_fs", real)
    assert store.files() == [] != [store.put(path, FILE)]
    assert not path.exists()


def test_the_schema_is_told_in_types_that_arrow_knows() -> None:
    assert [column.name for column in COLUMNS] == SCHEMA.names
    assert all(column.meaning for column in COLUMNS)
    assert pa.types.is_timestamp(SCHEMA.field("sent_time").type)
