"""Everything with the doors shut: each program with a user of its own, who may do what it needs and no more.

Long because all of it needs one house of users and certificates, which takes long to start.

What may pass (a password, a certificate, a right: somebody fixes it) is waited for by what runs for ever, and
the reason is reported; a command ends with status 1 and says it in a line. Nothing shows a password.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest

from deploy.processes import free_port
from deploy.signing import Signer
from schemas import topics
from tests.pipeline import events, log, oracle, webhook
from tests.pipeline.log import Outgoing
from tests.pipeline.place import Place, naive_count, time_of
from tests.pipeline.programs import CHECKOUT, LIMIT_S, Program, Programs
from tests.pipeline.secured import (
    OTHER_NAME,
    PASSWORD_MARK,
    Right,
    Secured,
    kafka_rights,
    rights_without,
    secured,
    user_without,
)
from tests.pipeline.test_exact import says_the_same_at_any_time

TENANTS = 3
EVENTS, DEAD_LETTER_TOPIC = "ses-events", "ses-events-dlq"
GROUP = "aggregator"


class Part(NamedTuple):
    """One of the programs.

    of: as `python -m` takes it. user: of both servers. redis: whether it uses Redis. port: the setting of its
    port, where it runs for ever. arguments: what it does without harm.
    """

    of: str
    user: str
    redis: bool = False
    port: str = ""
    arguments: tuple[str, ...] = ()


TOPICS = Part("deploy.topics", "ses-topics")
INGEST = Part("ingest", "ses-ingest", port="INGEST_PORT")
WORKER = Part("aggregator", "ses-worker", redis=True, port="AGGREGATOR_PORT")
API = Part("api", "ses-api", redis=True, port="API_PORT")
HEALTH = Part("api health", "ses-api", redis=True)
KEYS = Part("api keys", "ses-keys", arguments=("list",))
REBUILD = Part("aggregator rebuild", "ses-rebuild", redis=True)
VERIFY = Part("aggregator verify", "ses-verify", redis=True)
AUDIT = Part("aggregator audit", "ses-verify", redis=True, port="AUDIT_PORT")
ERASE = Part("aggregator erase", "ses-erase", redis=True, arguments=("--tenant", "nobody"))
EXPLAIN = Part("aggregator explain", "ses-verify", redis=True)
DEAD_LETTERS = Part("aggregator dead-letters", "ses-letters", arguments=("list",))
PARTS = [TOPICS, INGEST, WORKER, API, KEYS, REBUILD, VERIFY, AUDIT, ERASE, DEAD_LETTERS]


class Ended(NamedTuple):
    """A command that has ended."""

    status: int
    out: str
    err: str


@dataclass
class House:
    """The servers, the rights that were given, and the programs."""

    servers: Secured
    rights: list[Right]
    directory: Path
    certificates: Path
    _number: Iterator[int] = field(default_factory=count)

    def settings(self, part: Part, user: str = "") -> dict[str, str]:
        """All settings of a program. user: for Kafka, another one than its own."""
        reported = self.servers.settings(part.user)
        if user:
            reported |= {name: value for name, value in self.servers.settings(user).items() if "SASL" in name}
        if not part.redis:
            reported = {name: value for name, value in reported.items() if not name.startswith("REDIS_")}
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        sns = {"SNS_TOPIC_ARNS": webhook.TOPIC_ARN, "SNS_CERTIFICATE_DIR": str(self.certificates)}
        reported["SHUTDOWN_GRACE_S"] = "0"
        return kept | reported | sns

    def start(self, part: Part, *arguments: str, user: str = "", **changed: str) -> "subprocess.Popen[str]":
        """Start a command. user: as in `settings`. changed: settings."""
        return subprocess.Popen(
            [sys.executable, "-m", *part.of.split(), *arguments],
            env=self.settings(part, user) | changed,
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, part: Part, *arguments: str, user: str = "", **changed: str) -> Ended:
        """Run a command to its end."""
        return ended(self.start(part, *arguments, user=user, **changed))

    @contextmanager
    def running(self, part: Part, *, user: str = "", **changed: str) -> Iterator[Program]:
        """Run a program, which ends well."""
        port = free_port()
        path = self.directory / f"{next(self._number)}-{part.of.replace(' ', '-')}.log"
        reported = self.settings(part, user) | {part.port: str(port)} | changed
        program = Program(part.of, reported, path, port)
        try:
            yield program
            assert program.stop() == 0
        finally:
            program.kill()
            check_words(path.read_text())


def ended(process: "subprocess.Popen[str]") -> Ended:
    """Wait for the end of a command."""
    with process:
        out, err = process.communicate(timeout=LIMIT_S)
    check_words(out + err)
    return Ended(process.returncode, out, err)


def check_words(said: str) -> None:
    """What a program says is for people: no traceback, and nobody's password."""
    assert "Traceback" not in said, said
    assert PASSWORD_MARK not in said


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Both servers with the users of `deploy/security`, and for each right a user who lacks just that one."""
    directory = tmp_path_factory.mktemp("secure")
    certificates = directory / "certificates"
    certificates.mkdir()
    rights = kafka_rights(directory / "bin")
    with secured() as servers:
        users = {right.user for right in rights} | {user_without(right) for right in rights}
        lacking = [each for right in rights for each in rights_without(rights, right)]
        servers.add_users(users, rights + lacking)
        house = House(servers, rights, directory, certificates)
        made = house.run(TOPICS)
        assert (made.status, made.err) == (0, "")
        yield house


def test_everything_runs_with_the_rights_of_the_table(house: House) -> None:
    """From a signed delivery to a redriven dead letter, and a rebuild; every number is right."""
    now_ms = time.time_ns() // 1_000_000
    records = [
        record
        for record in events.records(24, now_ms, 400, TENANTS)
        if says_the_same_at_any_time(record, now_ms)
    ]
    untagged = {"eventType": "Send", "mail": {"messageId": "m", "timestamp": "2026-01-01T00:00:00Z"}}
    records.append(Outgoing(b"m", json.dumps(untagged).encode(), now_ms))
    signer = Signer.create(house.certificates)
    programs = Programs(house.servers.kafka.bootstrap, "", "ses-", house.directory)
    programs.dead_letter_topic = DEAD_LETTER_TOPIC
    place = Place(house.servers.kafka.bootstrap, house.servers.redis, programs)
    with house.running(WORKER) as worker, house.running(API) as api, house.running(INGEST) as ingest:
        ingest.wait_until_ready()
        messages = [record.value or b"" for record in records]
        asyncio.run(webhook.post(f"{ingest.url}/webhooks/sns", signer, messages, again=True))
        worker.wait_until_ready()
        place.wait_until_counted(worker)
        for tenant in events.TENANTS[:TENANTS]:
            made = house.run(KEYS, "create", "--", tenant, API_PORT=api.url.rpartition(":")[2])
            assert made.status == 0, made.err
            place.keys[tenant] = made.out.strip()
        api.wait_until_ready()
        place.check(api, naive_count(records), ("hour", "month"))
        dead_letters = place.naive_dead_letters()
        assert dead_letters
        place.check_dead_letters(dead_letters)
        check_keys(house, place, api)
        looked = house.run(HEALTH, "--all", "--json")
        assert looked.status == 0, looked.err
        assert json.loads(looked.out)["complete_through"] is not None

        assert house.run(VERIFY).status == 0
        check_explained(house, place)
        with house.running(AUDIT, AUDIT_INTERVAL_S="1", AUDIT_OLDEST_DAYS="0") as audit:
            audit.wait_until(lambda: audit.metric("audit_compared_total") > 0, "days are compared")
            assert audit.metric("audit_mismatch_total") == 0
        erased = house.run(ERASE, *ERASE.arguments, "--json")
        assert (erased.status, json.loads(erased.out)["left"]) == (0, {}), erased.err
        rebuilt = house.run(REBUILD, "--drop", "--json")
        assert rebuilt.status == 0, rebuilt.err
        report = json.loads(rebuilt.out)
        assert (report["cells_differing"], report["not_compared"], report["workers_seen"]) == (0, None, True)
        place.check(api, naive_count(records), ("month",))
        check_dead_letters(house, place, worker, len(dead_letters))


def check_explained(house: House, place: Place) -> None:
    """What ingest took is found again by SNS's id, and stands where the worker has put it."""
    counted = next(
        each for each in place.events() if oracle.read(each.value, time_of(each.time_ms)).outcome == "counted"
    )
    told = house.run(EXPLAIN, "--sns-id", counted.headers["sns-message-id"].decode(), "--json")
    assert told.status == 0, told.err
    (row,) = json.loads(told.out)["records"]
    assert (row["partition"], row["offset"]) == (counted.partition, counted.offset)
    assert {each["standing"] for each in row["facts"]} <= {"counted", "repeated", "moved"}
    assert row["facts"]


