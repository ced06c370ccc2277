"""What becomes of a made-up mail is plausible and repeatable, and all of it can be read."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from aggregator.counting.decode import Decoder
from aggregator.counting.facts import Facts
from aggregator.counting.rules import Rules
from deploy.letters import Fate, Letter, life_of_a_mail
from deploy.traffic import BOUNCES, DAY, MINUTE, Event
from schemas.instants import QUARTER_MS
from schemas.kinds import FIELDS
from tests.pipeline import oracle

SENT_MS = 1_790_000_000_000
AT = datetime.fromtimestamp(SENT_MS / 1000, UTC) + timedelta(days=40)
"""Later than any event of a mail that was sent then."""

TAGS = {"tenant": "harbor", "sequence": "welcome", "template": "welcome-day-0"}
NOTHING = Fate(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
HARD_TO_PLEASE = Fate(0.05, 0.05, 0.05, 0.05, 0.1, 0.1, 0.5, 0.5, 0.5, 0.2, 0.05)


def life(rng: Random, fate: Fate, *, says_machines: bool = True) -> list[tuple[int, Event]]:
    letter = Letter("Harbor", "harbor.example", "A subject", TAGS, fate, says_machines)
    return life_of_a_mail(rng, letter, SENT_MS)


@given(st.integers())
def test_the_same_chance_gives_the_same_life(seed: int) -> None:
    assert life(Random(seed), HARD_TO_PLEASE) == life(Random(seed), HARD_TO_PLEASE)


@given(st.integers(), st.booleans())
def test_every_event_can_be_read_and_says_the_time_that_it_is_given_with(seed: int, machines: bool) -> None:
    """Each is counted, by the aggregator's own decoder, for the mail's tags."""
    decoder = Decoder(Rules())
    for at_ms, event in life(Random(seed), HARD_TO_PLEASE, says_machines=machines):
        value = json.dumps(event, separators=(",", ":")).encode()
        outcome = decoder.read(value, at_ms)
        assert isinstance(outcome, Facts)
        assert (outcome.scopes.tenant, *outcome.scopes.ids) == tuple(TAGS.values())
        assert outcome.day * DAY + outcome.quarter * QUARTER_MS == at_ms - at_ms % QUARTER_MS
        assert len(value) > (1_200 if "headers" in event["mail"] else 700)


def test_many_mails_have_everything_that_is_counted() -> None:
    decoder, rng = Decoder(Rules()), Random(1)
    kinds: Counter[str] = Counter()
    for at_ms, event in [each for _ in range(2_000) for each in life(rng, HARD_TO_PLEASE)]:
        outcome = decoder.read(json.dumps(event).encode(), at_ms)
        assert isinstance(outcome, Facts)
        kinds.update(FIELDS[kind] for kind in outcome.kinds)
    assert set(kinds) == set(FIELDS)


def test_a_fate_is_what_happens() -> None:
    """Without any odds a mail is sent and delivered; each sort of bounce is as likely as it is said to be."""
    plain = [[event["eventType"] for _, event in life(Random(seed), NOTHING)] for seed in range(200)]
    assert all(types[0] == "Send" and set(types[1:]) == {"Delivery"} for types in plain)
    rng, sorts = Random(1), Counter[tuple[str, str]]()
    fate = Fate(0.4, 0.3, 0.2, 0.1, 0, 0, 0, 0, 0, 0, 0)
    for _, event in [each for _ in range(2_000) for each in life(rng, fate)]:
        if "bounce" in event:
            sorts[event["bounce"]["bounceType"], event["bounce"]["bounceSubType"]] += 1
    shares = [sorts[kind, subtype] / sorts.total() for kind, subtype, _, _ in BOUNCES.values()]
    assert all(abs(share - said) < 0.03 for share, said in zip(shares, (0.4, 0.3, 0.2, 0.1), strict=True))


def test_people_open_within_hours_and_machines_within_minutes() -> None:
    """Half of the first human opens come in two hours, some after a day; machines are told apart as SES does.

    Where SES does not say, by the agents alone: the independent reading of the law finds the same ones.
    """
    people, machines = [], []
    for seed in range(1_000):
        says = seed % 2 == 0
        first: dict[bool, int] = {}
        for at_ms, event in life(Random(seed), Fate(scanned=0.5, opens=0.5), says_machines=says):
            if "open" in event:
                assert ("isBotEvent" in event["open"]) == says
                value = json.dumps(event).encode()
                by_person = any(fact.field == "opened_human" for fact in oracle.read(value, AT).facts)
                first.setdefault(by_person, at_ms - SENT_MS)
        people += [first[True]] if True in first else []
        machines += [first[False]] if False in first else []
    people.sort()
    machines.sort()
    assert 40 * MINUTE < people[len(people) // 2] < 120 * MINUTE
    assert 0.01 < sum(delay > DAY for delay in people) / len(people) < 0.15
    assert machines[len(machines) * 9 // 10] < 15 * MINUTE
    assert 350 < len(people) < 650
    assert 350 < len(machines) < 650
