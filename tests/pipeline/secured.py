"""A Kafka and a Redis with all their doors shut, and the users that `deploy/security` gives our programs.

Kafka: SASL_SSL with SCRAM-SHA-512, a CA of its own, client certificates, and an authorizer that allows what
was granted and nothing else. Beside it a plain listener on loopback, by which the test looks on and is the
administrator. Redis: Debian's, as the one from the wheel has no TLS; client certificates and users of few
rights. The certificates of both hold `localhost` and no other name of this machine.
"""

import argparse
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import redis
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.admin._scram import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from deploy.kafka import Kafka
from deploy.kafka_jars import KAFKA
from deploy.processes import Child, Waiting, free_port
from tests.authority import Authority, Identity
from tests.debian import installed, skip_but_not_in_ci
from tests.pipeline.programs import CHECKOUT, LIMIT_S
from tests.services import LIMIT_S as START_S

HOST = "localhost"
OTHER_NAME = "127.0.0.1"
"""Reaches the same servers; their certificates do not hold it."""

ASTRAY_NAME = "broker.invalid"
"""Where a broker says that it is, and is not."""

SECURITY = CHECKOUT / "deploy" / "security"
ADMIN = "test-admin"
PASSWORD_MARK = "8c1f0d"


class Right(NamedTuple):
    """A line of `kafka.sh`: what a user may do with what. pattern: how `name` is meant."""

    user: str
    operation: str
    kind: str
    name: str
    pattern: str = "literal"

    def __str__(self) -> str:
        return f"{self.operation.upper()} on {'group ' if self.kind == 'group' else ''}{self.name}"


def password_of(user: str) -> str:
    """The password of a user of Kafka or Redis. It takes care in a URL, and no other text holds its mark."""
    return f"{user}/{PASSWORD_MARK}#?"


def kafka_rights(directory: Path) -> list[Right]:
    """What `deploy/security/kafka.sh` grants: it runs, with stand-ins for Kafka's tools that echo.

    directory: for the stand-ins.
    """
    directory.mkdir()
    for name in ("kafka-configs.sh", "kafka-acls.sh"):
        tool = directory / name
        tool.write_text('#!/bin/sh\nprintf \'%s\\t\' "${0##*/}" "$@"\necho\n')
        tool.chmod(0o755)
    script = SECURITY / "kafka.sh"
    users = {word for word in script.read_text().split() if word.startswith('"$SES_')}
    passwords = {word.strip('"$'): "secret" for word in users}
    path = f"{directory}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["sh", str(script)],
        env={"PATH": path, "KAFKA": "--bootstrap-server broker:9093", **passwords},
        capture_output=True,
        text=True,
        check=True,
    )
    acls = argparse.ArgumentParser()
    for option in ("--bootstrap-server", "--allow-principal", "--operation", "--topic", "--group"):
        acls.add_argument(option)
    acls.add_argument("--add", action="store_true", required=True)
    acls.add_argument("--resource-pattern-type", choices=["literal", "prefixed"], default="literal")
    made: set[str] = set()
    rights = []
    for line in ran.stdout.splitlines():
        tool_name, *words = line.rstrip("\t").split("\t")
        if tool_name == "kafka-configs.sh":
            assert words[-1] == "SCRAM-SHA-512=[password=secret]"
            made.add(words[words.index("--entity-name") + 1])
            continue
        reported = acls.parse_args(words)
        user = reported.allow_principal.removeprefix("User:")
        assert user in made, f"{user} gets a right before it has a password"
        kind = "topic" if reported.topic else "group"
        name = reported.topic or reported.group
        rights.append(Right(user, reported.operation, kind, name, reported.resource_pattern_type))
    return rights


def user_without(right: Right) -> str:
    """The name of a user who has the rights of that one's user but for that one."""
    return f"{right.user}-no-{right.operation}-{right.name}".lower()


def rights_without(rights: Iterable[Right], lost: Right) -> list[Right]:
    """The rights of that user."""
    name = user_without(lost)
    return [each._replace(user=name) for each in rights if each.user == lost.user and each != lost]


def redis_server() -> str:
    """The path of a `redis-server` with TLS."""
    found = installed(("redis-server",), "redis-server")
    if found is None:
        skip_but_not_in_ci("no redis-server with TLS: install one (Debian: apt-get install redis-server)")
    return found


@dataclass(frozen=True)
class Secured:
    """Both servers, and how programs log in to them.

    kafka: its `bootstrap` is the plain listener. astray_port: of one more, which sends its clients to a name
    that nobody knows. redis: a client that may do all. authority: signed the
    certificates of both servers, and that of `client`. stranger: signed none of them.
    """

    kafka: Kafka
    kafka_port: int
    astray_port: int
    redis: Any
    redis_port: int
    authority: Authority
    stranger: Authority
    client: Identity

    def settings(self, user: str) -> dict[str, str]:
        """The settings of a program that logs in as this user, to both."""
        files = {
            "SSL_CA_LOCATION": self.authority.ca,
            "SSL_CERTIFICATE_LOCATION": self.client.certificate,
            "SSL_KEY_LOCATION": self.client.key,
        }
        return {
            "KAFKA_BOOTSTRAP_SERVERS": f"{HOST}:{self.kafka_port}",
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD": password_of(user),
            "REDIS_URL": self.redis_url(user),
            **{f"{of}_{name}": str(path) for of in ("KAFKA", "REDIS") for name, path in files.items()},
        }

    def redis_url(self, user: str, password: str = "", host: str = HOST) -> str:
        """The URL of Redis for a user. password: none for the right one."""
        return f"rediss://{user}:{quote(password or password_of(user), safe='')}@{host}:{self.redis_port}/0"

    def add_users(self, users: Iterable[str], rights: Iterable[Right]) -> None:
        """Make users, and give users these rights."""
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap})
        scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        changes: list[Any] = [
            UserScramCredentialUpsertion(user, scram, password_of(user).encode()) for user in users
        ]
        for made in admin.alter_user_scram_credentials(changes).values():
            made.result(LIMIT_S)
        for granted in admin.create_acls([_binding(right) for right in rights]).values():
            granted.result(LIMIT_S)


