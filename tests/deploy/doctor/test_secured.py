"""A stack with all its doors shut: each user may do enough, and whatever is wrong is named with its fix.

Long-lived servers are started once for all of it: a Kafka and a Redis as `deploy/security.md` has them.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import quote

import pytest

from deploy.doctor.check import State
from deploy.doctor.network import TIMEOUT_S, check_tls
from deploy.doctor.rights import USERS
from deploy.signing import Signer
from schemas import topics
from tests import services
from tests.chaos.proxy import Proxy
from tests.deploy.doctor.stand import Seen, check_names, look
from tests.pipeline.place import Place
from tests.pipeline.programs import Programs
from tests.pipeline.secured import (
    ASTRAY_NAME,
    OTHER_NAME,
    PASSWORD_MARK,
    Right,
    Secured,
    kafka_rights,
    password_of,
    rights_without,
    secured,
    user_without,
)
from tests.pipeline.test_secure import API, INGEST, WORKER, House

pytestmark = pytest.mark.programs

PARTS: Final = {"ingest": INGEST, "aggregator": WORKER, "api": API}
LESS: Final = "ses-less"
"""A user of Redis that lacks something."""


@dataclass
class Stand:
    """The servers, the programs that run on them, and how each was set."""

    house: House
    ports: dict[str, str]

    @property
    def servers(self) -> Secured:
        return self.house.servers

    def settings(self, program: str, user: str = "") -> dict[str, str]:
        """Those of a program. user: of Kafka, another one than its own."""
        return self.house.settings(PARTS[program], user) | self.ports

    def rights(self) -> list[tuple[str, Right]]:
        """The rights of our programs in Kafka."""
        return [
            (program, right)
            for program, user in USERS.items()
            for right in self.house.rights
            if right.user == user
        ]


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """Everything runs, and for each right there is a user who lacks just that one."""
    directory = tmp_path_factory.mktemp("secured")
    certificates = directory / "certificates"
    certificates.mkdir()
    Signer.create(certificates)
    rights = [right for right in kafka_rights(directory / "bin") if right.user in USERS.values()]
    with secured() as servers, ExitStack() as stack:
        lacking = [each for right in rights for each in rights_without(rights, right)]
        servers.add_users({*USERS.values(), *map(user_without, rights)}, rights + lacking)
        wanted = {
            "ses-events": topics.EVENTS,
            "ses-events-dlq": topics.DEAD_LETTERS,
            "ses-erasures": topics.ERASURES,
            topics.API_KEYS_TOPIC: topics.API_KEYS,
        }
        services.create_topics(servers.kafka.bootstrap, wanted)
        house = House(servers, rights, directory, certificates)
        programs = {name: stack.enter_context(house.running(part)) for name, part in PARTS.items()}
        for program in programs.values():
            program.wait_until_ready()
        bootstrap = servers.kafka.bootstrap
        place = Place(bootstrap, servers.redis, Programs(bootstrap, "", "ses-", directory))
        programs["aggregator"].wait_until(
            lambda: min(map(min, place.completes())) > 0, "it says up to when all is counted"
        )
        ports = {PARTS[name].port: program.url.rpartition(":")[2] for name, program in programs.items()}
        yield Stand(house, ports)


SKIPPED: Final[Mapping[str, set[str]]] = {
    "ingest": {"topic ses-events"},
    "aggregator": {"topic ses-events", "topic ses-events-dlq", "topic ses-erasures"},
    "api": {"topic api-keys", "redis server", "redis persistence", "redis memory", "redis clock"},
}
"""What the user of each program may not see: nobody needs it to count."""


@pytest.mark.parametrize("program", PARTS)
def test_nothing_is_found_where_all_is_well(stand: Stand, program: str) -> None:
    """What a user may not see is skipped, with the right that it takes. No mail was ever sent here."""
    rows = look(stand.settings(program), [program])
    unsent = Seen("last delivery", "no delivery is in the topic", "Connecting SES")
    check_names(rows, *([] if program == "api" else [unsent]))
    skipped = [row for row in rows if row.finding.state is State.SKIPPED]
    assert {row.check for row in skipped} == SKIPPED[program]
    assert all("lacks" in row.finding.what for row in skipped), skipped


def test_an_administrator_sees_all_of_it(stand: Stand) -> None:
    """By the plain listener, where whoever comes may do all."""
    redis = {name: value for name, value in stand.settings("aggregator").items() if "KAFKA" not in name}
    plain = {"KAFKA_BOOTSTRAP_SERVERS": stand.servers.kafka.bootstrap}
    rows = look(redis | plain, ["ingest", "aggregator"])
    check_names(rows, Seen("last delivery", "no delivery is in the topic", "Connecting SES"))
    assert {row.finding.state for row in rows} == {State.OK, State.PROBLEM}


def test_each_right_in_kafka_that_is_lacking_is_named_with_its_grant(stand: Stand) -> None:
    for program, right in stand.rights():
        user = user_without(right)
        rows = [row for row in look(stand.settings(program, user), [program]) if row.check != "last delivery"]
        grant = f"User:{user} --operation {right.operation} --{right.kind} {right.name}"
        check_names(rows, Seen("kafka rights", f"lacks {right}", grant))


@pytest.mark.parametrize(
    ("program", "taken", "what", "fix"),
    [
        ("aggregator", "-hset", "may not: hset", f"ACL SETUSER {LESS} +hset"),
        ("aggregator", "-script|load", "may not: script|load", "+script|load"),
        ("api", "-evalsha_ro", "may not: evalsha_ro", "+evalsha_ro"),
        ("api", "resetkeys", "may not read the record of the generations", "~{ses-metrics}:*"),
    ],
)
def test_each_right_in_redis_that_is_lacking_is_named_with_its_grant(
    stand: Stand, program: str, taken: str, what: str, fix: str
) -> None:
    admin, servers = stand.servers.redis, stand.servers
    [granted] = [line for line in admin.acl_list() if line.split()[1] == USERS[program]]
    rights = [word for word in granted.split() if word[0] in "~%+-"]
    admin.execute_command("ACL SETUSER", LESS, "reset", "on", f">{password_of(LESS)}", *rights, taken)
    rows = look(stand.settings(program) | {"REDIS_URL": servers.redis_url(LESS)}, [program])
    check_names([row for row in rows if row.check == "redis rights"], Seen("redis rights", what, fix))


def wrong_settings(stand: Stand) -> dict[str, tuple[dict[str, str], Seen]]:
    """Faults of how Kafka or Redis is reached: what is set, empty for nothing, and what must be seen."""
    servers = stand.servers
    no_tls = dict.fromkeys((name for name in stand.settings("aggregator") if "_SSL_" in name), "")
    no_kafka_tls = {name: value for name, value in no_tls.items() if name.startswith("KAFKA")}
    no_redis_tls = {name: value for name, value in no_tls.items() if name.startswith("REDIS")}
    no_login = {"KAFKA_SASL_USERNAME": "", "KAFKA_SASL_PASSWORD": "", "KAFKA_SECURITY_PROTOCOL": ""}
    wrong = f"{PASSWORD_MARK}-is-wrong"
    return {
        "kafka's password": (
            {"KAFKA_SASL_PASSWORD": wrong},
            Seen("kafka login", "Kafka refuses the login", "of the user ses-worker"),
        ),
        "kafka's mechanism": (
            {"KAFKA_SASL_MECHANISM": "PLAIN"},
            Seen("kafka login", "Kafka refuses the login", "of the user ses-worker"),
        ),
        "kafka's ca": (
            {"KAFKA_SSL_CA_LOCATION": str(servers.stranger.ca)},
            Seen("kafka tls", "is not trusted", "KAFKA_SSL_CA_LOCATION"),
        ),
        "kafka's name": (
            {"KAFKA_BOOTSTRAP_SERVERS": f"{OTHER_NAME}:{servers.kafka_port}"},
            Seen("kafka tls", "is of another name", "KAFKA_BOOTSTRAP_SERVERS as its certificate does"),
        ),
        "our certificate for kafka": (
            {"KAFKA_SSL_CERTIFICATE_LOCATION": "", "KAFKA_SSL_KEY_LOCATION": ""},
            Seen("kafka tls", "refuses our certificate", "KAFKA_SSL_CERTIFICATE_LOCATION"),
        ),
        "a ca that is not there": (
            {"KAFKA_SSL_CA_LOCATION": "/nope"},
            Seen("settings", "KAFKA_SSL_CA_LOCATION /nope", "--help"),
        ),
        "kafka without tls where it speaks tls": (
            no_kafka_tls | no_login,
            Seen("kafka login", "Kafka speaks TLS there", "KAFKA_SECURITY_PROTOCOL=SASL_SSL"),
        ),
        "kafka with tls where it speaks none": (
            {"KAFKA_BOOTSTRAP_SERVERS": servers.kafka.bootstrap},
            Seen("kafka tls", "", "check the port in KAFKA_BOOTSTRAP_SERVERS"),
        ),
        "a broker that says it is elsewhere": (
            no_kafka_tls | no_login | {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{servers.astray_port}"},
            Seen("kafka brokers", ASTRAY_NAME, "advertised.listeners"),
        ),
        "redis's password": (
            {"REDIS_URL": servers.redis_url("ses-worker", password=wrong)},
            Seen("redis login", "Redis refuses the login", "password of the user ses-worker"),
        ),
        "redis's ca": (
            {"REDIS_SSL_CA_LOCATION": str(servers.stranger.ca)},
            Seen("redis tls", "is not trusted", "REDIS_SSL_CA_LOCATION"),
        ),
        "redis's name": (
            {"REDIS_URL": servers.redis_url("ses-worker", host=OTHER_NAME)},
            Seen("redis tls", "is of another name", "REDIS_URL as its certificate does"),
        ),
        "our certificate for redis": (
            {"REDIS_SSL_CERTIFICATE_LOCATION": "", "REDIS_SSL_KEY_LOCATION": ""},
            Seen("redis tls", "refuses our certificate", "REDIS_SSL_CERTIFICATE_LOCATION"),
        ),
        "redis without tls where it speaks tls": (
            no_redis_tls
            | {"REDIS_URL": f"redis://ses-worker:{quote(wrong)}@localhost:{servers.redis_port}/0"},
            Seen("redis login", "Redis speaks TLS there", "rediss://"),
        ),
    }


def test_each_wrong_setting_is_named_with_its_fix_and_without_a_password(stand: Stand) -> None:
    for name, (settings, seen) in wrong_settings(stand).items():
        rows = look(stand.settings("aggregator") | settings, ["aggregator"])
        try:
            first, *_ = [row for row in rows if row.finding.state is State.PROBLEM]
            check_names([first], seen)
            assert PASSWORD_MARK not in repr(rows)
        except (AssertionError, ValueError) as error:
            error.add_note(name)
            raise


@pytest.mark.parametrize("server", ["KAFKA", "REDIS"])
def test_a_certificate_is_accepted_when_the_server_has_answered(stand: Stand, server: str) -> None:
    """With TLS 1.3 the client is through with its handshake when the server reads of the certificate."""
    servers = stand.servers
    port = {"KAFKA": servers.kafka_port, "REDIS": servers.redis_port}[server]
    ours = str(servers.client.certificate), str(servers.client.key)
    for files, answers_after_s, seen in (
        (("", ""), 1, "refuses our certificate"),
        (ours, 1, "both certificates are accepted"),
        (ours, TIMEOUT_S + 1, "not answered within 3 s"),
    ):
        with Proxy(port) as network:
            network.at_call(b"")  # the client's hello, which is answered at once
            network.at_call(b"", after=partial(time.sleep, answers_after_s))
            address = ("localhost", network.port)
            found = check_tls([address], (str(servers.authority.ca), *files), server, "SETTING")
        assert seen in found.what
