"""API keys: how one is written and who may use it. Pure; the table is fed by `api.key_topic`.

A key is one word to copy: `sesm_`, then in base 62 an id (11 characters, public), a secret (43) and the
CRC-32 of all before it (6), so that a cut or mistyped key is told apart without a look-up and scanners
can find leaked ones. Only its SHA-256 is ever stored: the secret has 256 bits, no slow hash is needed.

A presented key is looked up by its public id and compared by digest in constant time. All reasons to
refuse one are the same to the caller.
"""

import hashlib
import hmac
import string
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

import msgspec

from schemas.keys import LAST_USED_SUFFIX, ApiKeyRecord, LastUsed

PREFIX: Final = "sesm_"
DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
ID_BYTES, ID_LENGTH = 8, 11
SECRET_BYTES, SECRET_LENGTH = 32, 43
CHECK_LENGTH: Final = 6
ENTROPY_BYTES: Final = ID_BYTES + SECRET_BYTES
KEY_LENGTH: Final = len(PREFIX) + ID_LENGTH + SECRET_LENGTH + CHECK_LENGTH


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key at the only moment when its text is known."""

    id: str
    text: str = field(repr=False)

    def record(
        self, tenant: str, now_ms: int, *, name: str = "", expires_ms: int | None = None
    ) -> ApiKeyRecord:
        """What is stored of the key."""
        return ApiKeyRecord(
            id=self.id,
            tenant=tenant,
            sha256=digest(self.text),
            created_ms=now_ms,
            name=name,
            expires_ms=expires_ms,
        )


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(DIGITS))
        digits.append(DIGITS[digit])
    return "".join(reversed(digits))


def _checksum(body: str) -> str:
    return _base62(crc32(body.encode()), CHECK_LENGTH)


def digest(text: str) -> str:
    """The hexadecimal SHA-256 of a key."""
    return hashlib.sha256(text.encode()).hexdigest()


def new_key(entropy: bytes) -> NewKey:
    """A key from `ENTROPY_BYTES` random bytes."""
    key_id = _base62(int.from_bytes(entropy[:ID_BYTES]), ID_LENGTH)
    body = PREFIX + key_id + _base62(int.from_bytes(entropy[ID_BYTES:]), SECRET_LENGTH)
    return NewKey(key_id, body + _checksum(body))


def key_id(text: str) -> str | None:
    """The public id in a presented key; None where the text is no key."""
    body = text[:-CHECK_LENGTH]
    if len(text) != KEY_LENGTH or not text.startswith(PREFIX) or text[-CHECK_LENGTH:] != _checksum(body):
        return None
    return body[len(PREFIX) : len(PREFIX) + ID_LENGTH]


def is_live(record: ApiKeyRecord, now_ms: int) -> bool:
    """Whether a key is neither revoked nor expired."""
    return record.revoked_ms is None and (record.expires_ms is None or now_ms < record.expires_ms)


class KeyTable:
    """All key records, as the topic told them so far; the last record of an id holds.

    One thread may apply while others ask.
    """

    def __init__(self) -> None:
        self._records: dict[str, ApiKeyRecord] = {}
        self._used_ms: dict[str, int] = {}

    def apply(self, key: bytes | None, value: bytes | None) -> bool:
        """Take in one record of the topic; no value means that the key is gone.

        A record that cannot be read opens nothing, and closes what its id had opened: it may have been
        a revocation.
        Returns: whether it could be read.
        """
        name = (key or b"").decode(errors="replace")
        if name.endswith(LAST_USED_SUFFIX):
            return self._apply_use(name.removesuffix(LAST_USED_SUFFIX), value)
        try:
            record = None if value is None else msgspec.json.decode(value, type=ApiKeyRecord)
        except msgspec.MsgspecError:
            record = None
        if record is not None and record.id == name:
            self._records[name] = record
            return True
        self._records.pop(name, None)
        return value is None

    def _apply_use(self, key_id: str, value: bytes | None) -> bool:
        if value is None:
            self._used_ms.pop(key_id, None)
            return True
        try:
            used_ms = msgspec.json.decode(value, type=LastUsed).used_ms
        except msgspec.MsgspecError:
            return False
        self._used_ms[key_id] = max(used_ms, self._used_ms.get(key_id, used_ms))
        return True

    def admit(self, text: str, now_ms: int) -> ApiKeyRecord | None:
        """The record of a presented key that opens its tenant's numbers now; None where it opens none."""
        record = self._records.get(key_id(text) or "")
        if record is None or not hmac.compare_digest(record.sha256, digest(text)):
            return None
        return record if is_live(record, now_ms) else None

    def last_used_ms(self, key_id: str) -> int | None:
        """About when a key was last used, as far as the topic told."""
        return self._used_ms.get(key_id)

    def get(self, key_id: str) -> ApiKeyRecord | None:
        """The record of an id."""
        return self._records.get(key_id)

    def records(self) -> list[ApiKeyRecord]:
        """All records, oldest first."""
        return sorted(self._records.values(), key=lambda record: (record.created_ms, record.id))
