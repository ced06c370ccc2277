"""Who runs the law in SQL: in bounded memory, with no file of others, and with a clear word without room."""

import tempfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from aggregator.archive.columns import columns_of
from aggregator.archive.slim import SlimEvent
from aggregator.counting.cells import Cell
from aggregator.counting.rules import Rules
from aggregator.errors import NoRoomError
from aggregator.proof import recount as module
from aggregator.proof.held import HELD
from aggregator.proof.recount import Counts, Recount
from aggregator.proof.subject import earliest_record_ms
from schemas.instants import DAY_MS, HOUR_MS, QUARTER_MS
from schemas.kinds import FUTURE_MS, HORIZON_MS
from tests.aggregator.proof.slim import ALL, MEMORY_MB, STREAM, batch, counted, of_day, recounted, stream
from tests.strategies import SOME_DAY

DAY = SOME_DAY // DAY_MS


def opened(offset: int, message_id: str, tenant: str = "acme", after_ms: int = 0, **of: str) -> SlimEvent:
    """An open by a machine. of: further tags."""
    told = SOME_DAY + after_ms
    tags = tuple((name, (value,)) for name, value in {"tenant": tenant, **of}.items())
    return SlimEvent(
        offset, told, None, "Open", False, message_id, SOME_DAY, told, tags, is_bot_event="Likely"
    )


def many(number: int, piece: int = 20_000) -> Iterator[Any]:
    """Batches of that many opens, each of a message of its own."""
    for first in range(0, number, piece):
        yield columns_of("t", 0, [opened(at, f"{at:064}") for at in range(first, first + piece)])


def cell(quarter: int, tenant: str = "acme", field: str = "opened") -> Cell:
    return Cell(tenant, "tenant", "", SOME_DAY + quarter * QUARTER_MS, field)


def test_both_sides_come_tenant_by_tenant_and_in_order() -> None:
    """Also tenants that one side alone has; cells of 0 stand on neither."""
    events = [opened(0, "m", "b"), opened(1, "m", "b", QUARTER_MS), opened(2, "n", "b", 5 * QUARTER_MS)]
    with Recount(Rules(), MEMORY_MB) as recount:
        rows = [(cell(7, "c"), 3), (cell(5, "b"), 4), (cell(6, "b", "clicked"), 1), (cell(0, "é"), 1)]
        recount.hold(pa.Table.from_pylist([of._asdict() | {"at_ms": of.at, "n": n} for of, n in rows], HELD))
        recount.add(columns_of("t", 0, [*events, opened(3, "m", "é")]))
        assert sorted(recount.tenants()) == ["b", "é"]
        recount.count_below((tenant, {0: ALL}) for tenant in recount.tenants())
        assert recount.compare() == 5
        both = [
            Counts("b", {cell(0, "b"): 1, cell(5, "b"): 1}, {cell(5, "b"): 4, cell(6, "b", "clicked"): 1}),
            Counts("c", {}, {cell(7, "c"): 3}),
            Counts("é", {cell(0, "é"): 1}, {cell(0, "é"): 1}),
        ]
        assert list(recount.both(equal=True)) == both
        assert list(recount.both(equal=False)) == both[:2]
        recount.count_below([("b", {0: 2})])
        assert recount.compare() == 5
        assert [counts.log for counts in recount.both(equal=True)] == [{cell(0, "b"): 1}, {}, {}]


def test_batches_are_taken_in_as_soon_as_they_are_many_or_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING_ROWS", 10)
    monkeypatch.setattr(module, "WAITING_BYTES", 50_000)
    with Recount(Rules(), MEMORY_MB) as recount:
        for number in range(5):
            recount.add(columns_of("t", 0, [opened(number, f"m-{number}"), opened(9, "n")]))
        assert recount._waiting == []
        recount.add(columns_of("t", 0, [opened(10, "x" * 60_000)]))
        assert recount._waiting == []
        recount.add(columns_of("t", 0, [opened(11, "one more")]))
        assert len(recount._waiting) == 1
        assert counted(recount) == {cell(0): 8}


def test_what_does_not_fit_in_memory_goes_to_files_that_go_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And comes to the same number."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Recount(Rules(), 64) as recount:
        for batch in many(300_000):
            recount.add(batch)
        assert recount.day("acme", DAY) == {}, "nothing counts that is below no checkpoint"
        recount.count_below([("acme", {0: ALL})])
        assert recount.day("acme", DAY) == {cell(0): 300_000}
        assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) > 0
    assert list(tmp_path.iterdir()) == []


def test_many_cells_need_no_more_memory() -> None:
    """Facts, cells and those of the other side are each more than it may take."""
    number, piece = 1_000_000, 50_000
    with Recount(Rules(), 64) as recount:
        for first in range(0, number, piece):
            ids = [f"{at:032}" for at in range(first, first + piece)]
            recount.add(columns_of("t", 0, [opened(0, of, template=of) for of in ids]))
            columns = ["acme"], ["template"], ids, [SOME_DAY], ["opened"], [2]
            recount.hold(pa.table([each * (piece // len(each)) for each in columns], HELD))
        recount.count_below([("acme", {0: ALL})])
        assert recount.compare() == 2 * number + 1
        (counts,) = recount.both(equal=False)
        assert counts.log.pop(cell(0)) == number
        assert (len(counts.log), set(counts.log.values())) == (2 * number, {1})
        assert (len(counts.held), set(counts.held.values())) == (number, {2})


def test_piece_by_piece_it_comes_to_the_same() -> None:
    """As a log is counted that is too large to be grouped at once."""
    parts = stream(74)
    want = recounted(STREAM, parts)
    days = {(cell.tenant, cell.at // DAY_MS) for cell in want if cell.at is not None}
    with Recount(STREAM, MEMORY_MB) as recount:
        recount._piece_bytes = 20_000
        for number, part in enumerate(parts):
            recount.add(batch(STREAM, part, number))
        assert counted(recount) == want
        assert recount._number("SELECT getvariable('pieces')") > 20
        for tenant, day in Random(74).sample(sorted(days), 3):
            assert recount.day(tenant, day) == of_day(want, tenant, day)


def test_without_room_it_says_which_setting_gives_more() -> None:
    with Recount(Rules(), 32) as recount:
        recount._db.execute("SET max_temp_directory_size = '1MB'")
        with pytest.raises(NoRoomError, match="RECOUNT_MEMORY_MB"):
            deque(map(recount.add, many(300_000)), 0)


@pytest.mark.parametrize("query", ["INSTALL httpfs", "FROM read_text('pyproject.toml')", "FROM 'x.parquet'"])
def test_it_reads_nothing_but_what_it_is_given(query: str) -> None:
    """No other file, and nothing from the network."""
    with Recount(Rules(), MEMORY_MB) as recount, pytest.raises(duckdb.PermissionException):
        recount._db.execute(query)


def test_the_earliest_record_of_a_day_and_of_an_hour() -> None:
    """An hour within a day reaches back to the start of the send day, as the fact's identity does."""
    start = DAY * DAY_MS
    assert earliest_record_ms(start) == start - HORIZON_MS - FUTURE_MS
    assert earliest_record_ms(start + 5 * HOUR_MS) == earliest_record_ms(start)
    assert earliest_record_ms(0) == 0