def check_keys(house: House, place: Place, api: Program) -> None:
    """A key follows another, and no longer opens anything once it is revoked."""
    tenant = events.TENANTS[0]
    port = api.url.rpartition(":")[2]
    listed = house.run(KEYS, "list", "--json")
    (first,) = [key["id"] for key in json.loads(listed.out) if key["tenant"] == tenant]
    second = house.run(KEYS, "rotate", first, API_PORT=port)
    assert second.status == 0, second.err
    assert house.run(KEYS, "revoke", first, API_PORT=port).status == 0
    assert place.ask(api, (tenant, "tenant", ""))[0] == 401
    place.keys[tenant] = second.out.strip()
    assert place.ask(api, (tenant, "tenant", ""))[0] == 200


def check_dead_letters(house: House, place: Place, worker: Program, number: int) -> None:
    """They are listed, shown, put back and, when they have come back, deleted."""
    listed = json.loads(house.run(DEAD_LETTERS, "list", "--json").out)["reasons"]
    assert sum(each["letters"] for each in listed) == number
    shown = house.run(DEAD_LETTERS, "show", listed[0]["samples"][0])
    assert shown.status == 0, shown.err
    before = sum(place.ends())
    assert house.run(DEAD_LETTERS, "redrive").status == 0
    assert sum(place.ends()) == before + number
    place.wait_until_counted(worker)
    assert house.run(DEAD_LETTERS, "purge", "--yes").status == 0
    assert json.loads(house.run(DEAD_LETTERS, "list", "--json").out) == {"reasons": []}


