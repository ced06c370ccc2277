"""The true program, `python -m api`, with a real Kafka and a real Redis: its keys, its ends, its wire."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.kafka import Kafka
from deploy.processes import Waiting
from schemas import redis_keys
from schemas.topics import API_KEYS, API_KEYS_TOPIC
from tests.api.site import Site, until
from tests.api.writer import Counted, Writer
from tests.services import LIMIT_S, create_topics

HOUR = datetime(2025, 9, 3, 7, tzinfo=UTC)


@pytest.fixture
def site(tmp_path: Path, redis_db: str, kafka_bootstrap: str) -> Iterator[Site]:
    """A host with the session's Kafka, and an empty Redis."""
    create_topics(kafka_bootstrap, {API_KEYS_TOPIC: API_KEYS})
    site = Site(tmp_path, KAFKA_BOOTSTRAP_SERVERS=kafka_bootstrap, REDIS_URL=redis_db)
    yield site
    site.kill()


def test_a_key_lives_from_its_creation_to_its_revocation(site: Site, writer: Writer) -> None:
    """`keys create` ends when the key works, `keys revoke` when it no longer does, without a gap."""
    writer.write([Counted(HOUR, "sent", 5, tenant="tenant-1", sequence="a")])
    site.start()
    until(site.ready)
    for number in range(3):
        key = site.create(f"tenant-{number}")
        answer = site.get("/api/metrics?from=2025-09-01&to=2025-09-30", key)
        assert answer.status_code == 200
        assert answer.json()["totals"]["sent"] == (5 if number == 1 else 0)
    listed = site.keys("list").stdout
    assert key not in listed
    assert key[5:16] in listed
    assert "tenant-2" in listed

    for _ in range(2):
        done = site.keys("revoke", key[5:16])
        assert (done.returncode, done.stdout) == (0, "")
        refused = site.get("/api/metrics", key)
        assert (refused.status_code, refused.json()["code"]) == (401, "UNAUTHORIZED")
    unknown = site.keys("revoke", "nobody")
    assert (unknown.returncode, unknown.stdout, unknown.stderr.count("\n")) == (1, "", 1)


def test_a_rotation_has_two_live_keys(site: Site, writer: Writer) -> None:
    """The new key has tenant and name of the old; both work until the overlap is over."""
    assert writer.generation.name == "g1"
    site.start()
    until(site.ready)
    name = uuid4().hex
    done = site.keys("create", "rotating", "--name", name, "--expires-in-days", "30")
    old = done.stdout.strip()
    done = site.keys("rotate", old[5:16])
    assert (done.returncode, done.stdout.count("\n")) == (0, 1), done.stderr
    new = done.stdout.strip()
    assert [site.get("/api/metrics", key).status_code for key in (old, new)] == [200, 200]
    again = site.keys("rotate", old[5:16])
    assert (again.returncode, again.stdout) == (1, "")
    assert new[5:16] in again.stderr
    last = site.keys("rotate", new[5:16], "--overlap-hours", "0").stdout.strip()
    assert [site.get("/api/metrics", key).status_code for key in (old, new, last)] == [200, 401, 200]
    assert site.keys("list").stdout.count(name) == 3
    for ended in (new[5:16], "nobody"):
        done = site.keys("rotate", ended)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


def test_a_last_use_is_written_once_an_hour(site: Site, writer: Writer) -> None:
    """The first use of a key is in the topic soon; many more at once add nothing."""
    assert writer.generation.name == "g1"
    site.start()
    until(site.ready)
    key = site.create("acme")

    def offset() -> int:
        return int(site.get("/readyz").json()["api_keys_offset"])

    before = offset()
    for _ in range(20):
        assert site.get("/api/metrics", key).status_code == 200
    until(lambda: offset() > before)
    other = site.create("acme")
    assert [site.get("/api/metrics", each).status_code for each in (key, other)] == [200, 200]
    until(lambda: offset() == before + 3)
    assert site.get("/api/metrics", key).status_code == 200
    listed = json.loads(site.keys("list", "--json").stdout)
    used = [row["last_used"] for row in listed if row["id"] in {key[5:16], other[5:16]}]
    assert [moment[:4] for moment in used] == [str(datetime.now(UTC).year)] * 2


