"""A topic whose beginning only the archive has: rebuild, verify, audit and a worker are as exact as ever.

The true programs on a real Kafka, from which records are deleted as a trim does.
"""

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from aggregator.archive.coverage import File
from aggregator.archive.store import Store
from aggregator.worker.process import NO_ARCHIVE
from schemas.topics import SNS_MESSAGE_ID
from tests.pipeline import events, log, oracle, stored
from tests.pipeline.log import Outgoing
from tests.pipeline.place import Place, archive_settings, count_erased, naive_count, time_of

TENANTS = 4
DAY_MS = 86_400_000
NOW_MS = time.time_ns() // 1_000_000
LONG_AGO_MS = NOW_MS - 100 * DAY_MS
QUARTER = 5 * 4 + 3
"""Of the day: it begins at 05:45."""


@pytest.fixture
def place_settings(tmp_path: Path) -> dict[str, str]:
    return archive_settings(f"file://{tmp_path}/archive")


@pytest.fixture
def archive(tmp_path: Path) -> Store:
    return Store(f"file://{tmp_path}/archive")


def ingested(seed: int, now_ms: int, number: int) -> list[Outgoing]:
    """Records as ingest writes them: one after the other, with its header and its clock."""
    found = sorted(events.records(seed, now_ms, number, TENANTS), key=lambda record: record.time_ms)
    return [record._replace(headers=((SNS_MESSAGE_ID, b"m"),)) for record in found]


def as_json(place: Place, *arguments: str, **settings: str) -> tuple[int, Any]:
    code, out = place.programs.run(*arguments, "--json", **settings)
    return code, json.loads(out)


def archived(place: Place) -> None:
    assert place.programs.run("archive", "--once")[0] == 0


def dead_letters_written(place: Place) -> int:
    """How many records the dead-letter topic has, repeated ones too."""
    return len(log.read(place.bootstrap, place.programs.dead_letter_topic))


def test_over_archive_and_topic_every_proof_is_whole(place: Place, archive: Store) -> None:
    """Verify, rebuild and audit miss nothing, after a lost Redis too; dead letters are not doubled."""
    worker = place.programs.worker()
    place.send(ingested(81, LONG_AGO_MS, 2_000))
    archived(place)
    place.send(ingested(82, NOW_MS, 1_500))
    archived(place)
    place.send(ingested(83, NOW_MS, 500))
    place.wait_until_counted(worker)
    whole = place.events()
    want, dead_letters = naive_count(whole), place.naive_dead_letters(whole)
    cut = min(file.next for file in archive.files() if file.first) - 5
    place.forget_records_before(cut)
    assert max(file.next for file in archive.files() if not file.first) < cut, "the topic begins far behind"

    assert worker.said(NO_ARCHIVE) == []
    code, found = as_json(place, "verify")
    assert (code, found["differences"], found["not_compared"], found["log_begins"]) == (0, [], 0, [])
    assert found["records"] == len(whole)
    since = f"{time_of(NOW_MS - 15 * DAY_MS):%Y-%m-%dT%H:%M:%SZ}"
    code, recent = as_json(place, "verify", "--since", since)
    assert (code, recent["differences"], recent["not_compared"]) == (0, [], 0)
    assert 0 < recent["cells"] < found["cells"]

    code, plan = as_json(place, "rebuild", "--dry-run")
    assert (code, plan["partial"], plan["loses"]) == (0, None, [])
    assert (plan["records"], [each["from"] for each in plan["partitions"]]) == (len(whole), [0] * 4)
    assert [each["archived_to"] for each in plan["partitions"]] == [
        max(file.next for file in archive.files() if file.partition == number) for number in range(4)
    ]
    written = dead_letters_written(place)
    for flushed in (False, True):
        if flushed:
            place.redis.flushall()
        code, report = as_json(place, "rebuild", CONSUMER_GROUP=place.programs.group)
        assert (code, report["partial"], report["records"]) == (0, None, len(whole))
        assert (report["not_compared"], report["cells_differing"]) == (None, 0)
        assert report["without_dead_letter"] == 0
        place.wait_until_counted(worker)
        place.check_cells(want)
    assert dead_letters_written(place) == written
    place.check_dead_letters(dead_letters)

    auditor = place.programs.audit()
    auditor.wait_until(lambda: auditor.metric("audit_compared_total") > 200, "it audits")
    assert (auditor.metric("audit_mismatch_total"), auditor.metric("audit_first_timestamp_seconds")) == (0, 0)
    tenant = events.TENANTS[1]
    where = stored.last_counter(place.redis, place.lanes(), tenant)
    stored.count_once_more(place.redis, where, QUARTER, "clicked")
    code, found = as_json(place, "verify", "--tenant", tenant)
    assert (code, len(found["differences"])) == (1, 1)
    auditor.wait_until(lambda: auditor.metric("audit_mismatch_total") > 0, "it finds the cell")


