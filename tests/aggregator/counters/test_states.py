"""What a lane remembers of messages, as an operator's command reads it, on a real Valkey."""

from collections.abc import Iterator

import pytest
import redis
from msgspec.structs import replace

from aggregator.counters.keyspace import Entry, Keyspace
from aggregator.counting.facts import Facts, Scopes
from aggregator.counting.states import HORIZON_OF, group_of, quarter_of
from aggregator.errors import GoneError
from schemas.kinds import HORIZONS
from schemas.shared.settings import RedisSettings
from tests.aggregator.generations import GENERATION
from tests.aggregator.lanes import IDENTITIES, Lane, kinds

DAY = 20_000
SCOPES = Scopes("one", ("welcome", None))
(SENT,), (OPENED,) = kinds("sent"), kinds("opened")
MESSAGES = 4_000
"""So many of a day that come in parts have several layers of buckets."""


@pytest.fixture
def keys(redis_url: str) -> Iterator[Keyspace]:
    keyspace = Keyspace(RedisSettings(redis_url=redis_url))
    yield keyspace
    keyspace.close()


def entries(names: list[str], kind: int) -> list[Entry]:
    group = group_of(kind)
    wanted: dict[tuple[str, bytes | None, int], int] = {(name, None, group): 0 for name in names}
    horizon = HORIZONS[HORIZON_OF[group]].name
    return [Entry(horizon, DAY, *identity) for identity in IDENTITIES.of(SCOPES, wanted)]


def test_each_state_is_found_in_whichever_layer_it_lies(redis_url: str, keys: Keyspace) -> None:
    names = [f"m{number}" for number in range(MESSAGES)]
    generation = replace(GENERATION, name="states-layers")
    with redis.Redis.from_url(redis_url) as client:
        lane = Lane(client, generation.name)
        for at in range(0, MESSAGES, 500):
            facts = [
                Facts(SCOPES, DAY, number % 300, names[number], (OPENED,), (None,))
                for number in range(at, at + 500)
            ]
            lane.call([(3, at, at + 500, -1)], facts)
        (meta,) = [key for key in lane.keys("m:*") if key.count(b":") == 4]
        assert len(client.get(meta).split()) > 2, "there are several layers"
    checkpoints, states = keys.states(generation, 0, entries(names, OPENED))
    assert checkpoints == {3: MESSAGES}
    assert [state is not None and quarter_of(OPENED, state) for state in states] == [
        number % 300 for number in range(MESSAGES)
    ]


def test_what_is_not_remembered_is_none(redis_url: str, keys: Keyspace) -> None:
    """A message that never came, another key group, and a day without any state."""
    generation = replace(GENERATION, name="states-none")
    with redis.Redis.from_url(redis_url) as client:
        lane = Lane(client, generation.name)
        lane.call([(0, 0, 1, -1)], [Facts(SCOPES, DAY, 5, "here", (OPENED,), (None,))])
    here = entries(["here"], OPENED)
    asked = [*here, *entries(["never"], OPENED), *entries(["here"], SENT), here[0]._replace(day=DAY + 1)]
    _, states = keys.states(generation, 0, asked)
    assert [state is None for state in states] == [False, True, True, True]


def test_a_lane_of_another_generation_is_gone(keys: Keyspace) -> None:
    with pytest.raises(GoneError):
        keys.states(replace(GENERATION, name="states-of-nobody"), 0, [])
