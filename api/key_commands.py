"""`python -m api keys`: make, list and revoke API keys, from any host that reaches Kafka.

A command that changes a key ends well only when the change holds: Kafka has it, and the API of this host,
if there is one, has taken it in. An API that refuses the connection has not begun to read the keys (it
listens first, see `schemas.http`), so it will find the record; one that answers tells on `/readyz` how far
it has read.
"""

import http.client
import json
import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.app import now_ms
from api.config import ApiSettings
from api.key_topic import KAFKA_TIMEOUT_S, KeyFollower, KeyTopicError, check_topic, write_record
from api.keys import ENTROPY_BYTES, KeyTable, new_key
from schemas import logs
from schemas.topics import API_KEYS_TOPIC

API_TIMEOUT_S: Final = 30.0
API_PAUSE_S: Final = 0.1
TENANT_MAX_BYTES: Final = 255

cli = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True)


class NotAppliedError(Exception):
    """Kafka has the change, but the API of this host did not take it in: look at that API."""


@cli.callback()
def configure() -> None:
    """Create, list and revoke API keys."""
    logs.configure(logging.WARNING)


def _tenant(value: str) -> str:
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise typer.BadParameter("a tenant is UTF-8 text") from None
    if not 0 < size <= TENANT_MAX_BYTES:
        raise typer.BadParameter(f"a tenant has 1 to {TENANT_MAX_BYTES} bytes of UTF-8, not {size}")
    return value


@cli.command()
def create(
    tenant: Annotated[str, typer.Argument(callback=_tenant, help="Whose numbers the key opens.")],
) -> None:
    """Make a key for TENANT and print it, alone. It is shown this once."""
    settings = ApiSettings()
    key = new_key(secrets.token_bytes(ENTROPY_BYTES))
    with _told_clearly():
        check_topic(settings)
        offset = write_record(settings, key.record(tenant, now_ms()))
        await_applied(settings.api_port, offset)
    typer.echo(key.text)


@cli.command("list")
def list_keys() -> None:
    """Show all keys, without their secrets."""
    with _told_clearly():
        table = _read_all(ApiSettings())
    shown = Table("id", "tenant", "created", "revoked")
    for column in shown.columns:
        column.overflow = "fold"
    for record in table.records():
        tenant = record.tenant if record.tenant.isprintable() else repr(record.tenant)
        shown.add_row(record.id, Text(tenant), _moment(record.created_ms), _moment(record.revoked_ms))
    Console().print(shown)


@cli.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it.")]) -> None:
    """Revoke the key ID: no request with it is answered any more."""
    settings = ApiSettings()
    with _told_clearly():
        record = _read_all(settings).get(key_id)
        if record is None:
            raise KeyTopicError(f"There is no key with the id {key_id}. `keys list` shows all.")
        if record.revoked_ms is None:
            record = msgspec.structs.replace(record, revoked_ms=now_ms())
        await_applied(settings.api_port, write_record(settings, record))
    typer.echo(f"revoked {key_id}", err=True)


def await_applied(port: int, offset: int) -> None:
    """Wait until the API of this host, if there is one, has taken in a record of `api-keys`.

    port: where that API listens; offset: the record's.
    Raises: NotAppliedError where something listens there and does not say so within 30 s.
    """
    deadline = time.monotonic() + API_TIMEOUT_S
    seen = "nothing that we understand"
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2.0)
        try:
            connection.request("GET", "/readyz")
            applied = json.loads(connection.getresponse().read())["api_keys_offset"]
            if applied is None:
                seen = f"that it has not read {API_KEYS_TOPIC} yet"
            elif applied > offset:
                return
            else:
                seen = f"that it has read {API_KEYS_TOPIC} up to offset {applied}"
        except ConnectionRefusedError:
            return
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
            seen = f"nothing that we understand ({error!r})"
        finally:
            connection.close()
        time.sleep(API_PAUSE_S)
    raise NotAppliedError(
        f"Kafka has the change at offset {offset} of {API_KEYS_TOPIC}, but what listens on port {port} of "
        f"this host says {seen}. Is it this API, on the same Kafka?"
    )


def _read_all(settings: ApiSettings) -> KeyTable:
    check_topic(settings)
    follower = KeyFollower(settings)
    follower.start()
    loaded = follower.wait_until_loaded(KAFKA_TIMEOUT_S)
    follower.stop()
    if not loaded:
        raise KeyTopicError(f"Kafka's topic {API_KEYS_TOPIC} could not be read to its end in time.")
    return follower.table


def _moment(ms: int | None) -> str:
    return "" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")


@contextmanager
def _told_clearly() -> Iterator[None]:
    """What a person can do something about is one line on stderr and exit code 1."""
    try:
        yield
    except (KeyTopicError, NotAppliedError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
