"""The law in SQL, record by record: it says what others say of each who share nothing with it.

`tests.aggregator.law` reads a record with another JSON parser and in plain Python: so it is the proof of the
decoder too, which the SQL has in common with live counting up to the slim event. (It is held against live
counting itself in `tests/aggregator/counting/test_decode.py`.) Of tags of odd shapes live counting is asked.
"""

import json
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.counting.decode import Decoder
from aggregator.counting.facts import Facts
from aggregator.counting.rules import Rules
from aggregator.proof.recount import Recount
from schemas.instants import DAY_MS, QUARTER_MS
from schemas.kinds import FIELDS
from tests.aggregator.archive.test_slim import ODD, tags
from tests.aggregator.law import stated
from tests.aggregator.proof.slim import MEMORY_MB, batch
from tests.examples import examples
from tests.strategies import SOME_DAY, Record, event, records

KEY: Final = b"sixteen bytes or more"
RULES: Final = (
    Rules(),
    Rules(default_tenant="house", recipient_key=KEY),
    Rules("campaign", (("sequence", "tenant"), ("isp", "ses:configuration-set")), "it's", KEY),
    Rules("Tenant", (), "house", KEY),
)
SAMPLES: Final = Path(__file__).parents[4] / "shared" / "ses-samples"


class Law:
    """The law in SQL by some rules, asked for the facts of single records."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._recount = Recount(rules, MEMORY_MB)

    def facts(self, records: list[Record]) -> list[set[Any]]:
        """What each record states, in the form of `tests.aggregator.law`."""
        numbered = [Record(each.value, each.timestamp, offset) for offset, each in enumerate(records)]
        self._recount.add(batch(self.rules, numbered))
        self._recount._take_in()
        found: list[set[Any]] = [set() for _ in records]
        for _, offset, tenant, ids, day, message_id, recipient, field, at_ms in self._recount._db.execute(
            "FROM kept"
        ).fetchall():
            found[offset].add((tenant, tuple(ids), day, message_id, recipient, field, at_ms // QUARTER_MS))
        self._recount._db.execute("DELETE FROM kept")
        return found

    def __repr__(self) -> str:
        return repr(self.rules)


LAWS: Final = list(map(Law, RULES))


def states_the_same(law: Law, of: list[Record]) -> None:
    """Each record states in SQL what live counting reads in it."""
    decoder = Decoder(law.rules)
    for record, found in zip(of, law.facts(of), strict=True):
        outcome = decoder.read(record.value, record.timestamp)
        facts = set() if not isinstance(outcome, Facts) else set(_single(outcome))
        assert found == facts, (record, outcome)


def _single(facts: Facts) -> Iterable[tuple[Any, ...]]:
    for kind in facts.kinds:
        for recipient in facts.recipients:
            yield (
                *facts.scopes,
                facts.day,
                facts.message_id,
                recipient,
                FIELDS[kind],
                facts.day * (DAY_MS // QUARTER_MS) + facts.quarter,
            )


@settings(max_examples=examples(100))
@given(st.sampled_from(LAWS), st.lists(records(), min_size=1, max_size=15))
def test_each_record_states_in_sql_what_it_states_by_hand(law: Law, of: list[Record]) -> None:
    """Bytes to slim event to SQL, against another parser of JSON and plain Python."""
    rules = law.rules
    for record, found in zip(of, law.facts(of), strict=True):
        by_hand = stated(
            record.value, record.timestamp, rules.default_tenant, rules.tags, rules.recipient_key
        )
        assert found == (set() if isinstance(by_hand, str) else set(map(tuple, by_hand))), record


@settings(max_examples=examples(50))
@given(st.sampled_from(LAWS), st.lists(st.tuples(tags(), st.none() | tags(), st.booleans()), min_size=1))
def test_tags_of_any_shape_state_the_same(law: Law, written: list[tuple[str, str | None, bool]]) -> None:
    """Also those that stand where the event is not: around it, or in a `detail` that is none."""
    states_the_same(law, [_tagged(*each) for each in written])


def _tagged(mine: str, other: str | None, wrapped: bool) -> Record:
    text = json.dumps(event("Open", tags="MINE")).replace('"MINE"', mine)
    beside = "" if other is None else f'"mail":{{"tags":{other}}}'
    if wrapped:
        text = f'{{"detail":{text}{"," if beside else ""}{beside}}}'
    elif beside:
        text = f'{text[:-1]},"detail":{{{beside}}}}}'
    return Record(text.encode(), SOME_DAY)


@pytest.mark.parametrize("form", ["%s", '{"tenant":%s}', '{"tenant":%s,"tenant":["acme"]}', '{"other":%s}'])
@pytest.mark.parametrize("law", LAWS[:2])
def test_each_odd_tag_states_the_same(law: Law, form: str) -> None:
    odd = (*ODD, '["a\\u0000b"]', '"\\u0000"', "-1e999", "[1e999]", '{"x":[-1e999]}', "99999999999999999999")
    states_the_same(
        law,
        [
            _tagged(form % each, other, wrapped)
            for each in odd
            for other in (None, "1e999", '{"tenant":[1e999]}', '{"tenant":["acme"]}')
            for wrapped in (False, True)
        ],
    )


@pytest.mark.parametrize("law", LAWS)
def test_the_examples_and_the_genuine_samples_state_the_same(law: Law) -> None:
    found = [
        path.read_bytes()
        for folder in ("counted", "ignored", "dead-letter")
        for path in (files("schemas") / "examples" / folder).iterdir()
    ]
    for path in SAMPLES.rglob("*.json"):
        found.append(path.read_bytes())
        try:
            found.append(json.loads(found[-1])["Message"].encode())
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    assert len(found) > 50
    times = [SOME_DAY + days * DAY_MS for days in (0, 1, 17, 80)]
    states_the_same(law, [Record(value, ms) for value in found for ms in (*times, 0, 1_450_000_000_000)])
