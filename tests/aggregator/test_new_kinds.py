"""A new kind is a row of the table, and a new family a new name in it: nothing else is touched.

The table is made anew from its own text with rows added, and the programs' modules upon it, as a release with
these rows would have them. What they read, fold and pack goes through the true script on a real Valkey.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from itertools import count
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final

import pytest
import redis

from aggregator.counting.cells import stored_cells
from deploy.valkey import Valkey
from schemas import kinds
from schemas.redis_keys import BLOCK_DAYS
from tests.aggregator.lanes import Lane
from tests.strategies import Record

TABLE: Final = Path(kinds.__file__).read_text()
END: Final = "\n)\n\nFIELDS: Final"
"""Of the table."""
EXAMPLES: Final = files("schemas") / "examples" / "counted"
RECORD_MS: Final = 1_772_625_600_000
MODULES: Final = ("states", "pack", "cells", "decode", "rules", "checkpoints")
_numbers = count()


def row(family: str, key_group: str, event: str) -> str:
    """A made-up kind of what an example states, beside what it states already."""
    number = next(_numbers)
    if event == "Open":
        shape = '"Open", "open", None'
    elif event == "Bounce":
        shape = "*_BOUNCE"
    else:
        shape = '"Complaint", "complaint", "complained_recipients", "emailAddress"'
    return f'    Kind("made_up_{number}", "{family}", {key_group}, {shape}),'


def rows(family: str, number: int, event: str, group: str, groups: list[str]) -> list[str]:
    """Rows of one family, four to a key group; the groups' own lines are added to `groups`."""
    made = []
    for n in range(number):
        name = f"{group}_{n // 4}"
        if n % 4 == 0:
            groups.append(f'{name}: Final = KeyGroup("{name.lower()}", LONG)')
        made.append(row(family, name, event))
    return made


def table(groups: Sequence[str], core: Sequence[str], rest: Sequence[str]) -> str:
    """The table's text with rows at the end of the first family, and at the end."""
    head, tail = TABLE.split("KINDS: Final[", 1)
    first = tail.index('    Kind(\n        "bounced_hard"')
    last = tail.index(END)
    body = [tail[:first].rstrip("\n"), *core, tail[first:last], *rest]
    return head + "\n".join(groups) + "\n\nKINDS: Final[" + "\n".join(body) + tail[last:]


@pytest.fixture
def release(tmp_path: Path) -> Iterator[Callable[[str], SimpleNamespace]]:
    """Makes the modules of a release with another table, beside the true ones, which come back at the end."""

    def ours() -> dict[str, ModuleType]:
        return {
            name: module
            for name, module in sys.modules.items()
            if name.partition(".")[0] in ("schemas", "aggregator")
        }

    before = ours()

    def made(text: str) -> SimpleNamespace:
        for name in ours():
            del sys.modules[name]
        (tmp_path / "kinds.py").write_text(text)
        spec = importlib.util.spec_from_file_location("schemas.kinds", tmp_path / "kinds.py")
        assert spec is not None
        assert spec.loader is not None
        new = importlib.util.module_from_spec(spec)
        sys.modules["schemas.kinds"] = new
        package: Any = importlib.import_module("schemas")
        package.kinds = new
        spec.loader.exec_module(new)
        found = {name: importlib.import_module(f"aggregator.counting.{name}") for name in MODULES}
        found["recount"] = importlib.import_module("aggregator.proof.recount")
        for name in ("slim", "columns"):
            found[name] = importlib.import_module(f"aggregator.archive.{name}")
        return SimpleNamespace(kinds=new, counters=importlib.import_module("schemas.counters"), **found)

    yield made
    for name in ours():
        del sys.modules[name]
    sys.modules.update(before)


def stored(client: Any, lane: Lane) -> list[tuple[int, dict[bytes, bytes]]]:
    """The one tenant's counters."""
    return [
        (int(key.rpartition(b":")[2]), client.hgetall(key) | client.hgetall(key.replace(b"}:c:", b"}:w:")))
        for key in lane.keys("c:acme:*")
    ]


def recounted(new: SimpleNamespace, records: list[Record]) -> dict[Any, int]:
    """What the law in SQL makes of records, but for which ids are known."""
    reducer = new.slim.Reducer(b"")
    with new.recount.Recount(new.rules.Rules(), 128) as recount:
        recount.add(new.columns.columns_of("t", 0, [reducer.reduce(record) for record in records]))
        recount.count_below([("acme", {0: 1})])
        recount.compare()
        (counts,) = recount.both(equal=True)
    return {cell: count for cell, count in counts.log.items() if cell.field != "known"}