def test_without_an_api_kafka_s_word_is_enough(site: Site, writer: Writer) -> None:
    """A key that was made or revoked while no API ran is known for what it is by the first answer of one."""
    assert writer.generation.name == "g1"
    good, revoked = site.create("acme"), site.create("acme")
    assert site.keys("revoke", revoked[5:16]).returncode == 0
    site.start()
    answers: list[tuple[int, int]] = []

    def checked() -> bool:
        answers.append((asked(good), asked(revoked)))
        return answers[-1] == (200, 401)

    def asked(key: str) -> int:
        return site.get("/api/metrics", key).status_code

    until(checked)
    assert {first for first, _ in answers} <= {503, 200}
    assert {second for _, second in answers} <= {503, 401}


def test_no_generation_is_503_for_every_key(site: Site, redis_db: str) -> None:
    """Without a generation nobody hears 401, and a key can be made all the same."""
    assert redis_db in site.environment["REDIS_URL"]
    site.start()
    key = site.create("acme")
    for presented in (key, "sesm_nobody", ""):
        response = site.get("/api/metrics/sequences/a?period=year", presented)
        assert (response.status_code, response.json()["code"]) == (503, "UNAVAILABLE")
        assert response.headers["retry-after"]
        assert response.headers["cache-control"] == "no-store"
    assert site.get("/readyz").status_code == 503
    assert site.get("/readyz").json()["api_keys_offset"] > 0


def test_ids_pass_the_wire_unchanged(site: Site, writer: Writer) -> None:
    """What the server decodes is what was asked: slashes, line ends, and bytes that are no text."""
    ids = {"a/b": "a%2Fb", "a\n": "a%0A", "é": "%C3%A9", "%2F": "%252F", "\ufffd": "%EF%BF%BD"}
    writer.write([Counted(HOUR, "sent", at, sequence=raw) for at, raw in enumerate(ids, start=1)])
    site.start()
    key = site.create("acme")
    for at, encoded in enumerate(ids.values(), start=1):
        response = site.get(f"/api/metrics/sequences/{encoded}?from=2025-09-01&to=2025-09-30", key)
        assert response.json()["totals"]["sent"] == at, encoded
    for absent in ("a%0A%0A", "a", "%FF", "%2F", "", "%ED%A0%80"):
        response = site.get(f"/api/metrics/sequences/{absent}", key)
        assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND"), absent


def test_kafka_missing_its_topic_or_away(
    tmp_path: Path, writer: Writer, redis_db: str, kafka_factory: Callable[[], Kafka]
) -> None:
    """Without the topic no key is checked; with it keys work; a Kafka that goes takes no known key along."""
    assert writer.generation.name == "g1"
    kafka = kafka_factory()
    site = Site(tmp_path, KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap, REDIS_URL=redis_db)
    try:
        site.start()
        until(lambda: "cannot be read" in site.log.read_text())
        waiting = [json.loads(line) for line in site.log.read_text().splitlines() if "cannot be read" in line]
        assert [(line["topic"], "does not exist" in line["reason"]) for line in waiting] == [
            (API_KEYS_TOPIC, True)
        ]
        assert site.get("/api/metrics", "sesm_nobody").status_code == 503
        assert "keys" in site.get("/readyz").json()["reasons"][0]
        done = site.keys("create", "acme")
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert API_KEYS_TOPIC in done.stderr

        create_topics(kafka.bootstrap, {API_KEYS_TOPIC: API_KEYS})
        until(site.ready)
        first = site.create("acme")
        kafka.kill()
        assert site.get("/api/metrics", first).status_code == 200
        until(lambda: site.get("/readyz").json()["api_keys_trouble"] is not None)
        heard = site.keys_heard_s()
        done = site.keys("create", "acme")
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert "does not answer" in done.stderr
        assert site.get("/api/metrics", first).status_code == 200
        assert site.keys_heard_s() == heard > 0, "it stands still while no revocation is heard of"

        kafka.start(Waiting(limit_s=LIMIT_S))
        until(lambda: site.get("/readyz").json()["api_keys_trouble"] is None)
        until(lambda: site.keys_heard_s() > heard)
        assert site.get("/api/metrics", site.create("acme")).status_code == 200
        assert [json.loads(line)["event"] for line in site.log.read_text().splitlines()].count(
            "api keys cannot be read from kafka, trying again"
        ) <= 2
    finally:
        site.kill()


