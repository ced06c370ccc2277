"""What the topic `api-keys` holds: a record for each API key, records beside it, and never a key itself.

The record's key is the API key's id, its value the JSON of `ApiKeyRecord`. It is written once, when the key
is made, and never again: a program that rewrote it could undo what it had not read yet. What befalls a key
later is said by records of other kinds, each with a key of its own, so that their order cannot matter and
compaction keeps them all:

- `ID:revoked` (`Revoked`): the key is revoked. It wins over every record of the key, earlier or later.
- `ID:last-used` (`LastUsed`): written by the APIs, now and then.
- a rotation is the record of the new key, which names the key that it `follows` and until when that one
  works beside it. So it is one write, done or not done. Of several that follow one key, the first in the
  topic does; the others open nothing. (The topic has one partition, so all readers see the same first one.)

A record without a value takes the key away; our programs write none. An earlier version kept `revoked_ms` and
`followed_by` in the key's record, and rewrote it: they hold as ever. The topic is compacted, so it stays as
small as the number of keys.
"""

from typing import Annotated, Final

import msgspec

LATEST_MS: Final = 253_402_300_799_999
"""The end of the year 9999: what comes later is no time."""

Id = Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-Za-z]{1,32}\Z")]
Instant = Annotated[int, msgspec.Meta(ge=0, le=LATEST_MS)]
"""Milliseconds since 1970, by the clock of the program that wrote the record."""


class Follows(msgspec.Struct, frozen=True, kw_only=True):
    """Whose place a key takes in a rotation: id, and until_ms, from when on that one opens nothing."""

    id: Id
    until_ms: Instant


class ApiKeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An API key as it is stored.

    id: the public part of the key; tenant: whose numbers it opens; sha256: hexadecimal digest of the
    whole text of the key; created_ms: when; name: what its owner calls it; expires_ms: from when on it opens
    nothing; follows: the key whose place it takes. revoked_ms, followed_by: of an earlier version.
    """

    id: Id
    tenant: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    sha256: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    created_ms: Instant
    revoked_ms: Instant | None = None
    name: Annotated[str, msgspec.Meta(max_length=100)] = ""
    expires_ms: Instant | None = None
    followed_by: Id | None = None
    follows: Follows | None = None


REVOKED_SUFFIX: Final = ":revoked"
LAST_USED_SUFFIX: Final = ":last-used"
"""No id of a key has a colon in it."""


class Revoked(msgspec.Struct, frozen=True, kw_only=True):
    """That a key is revoked, and when."""

    revoked_ms: Instant


class LastUsed(msgspec.Struct, frozen=True, kw_only=True):
    """When a key was last used, to about an hour: used_ms by the clock of an API."""

    used_ms: Instant
