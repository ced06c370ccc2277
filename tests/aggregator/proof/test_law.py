"""The law in SQL, as a whole: a stream comes to the cells to which others come who share nothing with it.

There are two of them: `tests.pipeline.oracle`, which reads and counts in plain Python, and the pure core of
live counting, which folds states. (Record by record: `test_law_records`.)
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest

from aggregator.archive.columns import columns_of
from aggregator.archive.file_writer import FileWriter
from aggregator.archive.slim import SlimEvent
from aggregator.counting.cells import KNOWN, Cell
from aggregator.counting.decode import Decoder
from aggregator.counting.facts import Facts
from aggregator.counting.rules import NO_ERASURES, Erasures, Rules
from aggregator.counting.states import counts_of, merged, states_of
from aggregator.proof.law import ERASURES, LAW, script
from aggregator.proof.recount import Recount
from schemas.archive import ERASED
from schemas.instants import DAY_MS, QUARTER_MS
from schemas.kinds import FAMILIES, KINDS
from schemas.packed_counter import KINDS_MAX
from tests.aggregator.proof.slim import ALL, MEMORY_MB, NOW, STREAM, batch, counted, of_day, recounted, stream
from tests.pipeline import events, oracle
from tests.strategies import SOME_DAY, Record, event


def by_the_oracle(
    records: Iterable[Record], tag_names: Mapping[str, str], through: Mapping[str, int] | None = None
) -> Counter[Cell]:
    """The cells by the second opinion. through: of erased tenants, the time of the last record (ms)."""
    count = oracle.count(
        (
            (each.value, oracle_time(each.timestamp))
            for each in records
            if not through or not erased_by_hand(each, tag_names, through)
        ),
        tag_names,
    )
    found: Counter[Cell] = Counter()
    for (scope, at, field), number in count.cells().items():
        found[Cell(*scope, round(at.timestamp() * 1000), field)] = number
        if scope[1] != "tenant":
            found[Cell(*scope, None, KNOWN)] = 1
    return found


def erased_by_hand(record: Record, tag_names: Mapping[str, str], through: Mapping[str, int]) -> bool:
    """Whether a record's own tenant was erased, and it is not later."""
    facts = oracle.read(record.value, oracle_time(record.timestamp), tag_names).facts
    return bool(facts) and record.timestamp <= through.get(facts[0].tenant, -1)


