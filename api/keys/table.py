"""The table of all API keys: who may use one. Pure; it is fed by `api.keys.follower`.

A presented key is looked up by its public id and compared by digest in constant time. All reasons to
refuse one are the same to the caller.

What befell a key is put together here from the records that `schemas.keys` describes. Law: a key that was
revoked stays revoked, whatever comes before or after; a record that cannot be read opens nothing.
"""

import hmac
from typing import Final, TypeVar

import msgspec

from api.keys.form import digest, key_id
from schemas.keys import LAST_USED_SUFFIX, REVOKED_SUFFIX, ApiKeyRecord, LastUsed, Revoked

LONG_AGO_MS: Final = 0
"""When a key was revoked of which only that is known."""

_Value = TypeVar("_Value", ApiKeyRecord, Revoked, LastUsed)


def is_live(record: ApiKeyRecord, now_ms: int) -> bool:
    """Whether a key is neither revoked nor expired."""
    return record.revoked_ms is None and (record.expires_ms is None or now_ms < record.expires_ms)


class KeyTable:
    """All keys, by the records of the topic so far.

    One thread may apply while others read. What they read is a key's record as it stands: with its
    revocation, and its end and its successor where it was rotated.
    """

    def __init__(self) -> None:
        self._records: dict[str, ApiKeyRecord] = {}
        self._revoked_ms: dict[str, int] = {}
        self._successors: dict[str, ApiKeyRecord] = {}
        self._used_ms: dict[str, int] = {}

    def __len__(self) -> int:
        """How many keys there are, revoked ones too."""
        return len(self._records)

    def apply(self, key: bytes | None, value: bytes | None) -> bool:
        """Take in one record of the topic.

        One that cannot be read opens nothing. It closes what its id had opened, as it may have been a
        revocation of an earlier version; a last use closes nothing.
        Returns: whether it could be read.
        """
        name = (key or b"").decode(errors="replace")
        if name.endswith(REVOKED_SUFFIX):
            return self._apply_revocation(name.removesuffix(REVOKED_SUFFIX), value)
        if name.endswith(LAST_USED_SUFFIX):
            return self._apply_use(name.removesuffix(LAST_USED_SUFFIX), value)
        return self._apply_key(name, value)

    def _apply_key(self, key_id: str, value: bytes | None) -> bool:
        record = _decoded(value, ApiKeyRecord)
        if record is None or record.id != key_id:
            self._records.pop(key_id, None)
            return value is None
        # The reasons to refuse a key come before the key: others may read meanwhile.
        if record.revoked_ms is not None:
            self._revoke(key_id, record.revoked_ms)
        if record.follows is not None:
            self._successors.setdefault(record.follows.id, record)
        self._records[key_id] = record
        return True

    def _apply_revocation(self, key_id: str, value: bytes | None) -> bool:
        """Whatever it says, and where it says nothing too: the key is revoked."""
        revoked = _decoded(value, Revoked)
        self._revoke(key_id, LONG_AGO_MS if revoked is None else revoked.revoked_ms)
        return revoked is not None

    def _revoke(self, key_id: str, revoked_ms: int) -> None:
        self._revoked_ms[key_id] = min(revoked_ms, self._revoked_ms.get(key_id, revoked_ms))

    def _apply_use(self, key_id: str, value: bytes | None) -> bool:
        used = _decoded(value, LastUsed)
        if used is not None:
            self._used_ms[key_id] = max(used.used_ms, self._used_ms.get(key_id, used.used_ms))
        elif value is None:
            self._used_ms.pop(key_id, None)
        return used is not None or value is None

    def admit(self, text: str, now_ms: int) -> ApiKeyRecord | None:
        """The record of a presented key that opens its tenant's numbers now; None where it opens none."""
        record = self._records.get(key_id(text) or "")
        if record is None or not hmac.compare_digest(record.sha256, digest(text)):
            return None
        record = self._as_it_stands(record)
        return record if is_live(record, now_ms) else None

    def last_used_ms(self, key_id: str) -> int | None:
        """About when a key was last used, in ms since 1970; None where the topic has no use of it."""
        return self._used_ms.get(key_id)

    def get(self, key_id: str) -> ApiKeyRecord | None:
        """The record of an id; None where there is none."""
        record = self._records.get(key_id)
        return None if record is None else self._as_it_stands(record)

    def records(self) -> list[ApiKeyRecord]:
        """All records, oldest first."""
        records = map(self._as_it_stands, list(self._records.values()))
        return sorted(records, key=lambda record: (record.created_ms, record.id))

    def _as_it_stands(self, record: ApiKeyRecord) -> ApiKeyRecord:
        """A key's record with what the other records say of it."""
        revoked_ms = self._revoked_ms.get(record.id)
        if record.follows is not None and self._successors[record.follows.id].id != record.id:
            revoked_ms = record.created_ms  # another key took the place before it
        expires_ms, followed_by = record.expires_ms, record.followed_by
        successor = self._successors.get(record.id)
        if successor is not None and successor.follows is not None:
            until_ms = successor.follows.until_ms
            expires_ms = until_ms if expires_ms is None else min(expires_ms, until_ms)
            followed_by = successor.id
        elif revoked_ms is None:
            return record
        return msgspec.structs.replace(
            record, revoked_ms=revoked_ms, expires_ms=expires_ms, followed_by=followed_by
        )


def _decoded(value: bytes | None, kind: type[_Value]) -> _Value | None:
    """The value of a record; None where it is none of that kind."""
    try:
        return None if value is None else msgspec.json.decode(value, type=kind)
    except (ValueError, RecursionError):  # no JSON of that shape, no UTF-8, or nested without end
        return None
