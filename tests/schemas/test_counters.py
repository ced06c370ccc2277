"""The record of the generations, read by this version and by the last one, which share a Redis for a while.

What layout 2 reads and writes stands here as data: its code is gone.
"""

import msgspec

from schemas.counters import LAYOUT, Generation, Member, Record, State
from schemas.kinds import CORE_FIELDS, FAMILIES, FIELDS

NEW = Generation(
    name="newer",
    lanes=16,
    rules="22",
    layout=LAYOUT,
    kinds=FIELDS,
    families=tuple(FAMILIES.items()),
    scopes=("sequence", "template", "campaign"),
    identity_key="5a" * 16,
    cluster_id="c",
    topic_id="t",
    created_ms=2,
)
WRITTEN_BY_LAYOUT_2 = b"""{"members": [{
  "generation": {"name": "older", "lanes": 16, "rules": "11", "layout": 2,
    "kinds": ["sent", "delivered", "opened", "clicked", "bounced", "complained"],
    "cluster_id": "c", "topic_id": "t", "created_ms": 1},
  "state": "live", "attempt": "", "start": {}
}]}"""


class GenerationOfLayout2(msgspec.Struct, frozen=True, kw_only=True):
    """What layout 2 reads of a generation."""

    name: str
    lanes: int
    rules: str
    layout: int
    kinds: tuple[str, ...]
    cluster_id: str
    topic_id: str
    created_ms: int


class MemberOfLayout2(msgspec.Struct, frozen=True, kw_only=True):
    """What layout 2 reads of a member."""

    generation: GenerationOfLayout2
    state: State
    attempt: str = ""
    start: dict[int, int] = {}


class RecordOfLayout2(msgspec.Struct, frozen=True):
    """What layout 2 reads of the record."""

    members: tuple[MemberOfLayout2, ...]


def test_the_record_of_layout_2_is_read_and_its_counters_are_not() -> None:
    """A generation of layout 2 is known by name, lanes, rules and log; nobody reads its counters."""
    live = msgspec.json.decode(WRITTEN_BY_LAYOUT_2, type=Record).live
    assert live is not None
    assert (live.name, live.lanes, live.rules, live.layout, live.topic_id) == ("older", 16, "11", 2, "t")
    assert live.kinds == CORE_FIELDS
    assert (live.families, live.scopes, live.identity_key) == ((), (), "")
    assert not live.is_readable
    assert not live.has_our_kinds
    assert live.scope_number("sequence") is None


def test_layout_2_reads_the_record_that_this_version_writes() -> None:
    """Beside its own generation layout 2 sees the new one whole but for what it does not know."""
    older = msgspec.json.decode(WRITTEN_BY_LAYOUT_2, type=Record)
    making = Member(generation=NEW, state=State.CLOSING, attempt="token", start={3: 4})
    written = msgspec.json.encode(Record((*older.members, making)))
    first, second = msgspec.json.decode(written, type=RecordOfLayout2).members
    assert first == msgspec.json.decode(WRITTEN_BY_LAYOUT_2, type=RecordOfLayout2).members[0]
    assert (second.state, second.attempt, second.start) == (State.CLOSING, "token", {3: 4})
    known = second.generation
    assert all(getattr(known, name) == getattr(NEW, name) for name in known.__struct_fields__)
    assert known.layout != 2, "which is why layout 2 leaves its counters alone"


def test_what_layout_2_writes_back_of_a_new_generation_is_refused() -> None:
    """Layout 2 forgets what it does not know, families and secret among it: that is seen, never misread."""
    written = msgspec.json.encode(Record((Member(generation=NEW, state=State.LIVE),)))
    back = msgspec.json.encode(msgspec.json.decode(written, type=RecordOfLayout2))
    live = msgspec.json.decode(back, type=Record).live
    assert NEW.is_readable
    assert live is not None
    assert live.layout == LAYOUT
    assert not live.is_readable


def test_what_cannot_be_read_says_why() -> None:
    """By layout which is the older version, then other kinds, then damage."""
    for changed, said in (
        (
            {"layout": LAYOUT + 1},
            f"has layout {LAYOUT + 1}, of a newer version; this one has layout {LAYOUT}",
        ),
        (
            {"layout": LAYOUT - 1, "families": ()},
            f"has layout {LAYOUT - 1}, of an older version; this one has",
        ),
        ({"families": ()}, f"has layout {LAYOUT} as this version, and counts other kinds of events"),
        ({"lanes": 0}, "has 0 lanes"),
    ):
        other = msgspec.structs.replace(NEW, **changed)
        assert not other.is_readable
        assert other.foreign.startswith(said)
