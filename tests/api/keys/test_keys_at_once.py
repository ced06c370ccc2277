"""Several hands on the keys at once, and a topic that holds what no hand of ours wrote: the true program."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from confluent_kafka import Producer

from api.keys.form import ENTROPY_BYTES, new_key
from schemas.topics import API_KEYS, API_KEYS_TOPIC
from tests.api.held import WRITES
from tests.api.keys.test_table import ODD
from tests.api.site import ROOT, Site, until
from tests.api.writer import Writer
from tests.metrics_text import samples
from tests.services import LIMIT_S, create_topics, kafka_server

MANY = 100_000


@pytest.fixture
def site(tmp_path: Path, writer: Writer, redis_db: str, kafka_bootstrap: str) -> Iterator[Site]:
    """A host with the session's Kafka and a live generation, whose API runs."""
    assert writer.generation.name == "g1"
    create_topics(kafka_bootstrap, {API_KEYS_TOPIC: API_KEYS})
    site = Site(tmp_path, KAFKA_BOOTSTRAP_SERVERS=kafka_bootstrap, REDIS_URL=redis_db)
    try:
        site.start()
        until(site.ready)
        yield site
    finally:
        site.kill()


@pytest.fixture
def tenant() -> str:
    """A tenant of the test's own: the topic of keys is everybody's."""
    return f"tenant-{uuid4().hex}"


@contextmanager
def held(site: Site, write: int, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A `keys` command that holds still before its Nth write to Kafka; one that writes less has ended."""
    command = subprocess.Popen(
        [sys.executable, "-m", "tests.api.held", str(write), *arguments],
        cwd=ROOT,
        env=site.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert command.stderr is not None
        line = command.stderr.readline()
        assert line.strip() == WRITES or command.wait(LIMIT_S) == 0
        yield command
    finally:
        command.kill()
        command.communicate()


def let_go(command: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Exit status, stdout and the rest of stderr of a command that was held."""
    out, err = command.communicate("\n", timeout=LIMIT_S)
    return command.returncode, out, err


@pytest.mark.parametrize("write", [1, 2])
def test_a_revocation_wins_over_a_rotation_under_way(site: Site, tenant: str, write: int) -> None:
    """At whatever write of the rotation it comes: the key opens nothing, nor does one that nobody has."""
    old = site.create(tenant)
    with held(site, write, "rotate", old[5:16]) as rotation:
        assert site.keys("revoke", old[5:16]).returncode == 0
        assert site.get("/api/metrics", old).status_code == 401
        status, out, err = let_go(rotation)
    assert site.get("/api/metrics", old).status_code == 401, "the revoked key lives again"
    if status == 0:
        assert site.get("/api/metrics", out.strip()).status_code == 200
    else:
        assert (out, "revoked meanwhile" in err) == ("", True)
        rows = json.loads(site.keys("list", "--json").stdout)
        assert [row["revoked"] is not None for row in rows if row["tenant"] == tenant] == [True, True]


def test_of_two_rotations_at_once_one_holds(site: Site, tenant: str) -> None:
    """The other ends with status 1 and names the key that holds; no more than two of a line are alive."""
    old = site.create(tenant)
    with held(site, 1, "rotate", old[5:16]) as first, held(site, 1, "rotate", old[5:16]) as second:
        status, new, _ = let_go(first)
        assert status == 0
        assert site.get("/api/metrics", new.strip()).status_code == 200
        status, out, err = let_go(second)
    assert (status, out) == (1, ""), "a second rotation of one key holds too"
    assert new[5:16] in err
    rows = json.loads(site.keys("list", "--json").stdout)
    alive = {row["id"] for row in rows if row["tenant"] == tenant and row["revoked"] is None}
    assert alive == {old[5:16], new[5:16]}
    assert [site.get("/api/metrics", key).status_code for key in (old, new.strip())] == [200, 200]


def test_all_keys_of_a_tenant_are_revoked(site: Site, tenant: str) -> None:
    """Those too that are made while it revokes; no other tenant's, and it says which."""
    keys = [site.create(tenant) for _ in range(2)]
    other = site.create(f"{tenant}-staying")
    with held(site, 1, "revoke", "--tenant", tenant) as revocation:
        keys.append(site.create(tenant))
        keys.append(site.keys("rotate", keys[0][5:16]).stdout.strip())
        status, out, err = let_go(revocation)
    assert (status, out) == (0, ""), err
    assert err.splitlines() == [f"revoked {key[5:16]}" for key in keys]
    assert [site.get("/api/metrics", key).status_code for key in keys] == [401] * 4
    assert site.get("/api/metrics", other).status_code == 200
    assert site.keys("revoke", "--tenant", tenant).returncode == 0
    for wrong in (("--tenant", f"{tenant}-nobody"), (keys[0][5:16], "--tenant", tenant), ()):
        done = site.keys("revoke", *wrong)
        assert done.returncode in {1, 2}
        assert done.stderr


@pytest.fixture(scope="module")
def full_kafka() -> Iterator[str]:
    """A Kafka of our own with very many keys, and among them one record of each odd kind."""
    with kafka_server() as kafka:
        create_topics(kafka.bootstrap, {API_KEYS_TOPIC: API_KEYS})
        producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 50})
        for number in range(MANY):
            key = new_key(number.to_bytes(ENTROPY_BYTES, "little"))
            record = key.record(f"tenant-{number % 1000}", 1_700_000_000_000 + number, name=f"key {number}")
            producer.produce(API_KEYS_TOPIC, key=key.id, value=msgspec.json.encode(record), partition=0)
            if number % 10_000 == 0:
                producer.flush()
        for number, value in enumerate(ODD.values()):
            producer.produce(API_KEYS_TOPIC, key=f"odd{number}", value=value, partition=0)
        producer.produce(API_KEYS_TOPIC, key=b"\xff" * 1000, value=None, partition=0)
        assert producer.flush(LIMIT_S) == 0
        yield kafka.bootstrap


def test_very_many_keys_and_odd_records(
    full_kafka: str, tmp_path: Path, writer: Writer, redis_db: str
) -> None:
    """All are listed, a line each; the API answers; what cannot be read is reported and opens nothing."""
    assert writer.generation.name == "g1"
    site = Site(tmp_path, KAFKA_BOOTSTRAP_SERVERS=full_kafka, REDIS_URL=redis_db)
    listed = site.keys("list")
    assert listed.returncode == 0, listed.stderr[-2000:]
    assert listed.stdout.count("\n") == MANY + 1
    assert f"{len(ODD)} records cannot be read" in listed.stderr
    assert len(json.loads(site.keys("list", "--json").stdout)) == MANY
    try:
        site.start()
        until(site.ready)
        assert [site.get("/api/metrics", key).status_code for key in (site.create("acme"), "x")] == [200, 401]
        until(lambda: samples(site.get("/metrics").text, "api_keys_lag_records")[()] == 0)
        shown = site.get("/metrics").text
        assert f"api_keys_unreadable_records {len(ODD)}.0" in shown
        assert samples(shown, "api_keys_known")[()] == MANY + 1
        assert samples(shown, "api_keys_next_offset")[()] >= MANY + len(ODD) + 2
        assert site.log.read_text().count("unreadable api key record") == 10
    finally:
        site.kill()
