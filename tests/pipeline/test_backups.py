"""What comes back of what: the topic of its mirror, the numbers of the archive, Redis of either.

The topic is lost as a whole: one of the same name is made anew, which Kafka tells apart by its id. A mirror
keeps what MirrorMaker keeps of a record: partition, order, key, value, headers and time; offsets may differ.
"""

import re
import time
from pathlib import Path

import duckdb
import pytest
from confluent_kafka.admin import AdminClient

from schemas import topics
from tests import services
from tests.pipeline import events, oracle
from tests.pipeline.log import Outgoing, Stored
from tests.pipeline.place import Place, archive_settings, naive_count, time_of
from tests.pipeline.programs import LIMIT_S, wait_until

TENANTS = 2
RECORDS = 1_000


@pytest.fixture
def place_settings(tmp_path: Path) -> dict[str, str]:
    return archive_settings(f"file://{tmp_path}/archive")


def send(place: Place, seed: int) -> None:
    place.send(events.records(seed, time.time_ns() // 1_000_000, RECORDS, TENANTS))


def lose_the_topic(place: Place) -> None:
    """Delete the events topic, and make one of its name that is empty."""
    name, client = place.programs.events_topic, AdminClient({"bootstrap.servers": place.bootstrap})
    client.delete_topics([name], operation_timeout=30)[name].result()
    wait_until(lambda: name not in client.list_topics(timeout=10).topics, "it is gone", LIMIT_S)
    services.create_topics(place.bootstrap, {name: topics.EVENTS})


def mirrored(record: Stored) -> Outgoing:
    return Outgoing(record.key, record.value, record.time_ms, record.partition, tuple(record.headers.items()))


def by_sql(place: Place) -> dict[oracle.Cell, int]:
    """All cells, as the README's line counts them from the files of the archive alone."""
    code, script = place.programs.run("recount", "--sql")
    assert code == 0
    with duckdb.connect() as database:
        database.execute(script).fetchall()
        rows = database.sql("SELECT tenant, scope, id, at_ms, field, n FROM cells WHERE field <> 'known'")
        return {
            ((tenant, scope, id_), time_of(at), field): n
            for tenant, scope, id_, at, field, n in rows.fetchall()
        }


def test_the_topic_is_lost(place: Place) -> None:
    """Redis answers on, no rebuild drops it unasked, the archive has the numbers; a mirror brings all."""
    worker, api = place.programs.worker(), place.programs.api()
    send(place, 71)
    assert place.programs.run("archive", "--once")[0] == 0
    place.wait_until_counted(worker)
    place.make_keys(events.TENANTS[:TENANTS])
    mirror = [mirrored(record) for record in place.events()]
    want, dead_letters = naive_count(mirror), place.naive_dead_letters()

    lose_the_topic(place)
    assert "rebuild --lose" in worker.wait_until_unready_because("another topic")
    place.check_cells(want)
    place.check(api, want, ("day",))
    said = place.programs.fails("rebuild")
    assert "live counters would be lost" in said
    assert "another topic" in said
    place.check_cells(want)
    assert by_sql(place) == want.cells()

    place.send(mirror)
    assert place.programs.run("rebuild", "--lose")[0] == 0
    worker.wait_until_ready()
    send(place, 72)
    place.wait_until_counted(worker)
    want = naive_count(place.events())
    place.check_cells(want)
    place.check(api, want, ("day",))
    assert dead_letters.keys() <= place.dead_letters().keys(), "those of the lost topic are kept"
    assert place.programs.run("archive", "--once")[0] == 0
    assert by_sql(place) == want.cells(), "what both topics had counts once"


def test_the_topic_and_redis_are_lost(place: Place) -> None:
    """Of the archive there are numbers by SQL, and no counters; a mirror is counted as ever."""
    worker = place.programs.worker()
    send(place, 73)
    assert place.programs.run("archive", "--once")[0] == 0
    place.wait_until_counted(worker)
    mirror = [mirrored(record) for record in place.events()]
    want = naive_count(mirror)

    assert worker.stop() == 0
    lose_the_topic(place)
    place.redis.flushall()
    started = place.programs.command("rebuild")
    _, err = started.communicate(timeout=LIMIT_S)
    assert started.returncode == 0
    assert "files of other topics, which are not read" in re.sub(r"\s+", " ", err)
    worker = place.programs.worker()
    worker.wait_until_ready()
    assert place.redis.dbsize() <= 1 + len(place.lanes()), "nothing is counted of it"
    assert by_sql(place) == want.cells()

    place.send(mirror)
    place.wait_until_counted(worker)
    place.check_cells(want)
    code, _ = place.programs.run("verify")
    assert code == 0
