"""What is said to be held is all that is held, and the core alone is what it would be without details."""

from collections.abc import Callable

import pytest
import redis

from aggregator.counting.checkpoints import Move
from aggregator.counting.pack import pack
from deploy.valkey import Valkey
from schemas.kinds import FIELDS, KINDS
from tests.aggregator.lanes import IDENTITIES, Lane
from tests.benchmarks.events import records
from tests.benchmarks.memory import held_by
from tests.benchmarks.test_calls import ONE, facts
from tests.benchmarks.workload import happenings


def test_all_keys_are_told_and_what_the_core_takes(valkey_factory: Callable[[], Valkey]) -> None:
    """With details, and without any; sent and delivered are kept 32 days after the send day, the rest 92."""
    stated = list(facts(records(happenings(ONE, 2_000))))
    sending = [each for each in stated if each.kinds == (FIELDS.index("sent"),)]
    assert {KINDS[kind].horizon.name for each in sending for kind in each.kinds} == {"s"}
    with redis.Redis.from_url(valkey_factory().url) as client:
        for number, part in enumerate((sending, stated)):
            lane = Lane(client, f"g{number}")
            lane.send(pack([Move(0, 0, 1, -1)], part, IDENTITIES)[0])
            held = held_by(client)
            everything = sum(client.memory_usage(key, samples=0) for key in client.scan_iter())
            assert held.total == held.by_kind.total() == everything
            days = {each.day + each.quarter // 96 for each in part}
            assert held.scope_days == 3 * len(days), "a tenant, a sequence, a template"
            counters = held.by_kind["c"] + held.by_kind["w"]
            if part is sending:
                assert held.core == pytest.approx(counters, rel=0.02), (
                    "made at once, they are rounded otherwise"
                )
                assert held.byte_days == 32 * held.by_kind["m"]
            else:
                assert 0 < held.core < counters
                assert 32 * held.by_kind["m"] < held.byte_days < 92 * held.by_kind["m"]
            client.flushdb()
