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
from typing import Any, Final

import duckdb
import pytest

from aggregator.archive.file_writer import FileWriter
from aggregator.counting.cells import KNOWN, Cell
from aggregator.counting.decode import Decoder
from aggregator.counting.facts import Facts
from aggregator.counting.rules import Rules
from aggregator.counting.states import counts_of, merged, states_of
from aggregator.proof.law import LAW, script
from aggregator.proof.recount import Recount
from schemas.instants import DAY_MS, QUARTER_MS
from schemas.kinds import FAMILIES, KINDS
from schemas.packed_counter import KINDS_MAX
from tests.aggregator.proof.slim import ALL, MEMORY_MB, batch, counted, recounted
from tests.pipeline import events, oracle
from tests.strategies import SOME_DAY, Record, event

STREAM: Final = Rules(
    scopes=(("sequence", "sequence"), ("template", "template"), *events.SCOPE_TAGS.items()),
    recipient_key=bytes.fromhex(events.SETTINGS["RECIPIENT_KEY"]),
)
NOW: Final = SOME_DAY + 11 * 3_600_000


def stream(seed: int, number: int = 1_500) -> list[list[Record]]:
    """Unruly mail of twenty tenants, on four partitions."""
    parts: list[list[Record]] = [[], [], [], []]
    for at, each in enumerate(events.records(seed, NOW, number)):
        part = parts[at % 4]
        part.append(Record(each.value, each.time_ms, len(part), each.key))
    return parts


def by_the_oracle(records: Iterable[Record], tag_names: Mapping[str, str]) -> Counter[Cell]:
    """The cells by the second opinion."""
    count = oracle.count(((each.value, oracle_time(each.timestamp)) for each in records), tag_names)
    found: Counter[Cell] = Counter()
    for (scope, at, field), number in count.cells().items():
        found[Cell(*scope, round(at.timestamp() * 1000), field)] = number
        if scope[1] != "tenant":
            found[Cell(*scope, None, KNOWN)] = 1
    return found


def oracle_time(ms: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + ms * oracle.MS


def by_live_counting(rules: Rules, records: Iterable[Record]) -> Counter[Cell]:
    """The cells as live counting comes to them: states are folded, and what they end as is counted."""
    decoder = Decoder(rules)
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
                of_day = {
                    cell: number
                    for cell, number in whole.items()
                    if cell.tenant == tenant and cell.at is not None and cell.at // DAY_MS == day
                }
                assert recount.day(tenant, day) == of_day


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


def test_the_law_knows_each_column_that_a_condition_names() -> None:
    named = {condition.path[-1] for kind in KINDS for condition in kind.conditions}
    assert named == set(re.findall(r"WHEN '(\w+)' THEN \1\b", LAW))