def oracle_time(ms: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + ms * oracle.MS


def by_live_counting(
    rules: Rules, records: Iterable[Record], erasures: Erasures = NO_ERASURES
) -> Counter[Cell]:
    """The cells as live counting comes to them: states are folded, and what they end as is counted."""
    decoder = Decoder(rules, erasures)
    states: dict[Any, int] = {}
    for each in records:
        facts = decoder.read(each.value, each.timestamp)
        if isinstance(facts, Facts):
            for group, state in states_of(facts.kinds, facts.quarter):
                for recipient in facts.recipients:
                    entry = facts.scopes, facts.day, facts.message_id, recipient, group
                    states[entry] = merged(group, states.get(entry, 0), state)
    cells: Counter[Cell] = Counter()
    families = list(FAMILIES.values())
    for ((tenant, ids), day, _, _, group), state in states.items():
        scopes = [
            ("tenant", ""),
            *((name, id_) for name, id_ in zip(rules.scope_names, ids, strict=True) if id_),
        ]
        for (later, family), packed in counts_of(group, state):
            for cell in packed_cells(packed):
                quarter, place = divmod(cell, KINDS_MAX)
                at = (day + later) * DAY_MS + quarter * QUARTER_MS
                for name, id_ in scopes:
                    cells[Cell(tenant, name, id_, at, families[family][place])] += 1
                    if id_:
                        cells[Cell(tenant, name, id_, None, KNOWN)] = 1
    return cells


def packed_cells(packed: bytes) -> list[int]:
    """The cells of some kinds as `cell_bytes` writes them, two bytes each."""
    return [int.from_bytes(packed[at : at + 2], "little") for at in range(0, len(packed), 2)]


@pytest.mark.parametrize("seed", range(61, 63))
def test_a_stream_comes_to_the_same_cells_for_all_who_count_it(seed: int) -> None:
    parts = stream(seed)
    every = [each for part in parts for each in part]
    found = recounted(STREAM, parts)
    assert len(found) > 2_000
    assert found == by_the_oracle(every, events.ALL_TAGS)
    assert found == by_live_counting(STREAM, every)


def test_of_erased_tenants_what_came_later_counts_and_no_more() -> None:
    """Half of them, each at another time, which one of its records has itself; two of them twice."""
    parts = stream(75)
    every = [each for part in parts for each in part]
    times: dict[str, list[int]] = {}
    for each in every:
        for fact in oracle.read(each.value, oracle_time(each.timestamp), events.ALL_TAGS).facts[:1]:
            times.setdefault(fact.tenant, []).append(each.timestamp)
    rng = Random(75)
    through = {tenant: rng.choice(times[tenant]) for tenant in events.TENANTS[::2]}
    told = [
        *((tenant, at - 1) for tenant, at in list(through.items())[:2]),
        *through.items(),
        ("nobody", NOW),
    ]
    erasures = Erasures([(offset, *each) for offset, each in enumerate(told)], len(told))

    found = recounted(STREAM, parts, erasures)
    assert found == by_the_oracle(every, events.ALL_TAGS, through)
    assert found == by_live_counting(STREAM, every, erasures)
    before = recounted(STREAM, parts)
    assert sum(found.values()) < sum(before.values())
    for tenant in events.TENANTS[1::2]:
        of_before, of_found = (
            {cell: n for cell, n in cells.items() if cell.tenant == tenant} for cells in (before, found)
        )
        assert of_found == of_before


def test_a_row_that_the_archive_has_erased_states_nothing() -> None:
    """Whoever knows of the erasure or not: nothing but its place, its time and the reason is left."""
    kept = Record(json.dumps(event("Open", tags={"tenant": ["acme"]})).encode(), SOME_DAY, 1)
    rows = columns_of("t", 0, [SlimEvent(0, SOME_DAY, ERASED), SlimEvent(2, SOME_DAY, ERASED)])
    with Recount(STREAM, MEMORY_MB) as recount:
        recount.add(rows)
        assert recount.tenants() == []
        recount.add(batch(STREAM, [kept]))
        assert counted(recount) == by_the_oracle([kept], events.ALL_TAGS) != {}


def test_a_message_id_of_two_days_is_of_two_mails() -> None:
    """And of two tenants, or with another id of any scope: identity is all of it."""
    mails = [
        event("Open", sent_ms=sent_ms, reported_ms=SOME_DAY + 5 * DAY_MS, tags=names)
        for sent_ms in (SOME_DAY, SOME_DAY + DAY_MS - 1, SOME_DAY + DAY_MS)
        for names in (
            {"tenant": ["acme"]},
            {"tenant": ["other"]},
            {"tenant": ["acme"], "sequence": ["a"]},
            {"tenant": ["acme"], "template": ["a"]},
        )
    ]
    every = [Record(json.dumps(each).encode(), SOME_DAY + 5 * DAY_MS, at) for at, each in enumerate(mails)]
    found = recounted(Rules(), [every])
    assert found == by_the_oracle(every, oracle.PAGE)
    assert sum(found[cell] for cell in found if cell.scope == "tenant" and cell.field == "opened") == 8


def test_order_and_repeated_rows_do_not_matter() -> None:
    """As files of an archive overlap: any rows again, in any batches."""
    parts = stream(71)
    want = recounted(STREAM, parts)
    rng = Random(71)
    pieces = [
        (number, rng.sample(part, len(part))[: rng.randrange(1, len(part))])
        for number, part in enumerate(parts)
        for _ in range(5)
    ]
    pieces += list(enumerate(parts))
    rng.shuffle(pieces)
    with Recount(STREAM, MEMORY_MB) as recount:
        for number, piece in pieces:
            recount.add(batch(STREAM, piece, number))
        assert counted(recount) == want


def test_only_what_is_below_the_checkpoints_of_its_tenant_counts() -> None:
    """Each tenant has its own; one that is not named counts for nothing."""
    parts = stream(72)
    rng = Random(72)
    checkpoints = {
        tenant: {number: rng.choice((0, rng.randrange(len(part)), ALL)) for number, part in enumerate(parts)}
        for tenant in events.TENANTS[1:]
    }
    del checkpoints[events.TENANTS[1]][0]
    want: Counter[Cell] = Counter()
    for tenant, below in checkpoints.items():
        counts = [
            each for number, part in enumerate(parts) for each in part if each.offset < below.get(number, 0)
        ]
        cells = by_the_oracle(counts, events.ALL_TAGS)
        want.update({cell: number for cell, number in cells.items() if cell.tenant == tenant})
    with Recount(STREAM, MEMORY_MB) as recount:
        for number, part in enumerate(parts):
            recount.add(batch(STREAM, part, number))
        assert counted(recount, checkpoints) == want
        assert counted(recount) == recounted(STREAM, parts), "they may be replaced"


def test_a_day_is_that_day_of_the_whole_count() -> None:
    """Of tenants that alone were taken in: no fact that was reported for an earlier day too."""
    parts = stream(73)
    whole = recounted(STREAM, parts)
    chosen = events.TENANTS[:3]
    days = sorted({cell.at // DAY_MS for cell in whole if cell.at is not None and cell.tenant in chosen})
    with Recount(STREAM, MEMORY_MB) as recount:
        recount.only(chosen)
        for number, part in enumerate(parts):
            recount.add(batch(STREAM, part, number))
        assert set(recount.tenants()) == set(chosen)
        recount.count_below((tenant, dict.fromkeys(range(4), ALL)) for tenant in chosen)
        for tenant in chosen:
            for day in [*days[:3], *days[-5:], days[-1] + 1]:
                assert recount.day(tenant, day) == of_day(whole, tenant, day)


# The script


def test_what_is_printed_counts_an_archive(tmp_path: Path) -> None:
    """All of it, by a DuckDB of anybody's, from files that overlap."""
    parts = stream(74)
    for number, part in enumerate(parts):
        for first, last in ((0, 200), (150, len(part))):
            path = tmp_path / "topic" / str(number) / f"{first}-{last}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            writer = FileWriter(path, {})
            writer.add_batch(batch(STREAM, part[first:last], number))
            writer.close()
    with duckdb.connect() as database:
        rows = database.execute(script(STREAM, str(tmp_path))).fetchall()
    found = {
        Cell(tenant, scope, id_, at and round(at.replace(tzinfo=UTC).timestamp() * 1000), field): number
        for tenant, scope, id_, at, field, number in rows
    }
    assert found == recounted(STREAM, parts)


def test_what_is_printed_takes_erasures_in(tmp_path: Path) -> None:
    """Where they are inserted as the script says; without that its table is empty."""
    (part, *_) = stream(76)
    path = tmp_path / "topic" / "0" / "0-1.parquet"
    path.parent.mkdir(parents=True)
    writer = FileWriter(path, {})
    writer.add_batch(batch(STREAM, part))
    writer.close()
    printed = script(STREAM, str(tmp_path))
    place = printed.index(ERASURES) + len(ERASURES)
    tenant, at = events.TENANTS[0], max(each.timestamp for each in part)
    with duckdb.connect() as database:
        database.execute(printed[:place])
        database.execute("INSERT INTO erasures VALUES (?, ?)", [tenant, at])
        rows = database.execute(printed[place:]).fetchall()
    want = recounted(STREAM, [part])
    assert {row[0] for row in rows} == {cell.tenant for cell in want} - {tenant}


def test_the_law_knows_each_column_that_a_condition_names() -> None:
    named = {condition.path[-1] for kind in KINDS for condition in kind.conditions}
    assert named == set(re.findall(r"WHEN '(\w+)' THEN \1\b", LAW))
