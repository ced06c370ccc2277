"""A Redis that was wiped: workers stay up, apply nothing and make no generation; nobody reads zeros.

That nothing happens is seen by counting how often a worker has looked and found nothing, not by waiting.
"""

import time

from schemas.redis_keys import FORMER_KEY
from tests.pipeline import events, log
from tests.pipeline.place import Place, naive_count
from tests.pipeline.programs import Program

LOOKS = 3
RECORDS = 2_000
ANSWER = {"period": "day"}


def wait_until_it_looked(place: Place, worker: Program) -> None:
    """Return when the worker has looked for the generation's record some more times (it is not cached)."""

    def looks() -> int:
        return int(place.redis.info("commandstats").get("cmdstat_mget", {}).get("calls", 0))

    before = looks()
    worker.wait_until(lambda: looks() >= before + LOOKS, "it looks for a generation")


def test_a_flush_under_a_running_worker(place: Place) -> None:
    """FLUSHALL: the worker stays up and says 503, and so does the API; nothing is applied, nothing made."""
    records = events.records(5, time.time_ns() // 1_000_000, RECORDS, tenants=1)
    worker, api = place.programs.worker(), place.programs.api()
    place.send(records)
    place.wait_until_counted(worker)
    place.make_keys(events.TENANTS[:1])
    place.check(api, naive_count(records), ("day",))

    place.redis.flushall()
    assert "rebuild" in worker.wait_until_unready_because("no generation")
    place.send(records)
    wait_until_it_looked(place, worker)
    assert place.redis.dbsize() == 0
    assert worker.running
    lines = [line for line in worker.said("counting waits") if "no generation" in line["why"]]
    assert 0 < len(lines) < LOOKS, "one line a minute"
    assert api.get("/readyz").status_code == 503
    for scope in [(events.TENANTS[0], "tenant", ""), (events.TENANTS[0], "template", "x")]:
        status, body = place.ask(api, scope, **ANSWER)
        assert (status, body["code"]) == (503, "UNAVAILABLE")
    assert api.get("/api/metrics").status_code == 503
    assert worker.stop() == 0

    follower = place.programs.worker()
    assert "rebuild" in follower.wait_until_unready_because("no generation")
    wait_until_it_looked(place, follower)
    assert place.redis.dbsize() == 0
    assert follower.stop() == 0


def test_an_empty_redis_but_a_group_that_has_counted(place: Place) -> None:
    """Where the group has commits, an empty Redis was wiped: no first generation is made."""
    place.send(events.records(6, time.time_ns() // 1_000_000, RECORDS, tenants=1))
    log.commit(place.bootstrap, place.programs.events_topic, place.programs.group, place.ends())
    worker = place.programs.worker()
    why = worker.wait_until_unready_because("no generation")
    for word in (f"group '{place.programs.group}' has counted", "rebuild", "REDIS_URL", "CONSUMER_GROUP"):
        assert word in why
    wait_until_it_looked(place, worker)
    assert place.redis.dbsize() == 0
    assert worker.stop() == 0


def test_a_redis_that_holds_something_else(place: Place) -> None:
    """A Redis without a generation that is not empty is no new one: no first generation is made."""
    place.redis.set("something", "of others")
    worker = place.programs.worker()
    why = worker.wait_until_unready_because("no generation")
    for word in ("it holds 'something'", "ours alone", "REDIS_URL", "rebuild"):
        assert word in why
    worker.wait_until_said("waiting outside the consumer group", "it holds 'something'")
    wait_until_it_looked(place, worker)
    assert place.redis.keys() == [b"something"]
    assert worker.stop() == 0


def test_a_redis_of_a_version_before(place: Place) -> None:
    """Counters with a record of the former kind are told apart from nothing; `rebuild` replaces them."""
    place.redis.set(FORMER_KEY, '{"name": "old"}')
    worker = place.programs.worker()
    assert "rebuild" in worker.wait_until_unready_because("a version before this one")
    place.send(events.records(9, time.time_ns() // 1_000_000, RECORDS, tenants=1))
    assert place.programs.run("rebuild")[0] == 0
    worker.wait_until_ready()
    assert not place.redis.exists(FORMER_KEY)
