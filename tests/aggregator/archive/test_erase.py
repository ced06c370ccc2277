"""Rows of erased tenants leave the archive, and nothing else does: whoever is stopped or merges meanwhile."""

import json
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregator.archive import erase, file_writer
from aggregator.archive.check import check
from aggregator.archive.columns import events_of
from aggregator.archive.coverage import MERGED_AT_ONCE, File
from aggregator.archive.erase import Erasing, erase_all, erase_in
from aggregator.archive.file_writer import FileWriter
from aggregator.archive.merge import merged
from aggregator.archive.restore import SlimLaw
from aggregator.archive.slim import Reducer, SlimEvent
from aggregator.archive.store import Store
from aggregator.counting.decode import Decoder
from aggregator.counting.facts import Facts
from aggregator.counting.rules import Erasures, Rules
from aggregator.errors import ArchiveUnavailableError
from schemas.archive import ERASED, KEY_CHECK_KEY, VERSION, VERSION_KEY
from tests.strategies import SOME_DAY, Record, event

SAID: Final = {VERSION_KEY: str(VERSION), KEY_CHECK_KEY: "k"}
REDUCER: Final = Reducer(b"")
TENANTS: Final = ("alder", "birch", "house")
RULES: Final = (Rules(), Rules(default_tenant="house"))
_roots = count()


def record(offset: int, tags: Any, late_ms: int, *, kind: str = "Open") -> Record:
    told = event(kind, message_id=f"m-{offset}")
    if tags is None:
        told["mail"].pop("tags", None)
    else:
        told["mail"]["tags"] = tags
    return Record(json.dumps(told).encode(), SOME_DAY + late_ms, offset)


tags = st.one_of(
    st.none(),
    st.builds(
        lambda tenant, more: {"tenant": tenant, **more},
        st.sampled_from([[], [""], 1, ["alder", "birch"], *([tenant] for tenant in TENANTS)]),
        st.sampled_from([{}, {"template": 1}, {"campaign": {"odd": []}}, {"template": ["t"]}]),
    ),
)
records = st.lists(
    st.tuples(tags, st.integers(-3, 3), st.sampled_from(["Open", "Send", "Unheard-of"])), max_size=30
).map(lambda rows: [record(at, tags, late, kind=kind) for at, (tags, late, kind) in enumerate(rows)])
told = st.lists(st.tuples(st.sampled_from(TENANTS), st.integers(-4, 4)), max_size=4).map(
    lambda said: Erasures([(at, of, SOME_DAY + late) for at, (of, late) in enumerate(said)], len(said))
)


class By(NamedTuple):
    """By what is erased."""

    rules: Rules
    erasures: Erasures


def filled(store: Store, rows: Sequence[Record], first: int = 0, next_: int | None = None) -> File:
    writer = FileWriter(store.unfinished(), SAID)
    for row in rows:  # row by row, so that row groups end anywhere
        writer.add("topic", 3, [REDUCER.reduce(row)])
    writer.close()
    return store.put(writer.path, File("topic", 3, first, len(rows) if next_ is None else next_))


def rows_of(root: Path, files: Sequence[File]) -> list[SlimEvent]:
    return [each for file in sorted(files) for each in events_of(pq.read_table(root / file.name))]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"file://{tmp_path}")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records, st.builds(By, st.sampled_from(RULES), told), st.integers(1, 7))
def test_what_is_left_states_what_the_records_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[Record], by: By, group: int
) -> None:
    """Without the erasures, and with them: the same facts. All rows stay in their places; once is enough."""
    monkeypatch.setattr(file_writer, "ROWS_A_GROUP", group)
    root = tmp_path / str(next(_roots))
    store, erasing = Store(f"file://{root}"), Erasing(*by)
    filled(store, rows, next_=len(rows) + 1)
    erase_all(store, erasing)
    left = rows_of(root, store.files())
    assert left == list(erasing.of([REDUCER.reduce(row) for row in rows]))
    assert [(each.offset, each.record_ms) for each in left] == [(row.offset, row.timestamp) for row in rows]
    plain, knowing, decoder = SlimLaw(by.rules), SlimLaw(*by), Decoder(*by)
    for slim, row in zip(left, rows, strict=True):
        expected = decoder.read(row.value, row.timestamp)
        facts = expected if type(expected) is Facts else None
        for outcome in (plain.outcome_of(slim), knowing.outcome_of(slim)):
            assert (outcome if type(outcome) is Facts else None) == facts
        if slim.reason == ERASED:
            assert slim == SlimEvent(row.offset, row.timestamp, ERASED)
    assert erase_all(store, erasing) == 0
    assert check(store).faults == []


def test_no_word_of_an_erased_tenant_is_left(store: Store, tmp_path: Path) -> None:
    """Nor of its messages, also in types that are not counted and beside odd tags; others are untouched."""
    rows = [
        record(0, {"tenant": ["alder"], "note": ["of alder"]}, 0, kind="Unheard-of"),
        record(1, {"tenant": ["alder"], "template": {"of": "alder"}}, 0),
        record(2, {"tenant": ["alder"]}, 1),
        record(3, {"tenant": ["birch"]}, 0),
    ]
    before = filled(store, rows)
    made = erase_in(store, before, Erasing(Rules(), Erasures([(0, "alder", SOME_DAY)], 1)))
    assert made is not None
    left = rows_of(tmp_path, [made])
    assert left[:2] == [SlimEvent(0, SOME_DAY, ERASED), SlimEvent(1, SOME_DAY, ERASED)]
    assert left[2:] == [REDUCER.reduce(row) for row in rows[2:]]
    assert store.metadata(made) == SAID
    assert [file.name for file in store.files()] == [before.name]


def test_stopped_before_a_file_is_in_place_it_goes_on(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [filled(store, [record(at, {"tenant": ["alder"]}, 0)], at, at + 1) for at in range(3)]
    erasing = Erasing(Rules(), Erasures([(0, "alder", SOME_DAY)], 1))
    put, calls = store.put, count()

    def puts_once(path: Path, file: File) -> File:
        if next(calls):
            raise ArchiveUnavailableError("the disk is away")
        return put(path, file)

    with monkeypatch.context() as patched:
        patched.setattr(store, "put", puts_once)
        with pytest.raises(ArchiveUnavailableError):
            erase_all(store, erasing)
    assert sum(row.reason == ERASED for row in rows_of(tmp_path, files)) == 1
    assert erase_all(store, erasing) == 2
    assert all(row.reason == ERASED for row in rows_of(tmp_path, files))


def test_what_is_merged_meanwhile_is_erased_in_the_file_it_became(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archiver read its rows before: the file that it made is new, and gone through as well."""
    for at in range(MERGED_AT_ONCE):
        filled(store, [record(at, {"tenant": ["alder"]}, 0)], at, at + 1)
    once = erase_in

    def meanwhile(of: Store, file: File, erasing: Erasing) -> File | None:
        if file.first == 1 and file.next == 2:
            merged(of, of.files(), 1 << 30)
        return once(of, file, erasing)

    monkeypatch.setattr(erase, "erase_in", meanwhile)
    erase_all(store, Erasing(Rules(), Erasures([(0, "alder", SOME_DAY)], 1)))
    assert [(file.first, file.next) for file in store.files()] == [(0, MERGED_AT_ONCE)]
    assert {row.reason for row in rows_of(tmp_path, store.files())} == {ERASED}
