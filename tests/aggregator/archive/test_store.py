"""The archive on an S3 server: whole files under any fault, and errors that say what to do next."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest
from structlog.testing import capture_logs

from aggregator.archive import store
from aggregator.archive.check import check
from aggregator.archive.columns import events_of
from aggregator.archive.coverage import File
from aggregator.archive.erase import Erasing, erase_all
from aggregator.archive.file_writer import FileWriter
from aggregator.archive.merge import merged
from aggregator.archive.slim import SlimEvent
from aggregator.archive.store import UPLOADED, Store, asked
from aggregator.counting.facts import key_check
from aggregator.counting.rules import Erasures, Rules
from aggregator.errors import ArchiveUnavailableError, BrokenFileError, FileChangedError
from aggregator.history.files import Files
from schemas.archive import DROPPED_KEY, ERASED, KEY_CHECK_KEY, VERSION, VERSION_KEY
from tests.s3 import BUCKET, LOGIN, Fault, FaultyStore, s3_server

KEY = b"sixteen bytes or more"
SAID = {VERSION_KEY: str(VERSION), KEY_CHECK_KEY: key_check(KEY), DROPPED_KEY: ""}
EVENTS = [
    SlimEvent(offset, offset, None, "Send", False, f"m-{offset}", offset, None, (("tenant", (tenant,)),))
    for offset in range(400)
    for tenant in (("acme", "globex")[offset % 2],)
]


@pytest.fixture(scope="module")
def s3() -> Iterator[FaultyStore]:
    with s3_server() as found:
        yield found


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits before another try, nor for the store of anybody else's machine."""
    monkeypatch.setattr(store, "PAUSES_S", (0.0, 0.0, 0.0))
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)


class Archive:
    """An archive of a test's own on the server."""

    def __init__(self, s3: FaultyStore, name: str) -> None:
        s3.calm()
        s3.met.clear()
        s3.asked.clear()
        self.s3 = s3
        self.url = s3.url(name)
        self.store = Store(self.url)

    def written(self, first: int, next_: int, rows_a_group: int = 1_000) -> Path:
        """A local file of events."""
        writer = FileWriter(self.store.unfinished(), SAID)
        for at in range(first, next_, rows_a_group):
            writer.add("topic", 0, EVENTS[at : min(next_, at + rows_a_group)])
            writer.pack()
        writer.close()
        return writer.path

    def put(self, first: int, next_: int, rows_a_group: int = 1_000) -> File:
        """Put a file of events in place."""
        return self.store.put(self.written(first, next_, rows_a_group), File("topic", 0, first, next_))

    def files(self) -> Files:
        found = Files(self.url, "topic", Rules(recipient_key=KEY))
        found.look()
        return found

    def events(self) -> list[SlimEvent]:
        """As a rebuild reads them."""
        end = max(file.next for file in self.store.files())
        return [each for batch in self.files().rows(0, 0, end) for each in events_of(batch)]

    def uploaded(self) -> list[str]:
        """What stands where no reader looks."""
        return [
            info.base_name for info in self.store._found(f"{self.store._root}/{UPLOADED}") if info.is_file
        ]


@pytest.fixture
def archive(s3: FaultyStore) -> Archive:
    return Archive(s3, uuid4().hex)


STEPS = {
    "begun": ("POST", "uploads"),
    "sent": ("PUT", "partNumber"),
    "ended": ("POST", "uploadId"),
    "put in place": ("PUT", "00400.parquet"),
    "tidied": ("DELETE", UPLOADED),
    "looked at": ("HEAD", "00400.parquet"),
    "read": ("GET", "00400.parquet"),
    "listed": ("GET", "list-type"),
}


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
def test_a_fault_of_any_query_changes_nothing(archive: Archive, fault: Fault) -> None:
    """The upload is whole, the old file or the new one stands there, and what is read is what was written."""
    archive.put(0, 400)
    for method, needle in STEPS.values():
        archive.s3.once(fault, method, needle)
        assert archive.put(0, 400, 150).size == archive.store.files()[0].size
        assert archive.events() == EVENTS
    assert archive.s3.met[fault] == len(STEPS)
    archive.s3.calm()
    assert len(archive.store.files()) == 1
    assert archive.uploaded() == []


def test_by_chance_merge_and_erase_and_check_end_exact(archive: Archive) -> None:
    """Every kind of fault, on every kind of query, one in twelve."""
    archive.s3.by_chance(3, 1 / 12)
    files = [archive.put(first, first + 50) for first in range(0, 400, 50)]
    (made,) = merged(archive.store, files, 1 << 30)
    assert archive.store.files() == [made]
    assert archive.events() == EVENTS
    erasing = Erasing(Rules(recipient_key=KEY), Erasures([(0, "acme", 200)], 1))
    assert erase_all(archive.store, erasing) == 1
    assert erase_all(archive.store, erasing) == 0
    assert archive.events() == [
        SlimEvent(each.offset, each.record_ms, ERASED)
        if each.tags == (("tenant", ("acme",)),) and each.record_ms <= 200
        else each
        for each in EVENTS
    ]
    report = check(archive.store)
    assert (report.faults, report.rows) == ([], 400)
    assert sum(archive.s3.met.values()) > 5


