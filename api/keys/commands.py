"""`python -m api keys`: make, list, rotate and revoke API keys, from any host that reaches Kafka.

A command that changes a key ends well only when the change holds: Kafka has it, and the API of this host,
if there is one, has taken it in. An API that refuses the connection has not begun to read the keys (it
listens first, see `schemas.shared.server`), so it will find the record; one that answers says on `/readyz`
how far it has read.
"""

import http.client
import json
import logging
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from api.clock import now_ms
from api.config import ApiSettings
from api.keys.follower import KeyFollower
from api.keys.form import ENTROPY_BYTES, NewKey, new_key
from api.keys.table import KeyTable, is_live
from api.keys.topic import KeyTopicError, check_topic, write_records
from schemas.keys import REVOKED_SUFFIX, ApiKeyRecord, Follows, Revoked
from schemas.shared import logs
from schemas.topics import API_KEYS_TOPIC

API_TIMEOUT_S: Final = 30.0
API_PAUSE_S: Final = 0.1
TENANT_MAX_BYTES: Final = 255
NAME_MAX_LENGTH: Final = 100
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
DAYS_MAX: Final = 36_500

REVOKE_ROUNDS: Final = 5
"""How often `revoke --tenant` looks whether keys were made while it revoked."""

COLUMN_MAX: Final = 40
"""A column of `keys list` is as wide as its widest text, but no wider than this; a line never breaks."""

SHOWN: Final = ("id", "tenant", "name", "created", "expires", "revoked", "last_used")
"""What `keys list` shows of a key."""

cli = typer.Typer(help="Create, list, rotate and revoke API keys.", no_args_is_help=True)


class NotAppliedError(Exception):
    """Kafka has the change, but the API of this host did not take it in: look at that API."""


@cli.callback()
def configure() -> None:
    """Create, list, rotate and revoke API keys."""
    logs.configure(logging.ERROR)  # what goes wrong is said in a line of our own


def _tenant(value: str) -> str:
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise typer.BadParameter("a tenant is UTF-8 text") from None
    if not 0 < size <= TENANT_MAX_BYTES:
        raise typer.BadParameter(f"a tenant has 1 to {TENANT_MAX_BYTES} bytes of UTF-8, not {size}")
    return value


def _some_tenant(value: str | None) -> str | None:
    return None if value is None else _tenant(value)


def _name(value: str) -> str:
    if len(value) > NAME_MAX_LENGTH or not value.isprintable():
        raise typer.BadParameter(f"a name is at most {NAME_MAX_LENGTH} printable characters")
    return value


def _new_key() -> NewKey:
    return new_key(secrets.token_bytes(ENTROPY_BYTES))


@cli.command()
def create(
    tenant: Annotated[str, typer.Argument(callback=_tenant, help="Whose numbers the key opens.")],
    name: Annotated[str, typer.Option(callback=_name, help="What you call the key.")] = "",
    expires_in_days: Annotated[
        int | None, typer.Option(min=1, max=DAYS_MAX, help="When it ends. Default: never.")
    ] = None,
) -> None:
    """Make a key for TENANT and print it, alone. It is shown this once."""
    settings = ApiSettings()
    key, now = _new_key(), now_ms()
    expires_ms = None if expires_in_days is None else now + expires_in_days * DAY_MS
    with _failing_in_a_line():
        check_topic(settings)
        record = key.record(tenant, now, name=name, expires_ms=expires_ms)
        await_applied(settings.api_port, write_records(settings, {key.id: record}))
    typer.echo(key.text)


@cli.command()
def rotate(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it.")],
    overlap_hours: Annotated[
        int, typer.Option(min=0, max=DAYS_MAX, help="How long the old key works beside the new one.")
    ] = 24,
) -> None:
    """Make a key that follows the key ID and print it, alone; both work until the overlap is over.

    The new key has the tenant, the name and the lifetime of the old one. A key is rotated once, so that no
    more than two of a line are alive.
    """
    settings = ApiSettings()
    key, now = _new_key(), now_ms()
    with _failing_in_a_line(), _following(settings) as follower:
        old = _find(follower.table, key_id)
        if not is_live(old, now):
            raise KeyTopicError(f"The key {key_id} is revoked or expired. Make a new one with `keys create`.")
        if old.followed_by is not None:
            raise KeyTopicError(_rotated_already(old))
        lifetime_ms = None if old.expires_ms is None else old.expires_ms - old.created_ms
        expires_ms = None if lifetime_ms is None else now + lifetime_ms
        follows = Follows(id=old.id, until_ms=now + overlap_hours * HOUR_MS)
        record = key.record(old.tenant, now, name=old.name, expires_ms=expires_ms, follows=follows)
        offset = write_records(settings, {key.id: record})
        # What others wrote meanwhile stands before ours, and decides.
        follower.wait_until_read(offset)
        old = _find(follower.table, key_id)
        if old.revoked_ms is not None or old.followed_by != key.id:
            write_records(settings, _revocations([record], now))
            raise KeyTopicError(
                _rotated_already(old)
                if old.revoked_ms is None
                else f"The key {key_id} was revoked meanwhile. Make a new one with `keys create`."
            )
        await_applied(settings.api_port, offset)
    typer.echo(key.text)


