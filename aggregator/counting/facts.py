"""What a record may come to: the facts that it states, a reason to skip it, or a reason to refuse it. Pure.

What is refused goes to the dead-letter topic under the name of its `Refusal`; what is skipped is counted in a
metric under the name of its `Skipped`. `decode` says which it is.
"""

from enum import StrEnum
from typing import NamedTuple

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
    recipients: the pseudonyms of the addresses (`pseudonyms`), without repeats; `(None,)` is the message
    itself.
    """

    scopes: Scopes
    day: int
    quarter: int
    message_id: str
    kinds: tuple[int, ...]
    recipients: tuple[bytes | None, ...]


type_of_outcome = Facts | Skipped | Refusal
