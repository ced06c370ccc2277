"""Changes of the record that the machine of the generations cannot see, as it makes whole counters alone."""

from msgspec.structs import replace

from aggregator.counters import lifecycle
from schemas.counters import Member, Record, State
from tests.aggregator.generations import GENERATION

OLD, NEW = replace(GENERATION, name="old"), replace(GENERATION, name="new")


def test_a_switch_that_is_made_again_keeps_where_the_counters_begin() -> None:
    """Else `verify` would compare partial counters with the whole log."""
    made = Member(generation=NEW, state=State.CLOSING, attempt="lost", start={0: 7})
    record = Record((Member(generation=OLD, state=State.LIVE), made))
    restored = lifecycle.restored(record, NEW)
    live, named = restored.live, restored.named("new")
    assert live == NEW
    assert named is not None
    assert (named.start, named.attempt) == ({0: 7}, "")
    assert restored.named("old") == Member(generation=OLD, state=State.RETIRED)
    forgotten = lifecycle.restored(Record((Member(generation=OLD, state=State.LIVE),)), NEW)
    assert forgotten.named("new") == Member(generation=NEW, state=State.LIVE)