@cli.command("list")
def list_keys(
    as_json: Annotated[bool, typer.Option("--json", help="For programs: a JSON list, times in UTC.")] = False,
) -> None:
    """Show all keys, without their secrets. When one was last used is known to about an hour."""
    with _failing_in_a_line(), _following(ApiSettings()) as follower:
        table = follower.table
        shown = [_shown(record, table) for record in table.records()]
    if as_json:
        typer.echo(json.dumps(shown, ensure_ascii=False))
    else:
        rows = [[name.replace("_", " ") for name in SHOWN], *map(_texts, shown)]
        widths = [min(COLUMN_MAX, max(map(len, column))) for column in zip(*rows, strict=True)]
        typer.echo("\n".join(_line(row, widths) for row in rows))
    if follower.unreadable:
        typer.echo(f"{follower.unreadable:,} records cannot be read and open nothing", err=True)


@cli.command()
def revoke(
    key_id: Annotated[str | None, typer.Argument(metavar="ID", help="As `keys list` shows it.")] = None,
    tenant: Annotated[str | None, typer.Option(callback=_some_tenant, help="Revoke all its keys.")] = None,
) -> None:
    """Revoke the key ID, or all keys of a tenant: no request with them is answered any more."""
    if (key_id is None) == (tenant is None):
        raise typer.BadParameter("name a key or a tenant")
    settings = ApiSettings()
    with _failing_in_a_line(), _following(settings) as follower:
        if key_id is not None:
            revoked = [_find(follower.table, key_id)]
            offset = write_records(settings, _revocations(revoked, now_ms()))
        else:
            revoked, offset = _revoke_all(settings, follower, tenant)
        await_applied(settings.api_port, offset)
    for record in revoked:
        typer.echo(f"revoked {record.id}", err=True)


def _revoke_all(
    settings: ApiSettings, follower: KeyFollower, tenant: str | None
) -> tuple[list[ApiKeyRecord], int]:
    """Revoke a tenant's keys, those too that are made meanwhile.

    Returns: what was revoked, and the offset up to which, included, the topic says so.
    Raises: KeyTopicError where it has none, or where keys are made faster than they are revoked.
    """
    revoked: list[ApiKeyRecord] = []
    offset = follower.next_offset - 1
    for _ in range(REVOKE_ROUNDS):
        of_tenant = [record for record in follower.table.records() if record.tenant == tenant]
        if not of_tenant:
            raise KeyTopicError(f"The tenant {tenant!r} has no keys. `keys list` shows all.")
        left = [record for record in of_tenant if record.revoked_ms is None]
        if not left:
            return revoked, offset
        offset = write_records(settings, _revocations(left, now_ms()))
        revoked += left
        follower.wait_until_read(offset)
    raise KeyTopicError(f"Somebody goes on making keys for {tenant!r}. Stop that, and revoke again.")


def _revocations(records: Iterable[ApiKeyRecord], now: int) -> dict[str, Revoked]:
    """What is written to revoke keys; one that is revoked keeps its time."""
    return {
        record.id + REVOKED_SUFFIX: Revoked(
            revoked_ms=now if record.revoked_ms is None else record.revoked_ms
        )
        for record in records
    }


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


@contextmanager
def _following(settings: ApiSettings) -> Iterator[KeyFollower]:
    """Knows all keys, and goes on following the topic meanwhile. Raises: KeyTopicError."""
    check_topic(settings)
    follower = KeyFollower(settings)
    follower.start()
    try:
        follower.wait_until_read()
        yield follower
    finally:
        follower.stop()


def _find(table: KeyTable, key_id: str) -> ApiKeyRecord:
    record = table.get(key_id)
    if record is None:
        raise KeyTopicError(f"There is no key with the id {key_id}. `keys list` shows all.")
    return record


def _rotated_already(record: ApiKeyRecord) -> str:
    return f"The key {record.id} was rotated already. Rotate the one that followed it, {record.followed_by}."


def _shown(record: ApiKeyRecord, table: KeyTable) -> dict[str, str | None]:
    """What is shown of a key."""
    moments = (record.created_ms, record.expires_ms, record.revoked_ms, table.last_used_ms(record.id))
    values = (record.id, record.tenant, record.name, *map(_moment, moments))
    return dict(zip(SHOWN, values, strict=True))


def _texts(shown: dict[str, str | None]) -> list[str]:
    """What is shown of a key in a line, without anything that could break it."""
    return [text if text.isprintable() else repr(text) for text in (shown[name] or "" for name in SHOWN)]


def _line(texts: list[str], widths: list[int]) -> str:
    return "  ".join(map(str.ljust, texts, widths)).rstrip()


def _moment(ms: int | None) -> str | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")


@contextmanager
def _failing_in_a_line() -> Iterator[None]:
    """What a person can do something about is one line on stderr and exit code 1."""
    try:
        yield
    except (KeyTopicError, NotAppliedError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