def test_who_puts_a_file_beside_another_archiver_never_removes_his(archive: Archive) -> None:
    """Two put one file that they have cut differently: from the first on there is a whole one."""
    seen: list[int] = []

    def meanwhile(method: str, path: str) -> None:
        if method == "HEAD" and path.endswith("00400.parquet") and not seen:
            seen.append(1)
            whole = archive.put(0, 400, 7)
            seen.append(whole.size)

    archive.s3.choose = meanwhile
    mine = archive.put(0, 400)
    assert len(seen) == 2
    assert seen[1] != mine.size
    removed = [path for method, path in archive.s3.asked if method == "DELETE"]
    assert all(UPLOADED in path for path in removed)
    archive.s3.calm()
    assert archive.events() == EVENTS


def test_a_file_that_is_replaced_while_it_is_read_is_read_on_exactly(archive: Archive) -> None:
    """On S3 nobody keeps the old one for its readers; the parts of two files never mix."""
    archive.put(0, 400, 100)
    with archive.store.open(archive.store.files()[0]) as opened:
        first = list(events_of(opened.read_row_group(0)))
        archive.put(0, 400, 130)
        with pytest.raises(FileChangedError, match="replaced"):
            opened.read_row_group(1)
    assert first == EVENTS[:100]

    rows = archive.files().rows(0, 0, 400)
    found = list(events_of(next(rows)))
    archive.put(0, 400, 90)
    found += [each for batch in rows for each in events_of(batch)]
    assert found == EVENTS

    erasing = Erasing(Rules(recipient_key=KEY), Erasures([(0, "globex", 9_999)], 1))
    times = iter(range(2))

    def meanwhile(method: str, path: str) -> None:
        if method == "GET" and path.endswith("00400.parquet") and next(times, None) == 1:
            archive.put(0, 400, 60)

    archive.s3.choose = meanwhile
    erase_all(archive.store, erasing)
    assert [each.message_id for each in archive.events()] == [
        None if each.offset % 2 else each.message_id for each in EVENTS
    ]


def test_a_store_that_is_away_is_no_fault_of_the_files(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told as what to wait for; what was to be put is kept."""
    monkeypatch.setattr(store, "PAUSES_S", ())  # pyarrow takes its six seconds for each try
    archive.put(0, 400)
    path = archive.written(0, 100)
    files = archive.store.files()
    monkeypatch.setattr(archive.store, "files", lambda: files)
    archive.s3.away = True
    with pytest.raises(ArchiveUnavailableError) as told:
        check(archive.store)
    assert not isinstance(told.value, BrokenFileError)
    with pytest.raises(ArchiveUnavailableError):
        archive.store.put(path, File("topic", 0, 0, 100))
    assert path.exists()
    archive.s3.calm()
    archive.store.put(path, File("topic", 0, 0, 100))
    assert not path.exists()


def test_a_bucket_that_is_not_there_is_no_empty_archive(archive: Archive) -> None:
    assert archive.store.files() == []
    mistyped = Store(archive.url.replace(BUCKET, "mail-archives"))
    with pytest.raises(ArchiveUnavailableError, match="there is no mail-archives"):
        check(mistyped)


def test_a_broken_file_is_a_fault_of_the_file(archive: Archive) -> None:
    """And is not asked for again: the next answer would be the same."""
    file = archive.put(0, 400)
    target = f"{archive.store._root}/{file.name}"
    with archive.store._fs.open_output_stream(target) as stream:
        stream.write(b"PAR1 and nothing of a file")
    with capture_logs() as logged:
        assert [each.what for each in check(archive.store).faults] == ["unreadable"]
    assert logged == []
    with pytest.raises(BrokenFileError, match=file.name), archive.store.open(file):
        pass


def test_what_a_killed_archiver_has_uploaded_is_no_file_and_goes_in_time(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = f"{archive.store._root}/{UPLOADED}/left.parquet"
    with archive.store._fs.open_output_stream(left) as stream:
        stream.write(b"half of a f")
    assert archive.store.files() == []
    archive.put(0, 100)
    assert archive.uploaded() == ["left.parquet"]
    monkeypatch.setattr(store, "_LEFT_S", -1)
    again = Store(archive.url)
    again.put(archive.written(100, 200), File("topic", 0, 100, 200))
    assert archive.uploaded() == []
    assert archive.events() == EVENTS[:200]


def _fails(times: int, error: Exception) -> Any:
    left = [times]

    def ask() -> str:
        if left[0]:
            left[0] -= 1
            raise error
        return "answer"

    return ask


@pytest.mark.parametrize("error", [OSError("cut"), pa.ArrowInvalid("odd")])
def test_a_query_is_tried_as_often_as_there_are_pauses(error: Exception) -> None:
    with capture_logs() as logged:
        assert asked("a file", _fails(2, error), (0.0, 0.0)) == "answer"
    assert [(each["what"], each["why"]) for each in logged] == [("a file", str(error))] * 2
    with capture_logs() as logged, pytest.raises(ArchiveUnavailableError, match="a file"):
        asked("a file", _fails(3, error), (0.0, 0.0))
    assert len(logged) == 2


def test_what_is_not_there_or_is_named_already_is_not_asked_for_again() -> None:
    for error in (FileNotFoundError("none"), FileChangedError("another")):
        with capture_logs() as logged, pytest.raises(type(error)):
            asked("a file", _fails(1, error), (0.0,))
        assert logged == []
