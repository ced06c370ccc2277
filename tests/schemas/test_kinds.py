"""The table of kinds: it is the design's, row by row, and it has the shape that all who read it rely on."""

from itertools import groupby

import pytest

from schemas.instants import DAY_MS
from schemas.kinds import (
    CORE_FIELDS,
    FAMILIES,
    FIELDS,
    HORIZON_MS,
    HORIZONS,
    KEY_GROUPS,
    KINDS,
    LONG,
    SHORT,
    STALE_MS,
    Kind,
)
from schemas.ses import Body, Event, Mail, TopicPreferences
from tests.strategies import BODIES

CORE = ("sent", "delivered", "opened", "clicked", "bounced", "complained")
DETAILS = (
    "bounced_hard",
    "suppressed",
    "bounced_soft",
    "bounced_undetermined",
    "delayed",
    "rejected",
    "rendering_failed",
    "unsubscribed",
    "opened_human",
    "clicked_human",
)
SHORT_KINDS = {"sent", "delivered", "delayed", "rejected", "rendering_failed"}
OF_MESSAGES = {"opened", "clicked", "unsubscribed", "opened_human", "clicked_human"}
PARTS = {
    "bounced_hard": "bounced",
    "suppressed": "bounced",
    "bounced_soft": "bounced",
    "bounced_undetermined": "bounced",
    "opened_human": "opened",
    "clicked_human": "clicked",
}


def test_families_and_fields_stand_in_the_order_of_the_design() -> None:
    """The page's six, then the details; a name stands once, and families are not mixed."""
    assert (*CORE, *DETAILS) == FIELDS
    assert dict(FAMILIES) == {"core": CORE, "details": DETAILS}
    assert CORE_FIELDS == CORE
    assert len(set(FIELDS)) == len(FIELDS) == len(KINDS)
    assert [name for name, _ in groupby(kind.family for kind in KINDS)] == list(FAMILIES)


def test_horizons_are_those_of_the_law() -> None:
    day = 24 * 60 * 60 * 1000
    assert day == DAY_MS
    assert (SHORT.late_ms, SHORT.stale_ms) == (3 * day, 18 * day)
    assert (LONG.late_ms, LONG.stale_ms) == (62 * day, 78 * day)
    assert {kind.field for kind in KINDS if kind.horizon is SHORT} == SHORT_KINDS
    assert {kind.field for kind in KINDS if kind.horizon is LONG} == set(FIELDS) - SHORT_KINDS
    assert (LONG.late_ms, LONG.stale_ms) == (HORIZON_MS, STALE_MS)
    assert len({horizon.name for horizon in HORIZONS}) == len(HORIZONS) == 2


def test_a_key_group_is_named_once_and_counts_one_thing() -> None:
    assert len({group.name for group in KEY_GROUPS}) == len(KEY_GROUPS)
    assert {kind.field for kind in KINDS if kind.per_message} == OF_MESSAGES
    for group in KEY_GROUPS:
        assert len({kind.per_message for kind in KINDS if kind.key_group is group}) == 1


@pytest.mark.parametrize("kind", KINDS, ids=FIELDS)
def test_a_row_names_what_an_event_has(kind: Kind) -> None:
    """Types of SES; its objects, lists and conditions as `schemas.ses` calls them."""
    assert kind.event_type in BODIES
    assert (kind.body is None) == (kind.event_type in {"Send", "Reject", "Rendering Failure"})
    if kind.body is not None:
        assert kind.body in Event.__struct_fields__
    if kind.recipients is not None:
        assert kind.recipients in (Mail if kind.body is None else Body).__struct_fields__
    for condition in kind.conditions:
        holders = (Body, TopicPreferences)
        assert len(condition.path) <= len(holders)
        for name, holder in zip(condition.path, holders, strict=False):
            assert name in holder.__struct_fields__
        assert condition.values


def test_a_part_is_stated_by_the_same_events_as_the_whole() -> None:
    """So that no part counts what the whole does not; a part has no parts, and nobody's whole is later."""
    of_field = dict(zip(FIELDS, KINDS, strict=True))
    assert {kind.field: kind.part_of for kind in KINDS if kind.part_of} == PARTS
    for part, whole in PARTS.items():
        one, other = of_field[part], of_field[whole]
        assert other.part_of is None
        assert not other.conditions
        assert not other.by_people
        assert FIELDS.index(whole) < FIELDS.index(part)
        for name in ("event_type", "body", "recipients", "address_key", "horizon"):
            assert getattr(one, name) == getattr(other, name)