def test_a_hole_is_named_and_what_lies_before_it_is_not_read(
    place: Place, archive: Store, tmp_path: Path
) -> None:
    """Rebuild refuses, verify compares what the rest can speak for; another key is refused by its name."""
    worker = place.programs.worker()
    sent = ingested(84, LONG_AGO_MS, 3_600)
    for third in (sent[:1_200], sent[1_200:2_400], sent[2_400:]):
        place.send(third)
        archived(place)
    place.send(ingested(87, NOW_MS, 500))
    place.wait_until_counted(worker)
    files: dict[int, list[File]] = {number: [] for number in range(4)}
    for file in sorted(archive.files()):
        files[file.partition].append(file)
    cut = max(last.first for _, _, last in files.values()) + 5
    assert cut < min(last.next for _, _, last in files.values())
    place.forget_records_before(cut)

    other = place.programs.fails("rebuild", RECIPIENT_KEY=b"another key of the pseudonyms, 32".hex())
    assert "another RECIPIENT_KEY" in other
    assert "OtherArchiveError: ARCHIVE_URL" in place.programs.fails("rebuild", ARCHIVE_URL="nonsense://x")
    assert as_json(place, "verify")[1]["not_compared"] == 0

    for _, second, _ in files.values():
        archive.remove(second)
    said = place.programs.fails("rebuild")
    assert "not at 0" in said
    for number, (_, second, last) in files.items():
        hole = f'"partition": {number}, "first": {second.first}, "next": {last.first}'
        assert hole in said
    code, found = as_json(place, "verify")
    assert (code, found["differences"]) == (0, [])
    assert found["not_compared"] > 100
    assert found["cells"] > 100
    assert [each["begins"] for each in found["log_begins"]] == [last.first for _, _, last in files.values()]
    assert "the archive has no file of this topic" in place.programs.fails(
        "rebuild", ARCHIVE_URL=f"file://{tmp_path}/none"
    )


def test_a_worker_below_the_topics_beginning_goes_on_by_one_command(place: Place, tmp_path: Path) -> None:
    """Every number is right. Refused records whose bytes are gone have no dead letter, which is told."""
    worker = place.programs.worker()
    place.send(events.records(88, NOW_MS, 1_000, TENANTS))
    place.wait_until_counted(worker)
    counted = place.ends()
    assert worker.stop() == 0
    place.send(events.records(89, NOW_MS, 2_000, TENANTS))
    archived(place)
    whole = place.events()
    cut = min(place.ends()) - 10
    assert cut > max(counted)
    place.forget_records_before(cut)
    worker = place.programs.worker()
    assert "`python -m aggregator catch-up`" in worker.wait_until_unready_because("records are lost")

    assert "the archive lacks" in place.programs.fails("catch-up", ARCHIVE_URL=f"file://{tmp_path}/none")
    assert "ARCHIVE_URL" in place.programs.fails("catch-up", ARCHIVE_URL="")
    code, done = as_json(place, "catch-up")
    refused = [
        record
        for record in whole
        if counted[record.partition] <= record.offset < cut
        and oracle.read(record.value, time_of(record.time_ms)).outcome in oracle.DEAD
    ]
    assert refused
    assert (code, done["without_dead_letter"]) == (0, len(refused))
    assert done["partitions"] == [
        {"partition": number, "from": counted[number], "to": cut} for number in range(4)
    ]
    worker.wait_until_ready()
    place.wait_until_counted(worker)
    place.check_cells(naive_count(whole))
    assert as_json(place, "verify")[1]["differences"] == []
    assert as_json(place, "catch-up") == (0, {"partitions": [], "without_dead_letter": 0})


def test_an_erased_tenant_comes_back_from_no_archive(place: Place) -> None:
    """Counted on, counted again and compared over files that still have its rows, and over erased ones."""
    erased = events.TENANTS[1]
    worker = place.programs.worker()
    place.send(events.records(88, NOW_MS, 1_000, TENANTS))
    place.wait_until_counted(worker)
    assert worker.stop() == 0
    place.send(events.records(89, NOW_MS, 2_000, TENANTS))
    archived(place)
    code, told = as_json(place, "erase", "--tenant", erased, ARCHIVE_URL="")
    assert (code, told["left"], told["archive_files"]) == (0, {}, None)
    through = {erased: round(datetime.fromisoformat(told["through"]).timestamp() * 1000)}
    late_ms = through[erased] + 1
    place.send(each._replace(time_ms=late_ms) for each in events.records(93, NOW_MS, 400, TENANTS))
    archived(place)
    cut = min(place.ends()) - 10
    place.send(each._replace(time_ms=late_ms) for each in events.records(94, NOW_MS, 400, TENANTS))
    want = count_erased(place.events(), through)
    assert any(scope[0] == erased for scope in want.quarters), "what came later counts"
    place.forget_records_before(cut)

    assert as_json(place, "catch-up")[0] == 0
    worker = place.programs.worker()
    place.wait_until_counted(worker)
    place.check_cells(want)
    for is_erased in (False, True):
        if is_erased:
            assert as_json(place, "archive", "erase")[1]["files"] > 0
        code, found = as_json(place, "verify")
        assert (code, found["differences"], found["not_compared"]) == (0, [], 0)
        code, report = as_json(place, "rebuild")
        assert (code, report["cells_differing"], report["not_compared"]) == (0, 0, None)
        place.wait_until_counted(worker)
        place.check_cells(want)


def test_what_is_too_old_is_left_to_a_rebuild(place: Place) -> None:
    """What recognizes duplicates may be gone after 14 days: nothing is counted on, and a rebuild is exact."""
    worker = place.programs.worker()
    worker.wait_until(lambda: bool(place.lanes()), "there is a generation")
    assert worker.stop() == 0
    place.send(events.records(90, NOW_MS - 15 * DAY_MS, 400, TENANTS))
    archived(place)
    whole = place.events()
    place.forget_records_before(min(place.ends()) - 1)
    before = place.checkpoints()
    assert "more than 14 days ago" in place.programs.fails("catch-up")
    assert place.checkpoints() == before
    worker = place.programs.worker()
    code, report = as_json(place, "rebuild")
    assert (code, report["partial"]) == (0, None)
    assert "no longer has" in report["not_compared"]
    place.wait_until_counted(worker)
    place.check_cells(naive_count(whole))
