"""The process that audits: on real servers, beside live traffic, over damage, and while it cannot."""

import time
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path
from random import Random

import redis

from aggregator.config import AuditSettings
from aggregator.proof import audit
from deploy.processes import Waiting
from tests import services
from tests.pipeline import events, stored
from tests.pipeline.meanwhile import meanwhile
from tests.pipeline.place import Place, open_place_on
from tests.pipeline.programs import Program

TENANTS = 4
QUARTER = 5 * 4 + 3
"""Of the day: it begins at 05:45."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def traffic(place: Place, uncounted: float = 0.01) -> AbstractContextManager[None]:
    """Some hundreds of records a second. uncounted: as of `events.records`."""
    seeds = count(2_001)
    return meanwhile(lambda: place.send(events.records(next(seeds), now_ms(), 100, TENANTS, uncounted)))


def counted(place: Place, seed: int, number: int) -> Program:
    """A worker that has counted some records."""
    worker = place.programs.worker()
    place.send(events.records(seed, now_ms(), number, TENANTS))
    place.wait_until_counted(worker)
    return worker


def held(place: Place) -> dict[bytes, object]:
    """All that Redis holds."""
    return {key: place.redis.dump(key) for key in place.redis.scan_iter(count=10_000)}


def test_no_false_alarm_beside_live_traffic(place: Place) -> None:
    """While records come in all the time, nothing differs; then SIGTERM ends it."""
    worker = counted(place, 31, 5_000)
    with traffic(place):
        auditor = place.programs.audit()
        auditor.wait_until(lambda: auditor.metric("audit_compared_total") > 150, "it audits")
        worker.wait_until_ready()
    assert len({line["records"] for line in auditor.said("audit done")}) > 2, "the log grew meanwhile"
    assert auditor.metric("audit_mismatch_total") == 0
    assert auditor.metric("audit_last_done_timestamp_seconds") * 1000 < now_ms()
    assert auditor.get("/readyz").status_code == 200
    assert "aggregator_ready" not in auditor.get("/metrics").text
    assert "audit_mismatch_total" not in worker.get("/metrics").text
    assert auditor.stop() == 0
    assert auditor.said("audit postponed") == []


def test_a_corrupted_cell_is_seen_and_named(place: Place) -> None:
    """One count too many: exactly that cell is reported and named, again and again, and nothing is fixed."""
    tenant = events.TENANTS[2]
    counted(place, 32, 3_000).stop()
    where = stored.last_counter(place.redis, place.lanes(), tenant)
    altered = stored.count_once_more(place.redis, where, QUARTER, "clicked")
    before = held(place)
    auditor = place.programs.audit()
    auditor.wait_until(lambda: auditor.metric("audit_mismatch_total") >= 2, "it finds the cell twice")
    assert auditor.stop() == 0
    named = auditor.said("audit: a cell differs")
    at = f"{altered:%Y-%m-%d}T05:45:00Z"
    reported = {(line["tenant"], line["scope"], line["id"], line["at"], line["field"]) for line in named}
    assert reported == {(tenant, "tenant", "", at, "clicked")}
    assert {line["redis"] - line["log"] for line in named} == {1}
    assert held(place) == before


def test_lost_and_damaged_counters_are_seen(place: Place) -> None:
    """A day that Redis lost shows as counts of the log alone; a counter that cannot be read is named too."""
    lost, broken = events.TENANTS[0], events.TENANTS[1]
    counted(place, 33, 3_000).stop()
    midnight = stored.lose_day(place.redis, place.lanes(), lost)
    where = stored.last_counter(place.redis, place.lanes(), broken)
    place.redis.hset(where.key, where.field, b"\xff\x01")
    auditor = place.programs.audit()
    auditor.wait_until(lambda: bool(auditor.said("audit: a cell differs")), "it finds what is lost")
    auditor.wait_until(lambda: bool(auditor.said("audit: counters are damaged")), "it finds the damage")
    cells = auditor.said("audit: a cell differs")
    assert {(line["tenant"], line["at"][:10], line["redis"]) for line in cells} == {
        (lost, f"{midnight:%Y-%m-%d}", 0)
    }
    assert {line["tenant"] for line in auditor.said("audit: counters are damaged")} == {broken}


def test_an_audit_needs_little_memory(place: Place) -> None:
    """All days of all tenants at once, with the least that it may be given: nothing differs."""
    counted(place, 34, 3_000).stop()
    settings = AuditSettings.model_validate(
        place.programs.settings()
        | {"audit_oldest_days": 0, "audit_tenant_days": 1_000, "recount_memory_mb": 128}
    )
    found = audit.Auditor(settings, Random(1)).audit(now_ms())
    assert found.compared > 30
    assert found.records == 3_000
    assert found.differences == []


def test_the_first_generation_is_waited_for_and_not_for_an_interval(place: Place) -> None:
    """Started before any worker, it says so at /readyz, and audits once there is something to audit."""
    auditor = place.programs.audit(AUDIT_INTERVAL_S="3600")
    auditor.wait_until_unready_because("no generation")
    assert auditor.metric("audit_last_done_timestamp_seconds") == 0
    counted(place, 37, 500)
    auditor.wait_until(lambda: bool(auditor.said("audit done")), "it audits")
    assert auditor.get("/readyz").status_code == 200
    assert auditor.stop() == 0


def test_it_waits_for_what_is_out_of_reach_and_says_so_seldom(kafka_bootstrap: str, tmp_path: Path) -> None:
    """Redis gone, wiped, or a log without its beginning: 503 and a word, no mismatch; then it goes on."""
    with (
        services.valkey_server() as valkey,
        redis.Redis.from_url(valkey.url) as client,
        open_place_on(kafka_bootstrap, valkey.url, client, tmp_path) as place,
    ):
        counted(place, 35, 2_000).stop()
        auditor = place.programs.audit()
        auditor.wait_until(lambda: bool(auditor.said("audit done")), "the first audit")
        valkey.kill()
        auditor.wait_until_unready_because("refused")
        valkey.start(Waiting(limit_s=services.LIMIT_S))
        auditor.wait_until_ready()
        client.flushall()
        auditor.wait_until_unready_because("no generation")
        looks = client.info("commandstats")["cmdstat_mget"]["calls"]

        def looked_again() -> bool:
            return bool(client.info("commandstats")["cmdstat_mget"]["calls"] > looks + 2)

        auditor.wait_until(looked_again, "it tries again")
        assert sum("no generation" in line["why"] for line in auditor.said("audit postponed")) == 1
        assert auditor.metric("audit_mismatch_total") == 0
        assert auditor.stop() == 0

        nowhere = place.programs.audit(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
        nowhere.wait_until_unready_because("topic")
        assert nowhere.metric("audit_last_done_timestamp_seconds") == 0
        assert nowhere.stop() == 0


def test_a_log_that_can_speak_for_nothing_is_no_mismatch(place: Place) -> None:
    """Where no record says when the others were gone, nothing can be recounted: that is said, and no more."""
    counted(place, 36, 2_000).stop()
    place.forget_records_before(10)
    auditor = place.programs.audit()
    auditor.wait_until_unready_because("can speak for nothing before")
    assert auditor.metric("audit_mismatch_total") == 0
