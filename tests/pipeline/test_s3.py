"""The archive on an S3 server that fails one query in a few: all that writes it and reads it ends exact.

The true programs; the topic's beginning is deleted, so that a proof rests on what S3 holds.
"""

import json
import time
from collections.abc import Iterator

import pytest

from aggregator.archive.check import check
from aggregator.archive.store import Store
from tests.pipeline import events
from tests.pipeline.place import Place, archive_settings, naive_count
from tests.s3 import LOGIN, FaultyStore, s3_server

NOW_MS = time.time_ns() // 1_000_000
SHARE = 1 / 15
"""Of all queries of the store meet a fault."""


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyStore]:
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)
    with s3_server() as found:
        yield found


@pytest.fixture
def place_settings(s3: FaultyStore) -> dict[str, str]:
    return archive_settings(s3.url("archive"))


def test_archive_verify_and_rebuild_are_exact_over_a_store_that_fails(place: Place, s3: FaultyStore) -> None:
    """Two archivers, one of them killed, and the store away for a while; then the proof of every number."""
    s3.by_chance(5, SHARE)
    worker = place.programs.worker()
    both = [
        place.programs.start("aggregator archive", ARCHIVE_FILE_MINUTES=minutes)
        for minutes in ("0.02", "0.03")
    ]
    for each in both:
        each.wait_until_ready()
    for seed in range(90, 94):
        place.send(events.records(seed, NOW_MS, 400))
        time.sleep(0.5)
    both[0].kill()
    s3.away = True
    place.send(events.records(94, NOW_MS, 400))
    both[1].wait_until_unready_because("store")
    assert both[1].said("the archive's store failed, and is asked again")
    s3.away = False
    both[1].wait_until_ready()
    assert both[1].stop() == 0
    place.wait_until_counted(worker)
    whole = place.events()
    want = naive_count(whole)
    assert place.programs.run("archive", "--once")[0] == 0
    place.forget_records_before(min(place.ends()))

    status, said = place.programs.run("archive", "check", "--json")
    assert (status, json.loads(said)["faults"]) == (0, [])
    status, said = place.programs.run("verify", "--json")
    found = json.loads(said)
    assert (status, found["differences"], found["records"]) == (0, [], len(whole))
    place.redis.flushall()
    status, said = place.programs.run("rebuild", "--json", CONSUMER_GROUP=place.programs.group)
    found = json.loads(said)
    assert (status, found["partial"], found["records"]) == (0, None, len(whole))
    place.wait_until_counted(worker)
    place.check_cells(want)
    assert sum(s3.met.values()) > 10
    s3.calm()
    assert check(Store(s3.url("archive"))).faults == []


def test_a_store_that_stays_away_is_told_in_a_line(place: Place, s3: FaultyStore) -> None:
    place.send(events.records(95, NOW_MS, 100))
    s3.away = True
    started = [place.programs.command("archive", *more) for more in (["--once"], ["check"])]
    for each in started:
        _, said = each.communicate(timeout=120)
        assert each.returncode == 1
        assert "ArchiveUnavailableError" in said
        assert "Traceback" not in said
