"""A tenant is erased, by the true programs: its past is gone, stays gone, and every other number is right.

Law: at any rest every cell is what an independent count makes of the topic without the records that are an
erased tenant's and not later than the erasure. Under traffic, with workers killed, a Redis that goes back to
before the erasure, and a rebuild.
"""

import json
import time
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from aggregator.archive.columns import events_of
from aggregator.archive.restore import SlimLaw
from aggregator.archive.slim import Reducer, SlimEvent
from aggregator.archive.store import Store
from aggregator.config import AggregatorSettings
from aggregator.counting.reading import Record
from aggregator.counting.rules import Rules
from aggregator.log.erasures import ErasureTopic
from schemas.redis_keys import lane_of, safe_id
from schemas.topics import ErasureRecord
from tests.chaos import view
from tests.pipeline import events, oracle
from tests.pipeline.log import Outgoing
from tests.pipeline.meanwhile import meanwhile
from tests.pipeline.place import Place, count_erased, time_of
from tests.pipeline.programs import Program, wait_until

RECORDS = 12_000
TENANTS = 4
ERASED, FOLLOWED, STAYS, LATER = events.TENANTS[:TENANTS]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def want(place: Place, through: Mapping[str, int]) -> oracle.Count:
    """What the law makes of the topic. through: of erased tenants, up to when."""
    return count_erased(place.events(), through, place.tags)


def erase(place: Place, tenant: str, *arguments: str) -> int:
    """Returns: up to when it is erased."""
    code, out = place.programs.run("erase", "--tenant", tenant, *arguments, "--json")
    reported = json.loads(out)
    live = place.record().live
    assert live is not None
    assert (code, reported["tenant"], reported["left"]) == (0, tenant, {})
    assert live.name in reported["generations"]
    return ms(reported["through"])


def check_rest(place: Place, worker: Program, through: Mapping[str, int]) -> None:
    """All is counted: every cell is right, and `verify` finds so too."""
    place.wait_until_counted(worker)
    place.check_cells(want(place, through))
    code, out = place.programs.run("verify", "--json")
    assert (code, json.loads(out)["differences"]) == (0, [])


def test_an_erased_tenant_stays_erased_whatever_happens(place: Place) -> None:
    workers, api = [place.programs.worker() for _ in range(2)], place.programs.api()
    place.send(events.records(31, now_ms(), RECORDS, TENANTS))
    place.wait_until_counted(workers[0])
    place.make_keys(events.TENANTS[:TENANTS])
    before = view.copy(place.redis)
    seeds = count(3_100)

    def send() -> None:
        """Some of it is of now, so later than an erasure before."""
        batch = events.records(next(seeds), now_ms(), 80, TENANTS)
        place.send([each._replace(time_ms=now_ms()) if n % 2 else each for n, each in enumerate(batch)])

    with meanwhile(send):
        through = {ERASED: erase(place, ERASED)}
        workers.pop(0).kill()
        workers.append(place.programs.worker())
        seen = next(seeds)
        wait_until(lambda: next(seeds) > seen + 20, "traffic goes on after the erasure")
    check_rest(place, workers[0], through)
    scope = (ERASED, "tenant", "")
    status, body = place.ask(api, scope, period="day", **{"from": "2020-01-01", "to": "2020-12-31"})
    assert (status, set(body["totals"].values())) == (200, {0})
    place.check(api, want(place, through), ("month",))
    assert erase(place, ERASED, "--through", oracle.iso(time_of(through[ERASED]))) == through[ERASED]

    # Redis goes back to before the erasure, with workers that know it and one that has just come.
    view.go_back(place.redis, before)
    workers.append(place.programs.worker())
    check_rest(place, workers[-1], through)

    # Who erases may die as soon as it is written down.
    through[FOLLOWED] = now_ms()
    with closing(ErasureTopic(AggregatorSettings.model_validate(place.programs.settings()))) as topic:
        topic.write(ErasureRecord(tenant=FOLLOWED, through_ms=through[FOLLOWED]))
    lanes = place.lanes()
    followed = lanes[lane_of(FOLLOWED, len(lanes))]
    redis: Any = place.redis
    wait_until(lambda: redis.hget(followed, "rules").endswith(b"+2"), "a worker has heard of it")
    check_rest(place, workers[-1], through)

    # A rebuild counts none of it; what it leaves behind is erased too.
    code, out = place.programs.run("rebuild", "--json")
    report = json.loads(out)
    assert (code, report["cells_differing"], report["not_compared"]) == (0, 0, None)
    check_rest(place, workers[-1], through)
    assert len(keys_of(place, LATER)) == 2
    through[LATER] = erase(place, LATER)
    assert keys_of(place, LATER) == {}
    place.send(late(LATER, now_ms()))
    check_rest(place, workers[-1], through)
    assert len(keys_of(place, LATER)) == 1
    assert sum(worker.metric("aggregator_records_total", outcome="erased") for worker in workers) > 0


