"""What the topic `api-keys` holds: one record for each API key, and never a key itself.

The record's key is the API key's id, its value the JSON of `ApiKeyRecord`; the last record of an id
holds. The topic is compacted, so it stays as small as the number of keys.
"""

import msgspec


class ApiKeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An API key as it is stored.

    id: the public part of the key; tenant: whose numbers it opens; sha256: hexadecimal digest of the
    whole text of the key; created_ms, revoked_ms: when, by the clock of the program that wrote the record.
    """

    id: str
    tenant: str
    sha256: str
    created_ms: int
    revoked_ms: int | None = None
