"""A log that has lost its beginning is told for what it is, by verify, audit and rebuild: the true programs.

Law: what the log can still speak for is compared to the cell, what it cannot is named, and no live counter is
replaced by a part of itself unless that was asked for.
"""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.topics import SNS_MESSAGE_ID
from tests.pipeline import events, stored
from tests.pipeline.log import Outgoing, Stored
from tests.pipeline.place import Place, naive_count
from tests.pipeline.programs import LIMIT_S, Program

TENANTS = 4
GONE = 40
"""Records of each partition that are gone: of mails of some 114 days ago."""
QUARTER = 5 * 4 + 3
"""Of the day: it begins at 05:45."""
DAY_MS = 86_400_000
NOW_MS = time.time_ns() // 1_000_000
LONG_AGO_MS = NOW_MS - 100 * DAY_MS


def ingested(seed: int, now_ms: int, number: int) -> list[Outgoing]:
    """Records as ingest writes them: one after the other, with its header and its clock."""
    found = sorted(events.records(seed, now_ms, number, TENANTS), key=lambda record: record.time_ms)
    return [record._replace(headers=((SNS_MESSAGE_ID, b"m"),)) for record in found]


def iso(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


class Truncated:
    """All is counted, then the first records are gone. left: what is left of them."""

    def __init__(self, place: Place) -> None:
        self.worker: Program = place.programs.worker()
        place.send(ingested(51, LONG_AGO_MS, 3_000))
        place.send(ingested(52, NOW_MS, 2_000))
        place.wait_until_counted(self.worker)
        self.whole: list[Stored] = place.events()
        self.left = [record for record in self.whole if record.offset >= GONE]
        place.forget_records_before(GONE)


@pytest.fixture
def truncated(place: Place) -> Truncated:
    return Truncated(place)


def as_json(place: Place, *arguments: str) -> tuple[int, Any]:
    code, out = place.programs.run(*arguments, "--json")
    return code, json.loads(out)


def test_verify_compares_what_the_log_can_speak_for(place: Place, truncated: Truncated) -> None:
    """No false alarm, with --since neither; what was not compared is named, and a wrong cell is found."""
    assert len(truncated.left) == len(truncated.whole) - 4 * GONE
    code, found = as_json(place, "verify")
    assert (code, found["differences"]) == (0, [])
    assert found["cells"] > 1_000
    assert found["not_compared"] > 1_000
    assert [(each["partition"], each["begins"]) for each in found["log_begins"]] == [
        (number, GONE) for number in range(4)
    ]
    spans = {field: span["since"] for span in found["log_speaks_for"] for field in span["fields"]}
    assert spans["sent"] < spans["delivered"] < spans["opened"] < iso(NOW_MS - 14 * DAY_MS)

    code, since = as_json(place, "verify", "--since", iso(LONG_AGO_MS - 14 * DAY_MS))
    assert (code, since["differences"]) == (0, [])
    assert since["not_compared"] > 0
    code, since = as_json(place, "verify", "--since", spans["opened"])
    assert (code, since["differences"], since["not_compared"]) == (0, [], 0)

    tenant = events.TENANTS[1]
    where = stored.last_counter(place.redis, place.lanes(), tenant)
    altered = stored.count_once_more(place.redis, where, QUARTER, "clicked")
    code, found = as_json(place, "verify")
    (difference,) = found["differences"]
    assert (code, difference["tenant"], difference["field"]) == (1, tenant, "clicked")
    assert difference["at"] == f"{altered:%Y-%m-%dT%H:%M:%SZ}"
    said = place.programs.run("verify")[1]
    for word in ("cells were not compared", spans["opened"], "Where the log lacks records"):
        assert word in said


def test_verify_finds_what_is_lost_of_what_cannot_be_compared(place: Place, truncated: Truncated) -> None:
    """A day that Redis lost, of whose opens the log still tells though it cannot say how many there were."""
    assert len(truncated.left) > 0
    tenant, day = events.TENANTS[0], iso(LONG_AGO_MS - 3 * DAY_MS)[:10]
    code, found = as_json(place, "verify", "--tenant", tenant)
    assert (code, found["lost"]) == (0, [])
    stored.lose_the_day(place.redis, place.lanes(), tenant, datetime.fromisoformat(f"{day}T00:00Z"))
    code, found = as_json(place, "verify", "--tenant", tenant)
    assert code == 1
    assert {each["field"] for each in found["differences"]} <= {"sent", "delivered", "delayed", "rejected"}
    assert "opened" in {each["field"] for each in found["lost"] if each["at"][:10] == day}
    assert all(each["log"] > each["redis"] for each in found["lost"])


def test_where_the_log_can_speak_for_nothing_verify_fails(place: Place) -> None:
    """Records that ingest did not write do not say when the others were written: no alarm, and no success."""
    worker = place.programs.worker()
    place.send(events.records(53, NOW_MS, 1_000, TENANTS))
    place.wait_until_counted(worker)
    place.forget_records_before(10)
    started = place.programs.command("verify", "--json")
    out, err = started.communicate(timeout=LIMIT_S)
    assert (started.returncode, out) == (1, "")
    assert "can speak for nothing before" in err


def test_a_rebuild_says_what_it_would_lose_and_loses_it_only_when_told(
    place: Place, truncated: Truncated
) -> None:
    """Refused, the live counters stay; done, the new ones are those of what is left, and are proved whole."""
    before = place.record().live
    code, said = place.programs.run("rebuild", "--allow-truncated")
    assert code == 1
    assert "Live cells that would be lost" in said
    code, plan = as_json(place, "rebuild", "--allow-truncated", "--dry-run")
    assert code == 0
    assert {loss["tenant"] for loss in plan["loses"]} == set(events.TENANTS[:TENANTS])
    assert sum(loss["cells"] for loss in plan["loses"]) > 1_000
    assert max(loss["last"] for loss in plan["loses"]) < iso(NOW_MS - 30 * DAY_MS)
    code, refused = as_json(place, "rebuild", "--allow-truncated")
    assert (code, refused["loses"]) == (1, plan["loses"])
    assert place.record().live == before
    place.check_cells(naive_count(truncated.whole))

    code, report = as_json(place, "rebuild", "--allow-truncated", "--lose")
    assert (code, report["cells_differing"], report["kept"], report["not_compared"]) == (0, 0, None, None)
    assert report["cells_lost"] > 0
    place.wait_until_counted(truncated.worker)
    place.check_cells(naive_count(truncated.left))
    code, found = as_json(place, "verify")
    assert (code, found["differences"], found["not_compared"], found["log_begins"]) == (0, [], 0, [])

    code, report = as_json(place, "rebuild", "--allow-truncated")
    assert (code, report["cells_differing"], report["cells_lost"]) == (0, 0, 0), "nothing is lost any more"
    place.redis.flushall()
    said = place.programs.run("rebuild", "--allow-truncated", "--dry-run")[1]
    assert "earlier cells will be partial or missing" in said
    assert as_json(place, "rebuild", "--allow-truncated")[0] == 0
    place.check_cells(naive_count(truncated.left))


def test_the_audit_goes_on_with_the_days_that_the_log_can_speak_for(
    place: Place, truncated: Truncated
) -> None:
    """It draws days of which some kinds can be judged, says once which, and names a wrong cell."""
    tenant = events.TENANTS[2]
    truncated.worker.stop()
    auditor = place.programs.audit()
    auditor.wait_until(lambda: auditor.metric("audit_compared_total") > 200, "it audits")
    assert auditor.metric("audit_mismatch_total") == 0
    assert len(auditor.said("audit: the log no longer has its beginning, earlier days are not audited")) == 1
    first_ms = auditor.metric("audit_first_timestamp_seconds") * 1000
    assert LONG_AGO_MS - 14 * DAY_MS < first_ms < LONG_AGO_MS - 9 * DAY_MS
    where = stored.last_counter(place.redis, place.lanes(), tenant)
    stored.count_once_more(place.redis, where, QUARTER, "clicked")
    auditor.wait_until(lambda: auditor.metric("audit_mismatch_total") > 0, "it finds the cell")
    named = auditor.said("audit: a cell differs")
    assert {(line["tenant"], line["field"]) for line in named} == {(tenant, "clicked")}


def test_partial_counters_of_a_whole_log_are_proved_from_where_they_begin(place: Place) -> None:
    """--from-offset loses nothing untold either; what it made is compared with just those records."""
    worker = place.programs.worker()
    place.send(ingested(54, NOW_MS, 1_500))
    place.wait_until_counted(worker)
    left = [record for record in place.events() if record.partition or record.offset >= 100]
    part = ("rebuild", "--from-offset", "0:100")
    assert as_json(place, *part)[0] == 1
    code, report = as_json(place, *part, "--lose")
    assert (code, report["cells_differing"], report["kept"]) == (0, 0, None)
    assert report["cells_lost"] > 0
    place.check_cells(naive_count(left))
    code, found = as_json(place, "verify")
    assert (code, found["differences"], found["not_compared"]) == (0, [], 0)
