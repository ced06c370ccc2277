"""What a record may come to: the facts that it states, a reason to skip it, or a reason to refuse it. Pure.

What is refused goes to the dead-letter topic under the name of its `Refusal`; what is skipped is counted in a
metric under the name of its `Skipped`. `decode` says which it is.
"""

from enum import StrEnum
from hashlib import blake2b
from typing import Final, NamedTuple

from msgspec import Struct


class Refusal(StrEnum):
    """Why a record is a dead letter."""

    UNREADABLE = "unreadable"
    BAD_TAG = "bad_tag"
    NO_TENANT = "no_tenant"
    BAD_TIME = "bad_time"
    FUTURE = "future"
    TOO_LARGE = "too_large"


class Skipped(StrEnum):
    """Why a record that was read counts for nothing."""

    IGNORED = "ignored"
    UNTAGGED = "untagged"
    STALE = "stale"
    LATE = "late"
    EMPTY = "empty"
    ERASED = "erased"


class Scopes(NamedTuple):
    """What a mail counts for.

    ids: of each further scope, in the order of the rules; none where the mail has no such tag.
    """

    tenant: str
    ids: tuple[str | None, ...]


class Facts(Struct, frozen=True, gc=False):
    """The facts of one event: for each of its kinds one for each recipient, or one for the message.

    scopes: of the mail. day: the UTC day of the send, since 1970.
    quarter: of an hour, when they were, from the start of that day (0 or more). message_id: SES's.
    kinds: indices into `KINDS`, rising, at least one; all count messages, or all count recipients.
    recipients: the pseudonyms of the addresses (`Pseudonyms`), without repeats; `(None,)` is the message
    itself.
    """

    scopes: Scopes
    day: int
    quarter: int
    message_id: str
    kinds: tuple[int, ...]
    recipients: tuple[bytes | None, ...]


type_of_outcome = Facts | Skipped | Refusal


# By what a recipient is known

PSEUDONYM_BYTES: Final = 16
"""Two of a billion addresses have the same pseudonym with odds of 1 to 10^20."""


RECIPIENT_KEY_BYTES: Final = (16, 64)
"""How long a key is, at least and at most."""


class Pseudonyms:
    """Makes pseudonyms with one key: by these a recipient is known everywhere but in the log.

    A pseudonym is a keyed hash of the address, so an event that was kept without its addresses still tells
    the same facts as the event itself. Without a key it can be found by trying addresses; with one, only by
    who has the key. Addresses compare byte for byte, as SES sends them.
    """

    def __init__(self, recipient_key: bytes) -> None:
        """recipient_key: `RECIPIENT_KEY`, up to 64 bytes; may be empty."""
        self._begun = blake2b(key=recipient_key, digest_size=PSEUDONYM_BYTES)

    def of(self, address: str) -> bytes:
        """The pseudonym of an address."""
        hashed = self._begun.copy()
        hashed.update(address.encode())
        return hashed.digest()


def key_check(recipient_key: bytes) -> str:
    """What is the same wherever pseudonyms were made with one key, and says no more of it: 32 hex digits.

    An address cannot have this for its pseudonym: it is hashed for another purpose.
    """
    return blake2b(b"key check", key=recipient_key, person=b"ses-metrics", digest_size=16).hexdigest()
