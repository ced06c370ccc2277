"""The form of an API key: how one is made, and what can be read off its text. Pure.

A key is one word to copy: `sesm_`, then in base 62 an id (11 characters, public), a secret (43) and the
CRC-32 of all before it (6), so that a cut or mistyped key is refused without a look-up and scanners
can find leaked ones. Only its SHA-256 is ever stored: the secret has 256 bits, no slow hash is needed.
"""

import hashlib
import string
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

from schemas.keys import ApiKeyRecord, Follows

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
        self,
        tenant: str,
        now_ms: int,
        *,
        name: str = "",
        expires_ms: int | None = None,
        follows: Follows | None = None,
    ) -> ApiKeyRecord:
        """What is stored of the key."""
        return ApiKeyRecord(
            id=self.id,
            tenant=tenant,
            sha256=digest(self.text),
            created_ms=now_ms,
            name=name,
            expires_ms=expires_ms,
            follows=follows,
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