def keys_of(place: Place, tenant: str) -> dict[str, int]:
    """How many keys of a tenant there are, by generation."""
    found: dict[str, int] = {}
    for key in place.redis.scan_iter(count=1_000):
        parts = key.decode().split(":")
        if len(parts) > 3 and parts[2] in {"i", "w", "c"} and parts[3] == safe_id(tenant):
            found[parts[0]] = found.get(parts[0], 0) + 1
    return found


def late(tenant: str, at_ms: int) -> list[Outgoing]:
    """Some records of a tenant, of now."""
    found = events.records(32, at_ms, 400, TENANTS)
    return [each._replace(time_ms=at_ms) for each in found if tenant.encode() in (each.value or b"")]


def test_what_must_not_be_erased_is_refused(place: Place) -> None:
    """A time to come takes away what is not there yet; what is later than an old one is counted already."""
    place.programs.worker().wait_until_ready()
    for through in ("2020-01-01", "2099-01-01"):
        assert place.programs.run("erase", "--tenant", STAYS, "--through", through)[0] == 1
    assert place.programs.run("erase", "--tenant", "")[0] == 2
    assert place.programs.run("erase", "--tenant", STAYS, DEFAULT_TENANT="other")[0] == 1, "of other rules"
    with closing(ErasureTopic(AggregatorSettings.model_validate(place.programs.settings()))) as topic:
        assert topic.read().end == 0


def test_verify_waits_for_a_lane_that_has_not_heard(place: Place) -> None:
    """Also where no tenant of the lane is left to be read: what was erased meanwhile is not in the list."""
    worker = place.programs.worker()
    place.send(events.records(33, now_ms(), 400, TENANTS))
    place.wait_until_counted(worker)
    assert worker.stop() == 0
    lanes = len(place.lanes())
    busy = {lane_of(tenant, lanes) for tenant in events.TENANTS[:TENANTS]}
    gone = next(name for name in map("t-{}".format, count()) if lane_of(name, lanes) not in busy)
    with closing(ErasureTopic(AggregatorSettings.model_validate(place.programs.settings()))) as topic:
        topic.write(ErasureRecord(tenant=gone, through_ms=now_ms()))
    assert "has taken in erasure 0" in place.programs.fails("verify")
    place.programs.worker().wait_until_ready()
    assert place.programs.run("verify")[0] == 0


def test_the_archive_forgets_too(place: Place, tmp_path: Path) -> None:
    """By the command, by an archiver that runs and hears of it, and in what is archived afterwards."""
    root = tmp_path / "archive"
    settings = {"ARCHIVE_URL": f"file://{root}", "ARCHIVE_PORT": "0", "ARCHIVE_FILE_MINUTES": "0.03"}
    place.send(events.records(41, now_ms(), 2_000, TENANTS))
    assert place.programs.run("archive", "--once", "--without-key", **settings)[0] == 0
    code, out = place.programs.run("erase", "--tenant", ERASED, "--json", **settings)
    reported = json.loads(out)
    assert (code, reported["generations"]) == (0, [])
    assert reported["archive_files"] > 0
    through = {ERASED: ms(reported["through"])}
    assert rows_of(root) == expected(place, through)

    place.send(events.records(42, now_ms(), 500, TENANTS))
    archiver = place.programs.start("aggregator archive --without-key", **settings)
    archiver.wait_until(lambda: len(rows_of(root)) == 2_500, "all is archived")
    assert rows_of(root) == expected(place, through)
    code, out = place.programs.run("erase", "--tenant", STAYS, "--json")
    through[STAYS] = ms(json.loads(out)["through"])
    want_rows = expected(place, through)
    archiver.wait_until(lambda: rows_of(root) == want_rows, "the archiver has heard of it")
    assert archiver.stop() == 0
    assert place.programs.run("archive", "erase", **settings) == (0, "0 files were written anew\n")
    assert place.programs.run("archive", "check", **settings)[0] == 0


def rows_of(root: Path) -> dict[tuple[int, int], SlimEvent]:
    found: dict[tuple[int, int], SlimEvent] = {}
    for file in sorted(Store(f"file://{root}").files()):
        try:
            with (root / file.name).open("rb") as opened:  # another may be put in its place meanwhile
                rows = pq.read_table(opened)
        except FileNotFoundError:  # it was merged meanwhile
            continue
        found |= {(file.partition, each.offset): each for each in events_of(rows)}
    return found


def expected(place: Place, through: Mapping[str, int]) -> dict[tuple[int, int], SlimEvent]:
    """Of each record what it says, or that it is erased. By the tenant tag as it stands in the JSON."""
    reducer, found = Reducer(b""), {}
    for each in place.events():
        slim = reducer.reduce(Record(each.offset, each.time_ms, each.key, each.value))
        law = SlimLaw(Rules())
        tenant = law.tenant_of(slim) if slim.event_type or not slim.reason else None
        if tenant is not None and each.time_ms <= through.get(tenant, -1):
            slim = SlimEvent(each.offset, each.time_ms, "erased")
        found[each.partition, each.offset] = slim
    return found
