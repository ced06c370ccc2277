"""The made-up traffic is plausible and repeatable."""

import json
from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from aggregator.counting.decode import Decoder
from aggregator.counting.facts import Facts
from aggregator.counting.rules import Rules
from deploy.traffic import DAY, HOUR, SECOND, SENDERS, Event, TagNames, Traffic
from schemas.instants import QUARTER_MS
from schemas.kinds import FIELDS

NOW_MS = 1_790_000_000_000


def events(seed: int, hours: int = 6, mails_per_hour: float = 40.0) -> list[Event]:
    traffic = Traffic(Random(seed), NOW_MS - hours * HOUR, mails_per_hour / (HOUR / SECOND))
    return list(traffic.until(NOW_MS))


@given(st.integers(), st.lists(st.integers(0, 6 * HOUR), max_size=5))
def test_the_stream_depends_on_the_seed_and_not_on_when_one_looks(seed: int, looks: list[int]) -> None:
    traffic = Traffic(Random(seed), NOW_MS - 6 * HOUR, 40 / 3600)
    pieces = [list(traffic.until(NOW_MS - 6 * HOUR + look)) for look in [*sorted(looks), 6 * HOUR]]
    assert [event for piece in pieces for event in piece] == events(seed)


@given(st.integers())
def test_every_event_can_be_read_and_none_is_of_the_future(seed: int) -> None:
    """Each is counted, by the aggregator's own decoder."""
    decoder = Decoder(Rules())
    for event in events(seed):
        value = json.dumps(event, separators=(",", ":")).encode()
        outcome = decoder.read(value, NOW_MS)
        assert isinstance(outcome, Facts)
        assert outcome.day * DAY + outcome.quarter * QUARTER_MS <= NOW_MS
        assert len(value) > (1_200 if "headers" in event["mail"] else 700)


def test_a_day_of_traffic_has_everything_that_is_counted() -> None:
    decoder = Decoder(Rules())
    kinds: Counter[str] = Counter()
    scopes = set()
    for event in events(1, hours=48, mails_per_hour=60):
        outcome = decoder.read(json.dumps(event).encode(), NOW_MS)
        if isinstance(outcome, Facts):
            kinds.update(FIELDS[kind] for kind in outcome.kinds)
            scopes.add((outcome.scopes.tenant, *outcome.scopes.ids))
    assert set(kinds) == set(FIELDS)
    assert scopes == {
        (sender.tenant, sequence, template) for sender in SENDERS for sequence, template, _ in sender.mail
    }


def test_the_tags_have_the_names_that_were_asked_for() -> None:
    names = TagNames("customer", "journey", "layout")
    traffic = Traffic(Random(1), NOW_MS - HOUR, 0.01, tags=names)
    decoder = Decoder(Rules(names.tenant, (("sequence", names.sequence), ("template", names.template))))
    outcomes = [decoder.read(json.dumps(event).encode(), NOW_MS) for event in traffic.until(NOW_MS)]
    assert any(isinstance(outcome, Facts) and all(outcome.scopes.ids) for outcome in outcomes)
