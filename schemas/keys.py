"""What the topic `api-keys` holds: one record for each API key, and never a key itself.

The record's key is the API key's id, its value the JSON of `ApiKeyRecord`; the last record of an id
holds. When a key was last used is told beside it, by the APIs, as a record of its own (`LastUsed`, keyed by
the id and `LAST_USED_SUFFIX`): an API that rewrote the key's record could undo a revocation that it had not
read yet. The topic is compacted, so it stays as small as the number of keys.
"""

from typing import Final

import msgspec


class ApiKeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An API key as it is stored.

    id: the public part of the key; tenant: whose numbers it opens; sha256: hexadecimal digest of the
    whole text of the key; created_ms, revoked_ms: when, by the clock of the program that wrote the record;
    name: what its owner calls it; expires_ms: from when on it opens nothing; followed_by: the id of the key
    that took its place in a rotation.
    """

    id: str
    tenant: str
    sha256: str
    created_ms: int
    revoked_ms: int | None = None
    name: str = ""
    expires_ms: int | None = None
    followed_by: str | None = None


LAST_USED_SUFFIX: Final = ":last-used"
"""No id of a key has a colon in it."""


class LastUsed(msgspec.Struct, frozen=True, kw_only=True):
    """When a key was last used, to about an hour: used_ms by the clock of an API."""

    used_ms: int