def test_each_right_is_needed_and_its_lack_is_named(house: House) -> None:
    """Of each line of the table: who lacks it alone sees which it is."""
    by_user: dict[str, list[Right]] = {}
    for right in house.rights:
        by_user.setdefault(right.user, []).append(right)
    for partition in range(topics.EVENTS.partitions):  # whichever of them a worker has that lacks a right
        send(house, b"{", partition)  # what is unreadable waits for somebody who may write a dead letter

    at_once = [
        (right, house.start(part, *how, user=user_without(right)))
        for part, operation, how in (
            (TOPICS, "Create", ()),
            (KEYS, "Read", ("list",)),
            (KEYS, "Write", ("create", "--", "nobody")),
            (VERIFY, "Read", ()),
            (ERASE, "Read", ERASE.arguments),
            (ERASE, "Write", ERASE.arguments),
        )
        for right in by_user[part.user]
        if right.operation == operation
    ]
    for right, command in [(right, ended(process)) for right, process in at_once]:
        check_refused(command, right)
    with ExitStack() as stack:
        waiting = [
            (right, stack.enter_context(house.running(part, user=user_without(right))))
            for part in (INGEST, WORKER)
            for right in by_user[part.user]
        ]
        for right, program in waiting:
            program.wait_until_unready_because(f"lacks {right}")
            program.wait_until(partial(says, program, f"lacks {right}"), "the log names the right")
    for right in by_user[REBUILD.user]:
        check_refused(house.run(REBUILD, user=user_without(right)), right)
    check_api_without(house, *by_user[API.user])

    with house.running(WORKER) as worker:  # which may write the dead letters
        worker.wait_until(
            lambda: worker.metric("aggregator_dead_letters_total") == topics.EVENTS.partitions,
            "they are written",
        )
    for right, how in zip(by_user[DEAD_LETTERS.user], ("list", "redrive", "purge --yes"), strict=True):
        check_refused(house.run(DEAD_LETTERS, *how.split(), user=user_without(right)), right)