def test_it_ends_when_nobody_hears_of_revocations(site: Site) -> None:
    """Whatever ends the thread that follows the keys: the program does not go on without it."""
    site.create("acme")
    broken = "from api.keys.table import KeyTable; del KeyTable.apply; from api.__main__ import cli; cli()"
    ended = site.run("-c", broken)
    assert ended.returncode == 1
    assert "the api keys are not followed any more" in ended.stderr


def test_a_port_belongs_to_one_program(site: Site) -> None:
    """A second program on the port ends with status 1 and one line; the first goes on."""
    program = site.start()
    second = site.run("-m", "api")
    assert second.returncode == 1
    assert second.stdout == ""
    assert len(second.stderr.splitlines()) == 1
    assert str(site.port) in json.loads(second.stderr)["reason"]
    assert program.poll() is None
    assert site.get("/livez").status_code == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(site: Site, number: signal.Signals) -> None:
    """One signal or several, with a connection open: exit status 0, and the port is free again."""
    program = site.start()
    with socket.create_connection(("127.0.0.1", site.port)) as idle:
        idle.sendall(b"GET /livez HTTP/1.1\r\nHost: api\r\n\r\n")
        assert idle.recv(15) == b"HTTP/1.1 200 OK"
        program.send_signal(number)
        program.send_signal(number)
        assert program.wait(LIMIT_S) == 0
    assert "Traceback" not in site.log.read_text()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", site.port))


def test_it_is_not_ready_before_it_listens_no_more(site: Site, writer: Writer) -> None:
    """After a signal it answers for the time of its grace, so that a balancer can notice."""
    writer.write([Counted(HOUR, "sent", 5)])
    site.environment["SHUTDOWN_GRACE_S"] = "2"
    program = site.start()
    until(site.ready)
    signalled = time.monotonic()
    program.send_signal(signal.SIGTERM)
    until(lambda: site.get("/readyz").status_code == 503)
    assert site.get("/livez").status_code == 200
    assert program.wait(LIMIT_S) == 0
    assert time.monotonic() - signalled >= 2


def test_a_request_that_trickles_in_is_cut_off(site: Site) -> None:
    """Headers that never end do not hold a connection for ever."""
    site.start()
    with socket.create_connection(("127.0.0.1", site.port), timeout=1) as slow:
        slow.sendall(b"GET /livez HTTP/1.1\r\nX-Slow: ")

        def is_cut() -> bool:
            try:
                slow.sendall(b"x")
                return slow.recv(1000) == b""
            except TimeoutError:
                return False
            except ConnectionError:
                return True

        until(is_cut)
    assert site.get("/livez").status_code == 200


def test_help_and_wrong_use(site: Site) -> None:
    """`--help` names the settings; what is typed or set wrong is named, in a line and by the status."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return site.run("-m", "api", *arguments, **environment)

    help_text = run("--help")
    assert help_text.returncode == 0
    assert "API_PORT [8080]" in help_text.stdout
    assert "RATE_LIMIT [1000/second]" in help_text.stdout
    assert {"create", "list", "rotate", "revoke"} <= set(run("keys", "--help").stdout.split())
    assert "RATE_LIMIT" in run(RATE_LIMIT="a lot").stderr
    for tenant in ("", "é" * 128):
        wrong = run("keys", "create", tenant)
        assert (wrong.returncode, wrong.stdout) == (2, "")
        assert "255 bytes" in wrong.stderr
    assert run("keys", "create").returncode == 2
    assert run("nonsense").returncode == 2
    unset = run(API_PORT="many")
    assert unset.returncode != 0
    assert "API_PORT" in unset.stderr
    assert "Traceback" not in unset.stderr


def test_counters_of_a_lost_redis_are_not_zeros(site: Site, writer: Writer) -> None:
    """A Redis that was wiped while the API ran: 503, never the zeros of a tenant without mail."""
    writer.write([Counted(HOUR, "sent", 5)])
    site.start()
    key = site.create("acme")
    assert site.get("/api/metrics", key).status_code == 200
    writer.client.delete(writer.lane())
    assert site.get("/api/metrics", key).status_code == 503
    writer.client.flushdb()
    assert site.get("/api/metrics", key).status_code == 503
    assert writer.client.get(redis_keys.RECORD_KEY) is None
