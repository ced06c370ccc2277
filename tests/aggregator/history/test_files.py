"""The rows of an archive: each offset once and in order, from whatever files, and only of these rules."""

from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.archive import file_writer
from aggregator.archive.columns import SCHEMA, columns_of, events_of
from aggregator.archive.coverage import File
from aggregator.archive.file_writer import FileWriter
from aggregator.archive.slim import SlimEvent
from aggregator.archive.store import Store
from aggregator.counting.facts import key_check
from aggregator.counting.rules import Rules
from aggregator.errors import ArchiveUnavailableError, OtherArchiveError
from aggregator.history.files import Files
from schemas.archive import DROPPED_KEY, KEY_CHECK_KEY, VERSION, VERSION_KEY
from tests.examples import examples
from tests.strategies import SOME_DAY

KEY: Final = b"sixteen bytes or more"
RULES: Final = Rules(recipient_key=KEY)
SAID: Final = {VERSION_KEY: str(VERSION), KEY_CHECK_KEY: key_check(KEY), DROPPED_KEY: "customer"}
TOPIC: Final = "to_pic"
EVENTS: Final = [
    SlimEvent(offset, SOME_DAY + offset, event_type="Send", message_id=f"m-{offset}")
    for offset in range(60)
    if offset % 7 != 3
]
"""An offset without a record now and then, as a transaction's marker leaves it."""


class Archive:
    """A directory with files of one partition."""

    def __init__(self, root: Path) -> None:
        self.url = f"file://{root}"
        self.store = Store(self.url)

    def has(self, first: int, next_: int, said: dict[str, str] = SAID, **more: Any) -> File:
        """Write a file of the events in [first, next). more: of the file's place."""
        writer = FileWriter(self.store.unfinished(), said)
        found = [each for each in EVENTS if first <= each.offset < next_]
        if found:
            writer.add(TOPIC, 0, found)
        writer.close()
        return self.store.put(writer.path, File(TOPIC, 0, first, next_)._replace(**more))

    def files(self, rules: Rules = RULES) -> Files:
        found = Files(self.url, TOPIC.replace("_", "/"), rules)
        found.look()
        return found


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


def read(files: Files, first: int, next_: int) -> list[SlimEvent]:
    found: list[SlimEvent] = []
    for batch in files.rows(0, first, next_):
        assert batch.schema.equals(SCHEMA)
        assert batch.num_rows
        found += events_of(batch)
    return found


def expected(first: int, next_: int) -> list[SlimEvent]:
    return [each for each in EVENTS if first <= each.offset < next_]


cuts = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 30)).map(lambda at: (at[0], min(60, at[0] + at[1]))),
    max_size=5,
)