def send(house: House, value: bytes, partition: int) -> None:
    """Put a record on the events topic."""
    record = Outgoing(b"k", value, time.time_ns() // 1_000_000, partition)
    log.send(house.servers.kafka.bootstrap, EVENTS, [record])


def check_refused(command: Ended, lost: Right) -> None:
    """A command that lacks a right says which, as the last of its lines."""
    assert command.status == 1
    assert f"lacks {lost}" in command.err.splitlines()[-1]


def check_api_without(house: House, read: Right, write: Right) -> None:
    """Without keys it is not ready; that it cannot write when one was used is in its log and no more."""
    with (
        house.running(API, user=user_without(read)) as blind,
        house.running(API, user=user_without(write)) as mute,
    ):
        made = house.run(KEYS, "create", "--", "somebody", API_PORT=mute.url.rpartition(":")[2])
        assert made.status == 0, made.err
        mute.wait_until_ready()
        answer = mute.get("/api/metrics", {"Authorization": f"Bearer {made.out.strip()}"})
        assert answer.status_code == 200
        mute.wait_until(partial(says, mute, f"lacks {write}"), "the log names the right")
        blind.wait_until_unready_because("keys")
        blind.wait_until(partial(says, blind, f"lacks {read}"), "the log names the right")


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with how Kafka or Redis is reached.

    settings: what is set wrongly. said: of it, by every program.
    """

    of: str
    settings: Callable[[Secured, Part], dict[str, str]]
    said: str


WRONG_PASSWORD = f"{PASSWORD_MARK}-is-wrong"
FAULTS = {
    "kafka's password": Fault(
        "KAFKA", lambda _, __: {"KAFKA_SASL_PASSWORD": WRONG_PASSWORD}, "Kafka refuses the login"
    ),
    "kafka's ca": Fault(
        "KAFKA",
        lambda servers, _: {"KAFKA_SSL_CA_LOCATION": str(servers.stranger.ca)},
        "the TLS handshake with Kafka fails",
    ),
    "kafka's name": Fault(
        "KAFKA",
        lambda servers, _: {"KAFKA_BOOTSTRAP_SERVERS": f"{OTHER_NAME}:{servers.kafka_port}"},
        "the TLS handshake with Kafka fails",
    ),
    "redis's password": Fault(
        "REDIS",
        lambda servers, part: {"REDIS_URL": servers.redis_url(part.user, password=WRONG_PASSWORD)},
        "Redis refuses the login",
    ),
    "redis's ca": Fault(
        "REDIS",
        lambda servers, _: {"REDIS_SSL_CA_LOCATION": str(servers.stranger.ca)},
        "Redis's certificate is not trusted",
    ),
    "redis's name": Fault(
        "REDIS",
        lambda servers, part: {"REDIS_URL": servers.redis_url(part.user, host=OTHER_NAME)},
        "Redis's certificate is of another name",
    ),
}


def says(program: Program, words: str) -> bool:
    """Whether its log holds these words."""
    return words in program.log_text()


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_is_said_by_every_program(house: House, name: str) -> None:
    """A command ends and says it; what runs for ever waits, says it in its log, and is not ready."""
    fault = FAULTS[name]
    parts = [part for part in PARTS if fault.of == "KAFKA" or part.redis]
    with ExitStack() as stack:
        programs, commands = [], []
        for part in parts:
            wrong = fault.settings(house.servers, part)
            if part.port:
                programs.append(stack.enter_context(house.running(part, **wrong)))
            else:
                commands.append((part.of, house.start(part, *part.arguments, **wrong)))
        for each, command in [(each, ended(process)) for each, process in commands]:
            assert command.status == 1, each
            assert fault.said in command.err.splitlines()[-1], each
        for program in programs:
            body = program.wait_until_unready_because("")  # the API looks at Redis when it is asked
            program.wait_until(partial(says, program, fault.said), f"it says: {fault.said}")
            assert not any(str(port) in body for port in (house.servers.kafka_port, house.servers.redis_port))


@pytest.mark.parametrize("of", ["KAFKA", "REDIS"])
def test_a_ca_that_is_not_there_ends_every_program_at_once(house: House, of: str) -> None:
    name = f"{of}_SSL_CA_LOCATION"
    parts = [part for part in PARTS if of == "KAFKA" or part.redis]
    processes = [
        house.start(part, *part.arguments, **{name: "/nope", part.port or "API_PORT": str(free_port())})
        for part in parts
    ]
    for part, command in zip(parts, [ended(process) for process in processes], strict=True):
        assert command.status == 1, part
        assert name in command.err, part
        assert len(command.err.splitlines()) == 1, command.err