def _binding(right: Right) -> AclBinding:
    return AclBinding(
        ResourceType[right.kind.upper()],
        right.name,
        ResourcePatternType[right.pattern.upper()],
        f"User:{right.user}",
        "*",
        AclOperation[right.operation.upper()],
        AclPermissionType.ALLOW,
    )


@contextmanager
def secured() -> Iterator[Secured]:
    """Both servers, running and empty; gone at the end."""
    KAFKA.fetch()
    with tempfile.TemporaryDirectory(prefix="ses-metrics-secured-") as text:
        directory = Path(text)
        authority = Authority(directory / "authority")
        server, client = authority.issue("server", HOST), authority.issue("client")
        ports = port, controller_port, kafka_port, astray_port = [free_port() for _ in range(4)]
        kafka = Kafka(
            directory / "kafka",
            port=port,
            controller_port=controller_port,
            properties=_properties(directory, ports, authority, server),
        )
        with secured_redis(directory, authority) as (redis_port, admin):
            try:
                kafka.start(Waiting(limit_s=START_S))
                stranger = Authority(directory / "stranger")
                yield Secured(kafka, kafka_port, astray_port, admin, redis_port, authority, stranger, client)
            finally:
                kafka.kill()


@contextmanager
def secured_redis(
    directory: Path, authority: Authority, *options: str, host: str = HOST, rights: str = ""
) -> Iterator[tuple[int, Any]]:
    """A Redis with the users of `redis.acl`, and one who may do all.

    options: more for its command line. host: of its certificate. rights: more for each of our users.
    Yields: its port, and a client of that other one.
    """
    port, server, client = free_port(), authority.issue("redis", host), authority.issue("admin")
    lines = [line for line in (SECURITY / "redis.acl").read_text().splitlines() if line]
    for number, line in enumerate(lines):
        user = line.split()[1]
        wanted = f">{user.upper().replace('-', '_')}_PASSWORD"
        assert wanted in line or user == "default"
        lines[number] = f"{line} {rights}".replace(wanted, f">{password_of(user)}")
    lines.append(f"user {ADMIN} on >{ADMIN} ~* +@all")
    acl = directory / "users.acl"
    acl.write_text("\n".join(lines) + "\n")
    command: list[str | Path] = [
        *(redis_server(), "--bind", "127.0.0.1", "--port", "0", "--tls-port", str(port), "--dir", directory),
        *("--tls-cert-file", server.certificate, "--tls-key-file", server.key),
        *("--tls-ca-cert-file", authority.ca, "--tls-auth-clients", "yes"),
        *("--aclfile", acl, "--save", "", "--appendonly", "yes", "--maxmemory-policy", "noeviction"),
        *options,
    ]
    child = Child("redis", command, directory / "redis.log")
    with redis.Redis.from_url(
        f"rediss://{ADMIN}:{ADMIN}@{host}:{port}/0",
        ssl_ca_certs=str(authority.ca),
        ssl_certfile=str(client.certificate),
        ssl_keyfile=str(client.key),
    ) as admin:
        try:
            child.start()
            Waiting(limit_s=START_S).until(lambda: _answers(admin), child)
            yield port, admin
        finally:
            child.kill()


def _properties(
    directory: Path, ports: Sequence[int], authority: Authority, server: Identity
) -> dict[str, str]:
    """ports: of the plain listener, the controller, the one that is secured and the one that leads astray."""
    port, controller_port, kafka_port, astray_port = ports
    keystore = directory / "keystore.pem"
    keystore.write_bytes(server.key.read_bytes() + server.certificate.read_bytes())
    here = "127.0.0.1"
    plain, astray = f"PLAINTEXT://{here}:{port}", f"ASTRAY://{here}:{astray_port}"
    protocols = "PLAINTEXT:PLAINTEXT,ASTRAY:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL"
    return {
        "listeners": f"{plain},{astray},CONTROLLER://{here}:{controller_port},SECURE://{here}:{kafka_port}",
        "advertised.listeners": f"{plain},ASTRAY://{ASTRAY_NAME}:{astray_port},SECURE://{HOST}:{kafka_port}",
        "listener.security.protocol.map": protocols,
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.secure.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "listener.name.secure.ssl.client.auth": "required",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(keystore),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.ca),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",  # whoever comes by the plain listener
    }


def _answers(client: Any) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:  # nothing listens yet
        return False