def test_kinds_of_a_new_family_are_counted_beside_the_others(
    release: Callable[[str], SimpleNamespace], valkey_factory: Callable[[], Valkey]
) -> None:
    """Three families full of kinds: read of the events, counted in fields of their own, and read back."""
    groups: list[str] = []
    core = rows(kinds.CORE, 16 - len(kinds.FAMILIES[kinds.CORE]), "Bounce", "FIRST", groups)
    details = rows(kinds.DETAILS, 16 - len(kinds.FAMILIES[kinds.DETAILS]), "Complaint", "SECOND", groups)
    more = rows("more", 16, "Open", "THIRD", groups)
    new = release(table(groups, core, [*details, *more]))
    assert [len(fields) for fields in new.kinds.FAMILIES.values()] == [16, 16, 16]

    decoder = new.decode.Decoder(new.rules.Rules())
    names = ("send", "delivery", "open", "click", "bounce", "complaint")
    records = [Record((EXAMPLES / f"{name}.json").read_bytes(), RECORD_MS) for name in names]
    events = [decoder.read(record.value, record.timestamp) for record in records]
    stated = {new.kinds.FIELDS[kind] for each in events for kind in each.kinds}
    assert {name for name in stated if name.startswith("made_up")} == {
        name for name in new.kinds.FIELDS if name.startswith("made_up")
    }, "each row is stated by its event"

    with redis.Redis.from_url(valkey_factory().url) as client:
        lane = Lane(client, "new-kinds")
        calls = [events, events[::-1], events[3:]]
        for at, each in enumerate(calls):
            identities = new.states.Identities("5a" * 16)
            argument, _ = new.pack.pack([new.checkpoints.Move(0, at, at + 1)], each, identities)
            assert lane.send(argument)[0] == b"OK"
        blocks = stored(client, lane)
        found = new.cells.stored_cells("acme", ("sequence", "template"), blocks)
        assert dict(found) == recounted(new, records)
        assert {cell.field for cell in found} == stated
        families = {field[0] // BLOCK_DAYS for _, fields in blocks for field in fields}
        assert families == {0, 1, 2}, "each family has fields of its own"
        with pytest.raises(ValueError, match="there is no"):
            stored_cells("acme", ("sequence", "template"), blocks)


def test_who_has_another_table_refuses_the_generation(release: Callable[[str], SimpleNamespace]) -> None:
    """A new kind or a new family: a program before it reads none of it, and neither does one after it."""
    generation = {
        "name": "g",
        "lanes": 1,
        "rules": "r",
        "cluster_id": "c",
        "topic_id": "t",
        "created_ms": 0,
        "kinds": kinds.FIELDS,
    }
    families = tuple(kinds.FAMILIES.items())
    before = importlib.import_module("schemas.counters")
    for family in (kinds.DETAILS, "more"):
        new = release(table([], [], [row(family, "SUBSCRIPTION", "Open")]))
        others = tuple(new.kinds.FAMILIES.items())
        assert others != families
        for reader, theirs, own in ((before, others, families), (new.counters, families, others)):
            made = reader.Generation(**generation, layout=reader.LAYOUT, families=theirs)
            assert not made.is_readable
            assert reader.Generation(**generation, layout=reader.LAYOUT, families=own).is_readable


@pytest.mark.parametrize(
    ("family", "number", "said"),
    [(kinds.CORE, 11, "the kinds fit a family"), ("more", 4, "subscription fits a number of Lua")],
)
def test_what_there_is_no_room_for_is_refused_at_import(
    release: Callable[[str], SimpleNamespace], family: str, number: int, said: str
) -> None:
    """The seventeenth kind of a family, and a state that Lua could not hold."""
    made = [row(family, "SUBSCRIPTION", "Open") for _ in range(number)]
    core, rest = (made, []) if family == kinds.CORE else ([], made)
    with pytest.raises(AssertionError, match=said):
        release(table([], core, rest))


def test_the_table_is_found_by_its_text() -> None:
    """What this module does to it would else add nothing."""
    assert TABLE.count(END) == 1
    assert list(kinds.FAMILIES) == [kinds.CORE, kinds.DETAILS]