@settings(max_examples=examples(30))
@given(cuts, st.integers(0, 60), st.integers(0, 60), st.sampled_from([2, 5, 100]))
def test_each_offset_is_read_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, of: list[tuple[int, int]], one: int, other: int, group: int
) -> None:
    """From any start to any stop, over files that overlap, of row groups of any size."""
    first, next_ = min(one, other), max(one, other)
    archive = Archive(tmp_path_factory.mktemp("archive"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(file_writer, "ROWS_A_GROUP", group)
        for begin, end in [(0, 20), (20, 21), (21, 60), *of]:
            writer = FileWriter(archive.store.unfinished(), SAID)
            for each in expected(begin, end):
                writer.add(TOPIC, 0, [each])
            writer.close()
            archive.store.put(writer.path, File(TOPIC, 0, begin, end))
    files = archive.files()
    assert read(files, first, next_) == expected(first, next_)
    since = files.since(0, first, next_, SOME_DAY + 30)
    later = [each.offset for each in expected(first, next_) if each.offset >= 30]
    assert (since is None) <= (not later)
    if since is not None:
        assert first <= since < next_
        assert not later or since <= later[0]
        assert not later or len(expected(since, later[0])) < group, "not earlier than its row group"


def test_what_another_archiver_merges_meanwhile_is_read_on(archive: Archive) -> None:
    """Behind the last row that was read, from the file that is in its place."""
    one, other = archive.has(0, 20), archive.has(20, 60)
    files = archive.files()
    rows = files.rows(0, 0, 60)
    found = list(events_of(next(rows)))
    archive.has(0, 60)
    archive.store.remove(one)
    archive.store.remove(other)
    for batch in rows:
        found += events_of(batch)
    assert found == EVENTS


def test_the_last_file_may_be_merged_before_it_is_looked_into(archive: Archive) -> None:
    """By whoever begins to read, and by another archiver that begins to write."""
    archive.has(0, 20)
    last = archive.has(20, 60)
    files = archive.files()
    made = archive.has(0, 60)
    archive.store.remove(last)
    files.validate()
    assert max(files.by_partition[0]).next == made.next

    class Late(Store):
        seen: tuple[File, ...] = (made, last)

        def files(self) -> list[File]:
            found, self.seen = [*self.seen], self.seen[:1]
            return found

    assert Late(archive.url).last_of_topics() == {made: Late(archive.url).metadata(made)}


def test_a_file_that_cannot_be_read_is_an_error(archive: Archive, tmp_path: Path) -> None:
    broken = tmp_path / archive.has(0, 20).name
    broken.write_bytes(broken.read_bytes()[:-20])
    files = archive.files()
    with pytest.raises(ArchiveUnavailableError):
        read(files, 0, 10)
    with pytest.raises(ArchiveUnavailableError):
        files.since(0, 0, 10, SOME_DAY)
    broken.unlink()
    with pytest.raises(ArchiveUnavailableError, match="no file has offset 0"):
        read(files, 0, 10)


@pytest.mark.parametrize(
    ("said", "rules", "why"),
    [
        ({KEY_CHECK_KEY: key_check(b"another key of some bytes")}, RULES, "another RECIPIENT_KEY"),
        ({}, Rules(), "another RECIPIENT_KEY"),
        ({VERSION_KEY: "2"}, RULES, "version 2"),
        ({}, Rules("customer", recipient_key=KEY), "without the tags customer"),
        ({}, Rules(scopes=(("ip", "ses:source-ip"),), recipient_key=KEY), "without the tags ses:source-ip"),
    ],
)
def test_a_file_that_these_rules_cannot_read_is_refused(
    archive: Archive, said: dict[str, str], rules: Rules, why: str
) -> None:
    """Beforehand by the last file of a partition, and each one before a row of it counts."""
    last = archive.has(20, 60, SAID | said)
    files = archive.files(rules)
    with pytest.raises(OtherArchiveError, match=why):
        files.validate()
    archive.store.remove(last)
    archive.has(0, 20, SAID | said)
    files = archive.files(rules)
    for reading in (lambda: read(files, 0, 5), lambda: files.since(0, 0, 5, SOME_DAY)):
        with pytest.raises(OtherArchiveError, match=why):
            reading()


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(OtherArchiveError, match="ARCHIVE_URL"):
        Files("nonsense://x", TOPIC, RULES)


def test_files_of_other_topics_are_told_and_not_read(archive: Archive) -> None:
    archive.has(0, 20, topic_id="other")
    archive.has(0, 10)
    archive.has(0, 10, partition=3)
    files = archive.files()
    assert files.others == {"other"}
    assert {number: len(of) for number, of in files.by_partition.items()} == {0: 1, 3: 1}


def test_a_file_of_fewer_columns_is_read(archive: Archive, tmp_path: Path) -> None:
    """As it was written before a column came, and in any order of the columns."""
    place = tmp_path / archive.has(0, 20).name
    names = [name for name in reversed(SCHEMA.names) if name != "user_agent"]
    metadata = {key.encode(): value.encode() for key, value in SAID.items()}
    table = pq.read_table(place).select(names)
    pq.write_table(table.replace_schema_metadata(metadata), place)
    files = archive.files()
    assert read(files, 5, 15) == expected(5, 15)
    assert files.since(0, 0, 20, SOME_DAY + 19) == 0
    assert files.since(0, 0, 20, SOME_DAY + 20) is None


def test_rows_are_of_the_columns_that_are_told() -> None:
    assert columns_of(TOPIC, 0, EVENTS[:1]).schema.equals(SCHEMA)
