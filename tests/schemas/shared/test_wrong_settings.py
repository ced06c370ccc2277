"""Every program and command that is started with settings that cannot be right: one line, exit code 1.

Neither the line nor anything else that is written holds a password.
"""

import asyncio
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import quote

import pytest
import redis
from confluent_kafka import KafkaError, KafkaException, Producer

from aggregator.counters import connection
from api.counters.connection import connect
from deploy.valkey import Valkey
from schemas.shared.settings import RedisSettings
from schemas.shared.startup import wrong_settings_in_a_line
from tests.pipeline.programs import CHECKOUT, LIMIT_S

pytestmark = pytest.mark.programs

KAFKA_ALONE = ("deploy.topics", "ingest", "aggregator dead-letters list", "aggregator dead-letters redrive")
BOTH = (
    "aggregator",
    "aggregator rebuild",
    "aggregator verify",
    "aggregator audit",
    "aggregator erase --tenant nobody",
    "api",
    "api keys list",
    "api keys create acme",
)
SECRET = "hunter"


def started(program: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *program.split()],
        cwd=CHECKOUT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def line_of(program: str, **settings: str) -> str:
    """The one line of a program that does not start."""
    ended = started(program, **settings)
    assert ended.returncode == 1, ended.stderr
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    return ended.stderr


@pytest.mark.parametrize("program", KAFKA_ALONE + BOTH)
def test_a_certificate_that_is_not_there(program: str) -> None:
    reported = line_of(program, KAFKA_SECURITY_PROTOCOL="SSL", KAFKA_SSL_CA_LOCATION="/nope")
    assert "ssl_ca_location" in reported.lower().replace(".", "_")


def test_what_only_librdkafka_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    """A fault that shows when a client is made ends the program alike; an error of another kind goes on."""
    with pytest.raises(SystemExit) as ended, wrong_settings_in_a_line():
        Producer({"security.protocol": "SSL", "ssl.ca.location": "/nope"})
    assert "ssl.ca.location" in str(ended.value)
    assert "\n" not in str(ended.value)
    with pytest.raises(KafkaException), wrong_settings_in_a_line():
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("program", BOTH)
def test_a_password_that_moves_the_parts_of_a_url(program: str) -> None:
    """It is refused in a line that says how to write it, and that does not hold it."""
    reported = line_of(program, REDIS_URL=f"redis://:{SECRET}/2@localhost:6379/0")
    assert "REDIS_URL" in reported
    assert "%2F" in reported
    assert SECRET not in reported


@pytest.mark.parametrize("odd", "/#?@:,[]%\\ é℀\"'&=;")
@pytest.mark.parametrize("known", [SECRET, "42"])
def test_no_password_is_misread_or_reported(known: str, odd: str) -> None:
    """Written as it is, it is refused without being quoted, or means itself."""
    password = f"{known}{odd}zz{known}"
    understood = settings_of(f"redis://user:{password}@localhost:6379/0")
    assert known not in repr(understood)
    assert known not in str(understood)
    if isinstance(understood, RedisSettings):
        parsed = redis.ConnectionPool.from_url(understood.redis_nodes[0]).connection_kwargs
        assert (parsed["host"], parsed["password"]) == ("localhost", password)


def settings_of(url: str) -> RedisSettings | ValueError:
    try:
        return RedisSettings(redis_url=url)
    except ValueError as error:
        return error


def test_an_encoded_password_opens_redis(valkey_factory: Callable[[], Valkey]) -> None:
    """Every character, percent-encoded, for the worker and for the API."""
    valkey, password = valkey_factory(), "/#?@:,[]% é℀\"'&=;"
    with redis.Redis.from_url(valkey.url) as client:
        client.config_set("requirepass", password)
    settings = RedisSettings(redis_url=f"redis://:{quote(password, safe='')}@127.0.0.1:{valkey.port}/0")
    with connection.connect(settings) as client:
        assert client.ping()

    async def asked() -> bool:
        client = connect(settings)
        try:
            return bool(await client.ping())
        finally:
            await client.aclose()

    assert asyncio.run(asked())


CRASH = f"""
import structlog
from schemas.shared import logs

logs.configure()
password = "{SECRET}"[::-1]
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger().exception("it failed")
"""


def test_a_traceback_shows_no_variables_on_a_terminal_either() -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", CRASH], cwd=CHECKOUT, stderr=theirs) as crashing:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # how a terminal tells that nobody writes to it any more
            while part := os.read(ours, 10_000):
                shown += part
        os.close(ours)
    assert crashing.returncode == 0
    assert b"ZeroDivisionError" in shown
    assert SECRET[::-1].encode() not in shown
