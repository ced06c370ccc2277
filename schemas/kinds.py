"""What is counted: the table of kinds.

This table is the law of counting as data. A fact is (tenant, message, recipient or none, kind) and a time;
each row says which SES event states the facts of one kind, where its time stands and for whom it speaks (SES
developer guide, "Contents of event publishing"). A later kind is one more row at the end of its family, a
later family one more name in a row: nothing else names them. The table is part of the fingerprint of the
rules (`aggregator.counting.rules`), and its names stand in the record of each generation: a changed row is
another generation of counters, and a reader that has another table refuses.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

from schemas.instants import DAY_MS


@dataclass(frozen=True, slots=True)
class Horizon:
    """How long after its send a fact may still be counted, and so how long its state is needed.

    name: in Redis keys. late_ms: a fact later than this after its send is not counted. stale_ms: a record
    whose own Kafka time is later than this after its send states nothing.
    """

    name: str
    late_ms: int
    stale_ms: int


SHORT: Final = Horizon("s", 3 * DAY_MS, 18 * DAY_MS)
"""SES gives up within 14 hours; SNS tries for an hour, and a redrive comes within 14 days."""

LONG: Final = Horizon("l", 62 * DAY_MS, 78 * DAY_MS)
"""SES reports opens and clicks for 60 days."""


@dataclass(frozen=True, slots=True)
class KeyGroup:
    """Kinds whose state shares one entry for each message, or message and recipient.

    Usual together are few bytes together: what is nearly always stated of one mail shares a group. A state is
    a number of at most 53 bits (`aggregator.counting.states`), so a group has room for four long kinds.
    """

    name: str
    horizon: Horizon


SENDING: Final = KeyGroup("sending", SHORT)
BOUNCES: Final = KeyGroup("bounces", LONG)
COMPLAINTS: Final = KeyGroup("complaints", LONG)
READING: Final = KeyGroup("reading", LONG)
SUBSCRIPTION: Final = KeyGroup("subscription", LONG)

CORE, DETAILS = "core", "details"


class Condition(NamedTuple):
    """What an event must say to state a kind.

    path: attributes of the body (`schemas.ses.Body`), one in the other. values: JSON values. among: whether
    what stands there must be one of them, or must be none of them (nothing at all is none of them).
    """

    path: tuple[str, ...]
    values: tuple[str | bool, ...]
    among: bool = True


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table.

    field: the name in the metrics API. family: of kinds whose counts share a packed counter.
    key_group: of kinds whose state shares an entry. event_type: SES's `eventType` (or `notificationType`).
    body: the object that holds the event's own time; none: the time is `mail.timestamp`.
    recipients: the list of addresses, in `body` (in `mail` where there is no body); none: one fact for
        the message, as SES cannot say which recipient opened or clicked.
    address_key: the JSON key of the address where the list holds objects; none where it holds strings.
    conditions: all of them must hold. by_people: whether an event that a machine caused
        (`schemas.machines`) states nothing of this kind.
    part_of: the field of a kind that each event of this one states too.

    `body`, `recipients` and the paths of conditions are attributes of `schemas.ses`.
    """

    field: str
    family: str
    key_group: KeyGroup
    event_type: str
    body: str | None
    recipients: str | None
    address_key: str | None = None
    conditions: tuple[Condition, ...] = ()
    by_people: bool = False
    part_of: str | None = None

    @property
    def per_message(self) -> bool:
        """Whether the kind counts messages (opened, clicked) rather than recipients."""
        return self.recipients is None

    @property
    def horizon(self) -> Horizon:
        """How long after the send it is counted."""
        return self.key_group.horizon


_BOUNCE: Final = ("Bounce", "bounce", "bounced_recipients", "emailAddress")
_PERMANENT: Final = Condition(("bounce_type",), ("Permanent",))
_NOT_ATTEMPTED: Final = (
    "OnAccountSuppressionList",
    "OnTenantSuppressionList",
    "EmailValidationSuppressed",
    "UnsubscribedRecipient",
)
"""Bounces of mails that SES did not try to deliver. `Suppressed`, SES's own list, is none of them: it counts
in SES's bounce rate."""

KINDS: Final[tuple[Kind, ...]] = (
    Kind("sent", CORE, SENDING, "Send", None, "destination"),
    Kind("delivered", CORE, SENDING, "Delivery", "delivery", "recipients"),
    Kind("opened", CORE, READING, "Open", "open", None),
    Kind("clicked", CORE, READING, "Click", "click", None),
    Kind("bounced", CORE, BOUNCES, *_BOUNCE),
    Kind(
        "complained",
        CORE,
        COMPLAINTS,
        "Complaint",
        "complaint",
        "complained_recipients",
        "emailAddress",
        conditions=(Condition(("complaint_feedback_type",), ("not-spam",), among=False),),
    ),
    Kind(
        "bounced_hard",
        DETAILS,
        BOUNCES,
        *_BOUNCE,
        conditions=(_PERMANENT, Condition(("bounce_sub_type",), _NOT_ATTEMPTED, among=False)),
        part_of="bounced",
    ),
    Kind(
        "suppressed",
        DETAILS,
        COMPLAINTS,
        *_BOUNCE,
        conditions=(_PERMANENT, Condition(("bounce_sub_type",), _NOT_ATTEMPTED)),
        part_of="bounced",
    ),
    Kind(
        "bounced_soft",
        DETAILS,
        BOUNCES,
        *_BOUNCE,
        conditions=(Condition(("bounce_type",), ("Transient",)),),
        part_of="bounced",
    ),
    Kind(
        "bounced_undetermined",
        DETAILS,
        BOUNCES,
        *_BOUNCE,
        conditions=(Condition(("bounce_type",), ("Permanent", "Transient"), among=False),),
        part_of="bounced",
    ),
    Kind(
        "delayed", DETAILS, SENDING, "DeliveryDelay", "delivery_delay", "delayed_recipients", "emailAddress"
    ),
    Kind("rejected", DETAILS, SENDING, "Reject", None, "destination"),
    Kind("rendering_failed", DETAILS, SENDING, "Rendering Failure", None, "destination"),
    Kind(
        "unsubscribed",
        DETAILS,
        SUBSCRIPTION,
        "Subscription",
        "subscription",
        None,
        conditions=(Condition(("new_topic_preferences", "unsubscribe_all"), (True,)),),
    ),
    Kind("opened_human", DETAILS, READING, "Open", "open", None, by_people=True, part_of="opened"),
    Kind("clicked_human", DETAILS, READING, "Click", "click", None, by_people=True, part_of="clicked"),
)

FIELDS: Final[tuple[str, ...]] = tuple(kind.field for kind in KINDS)
"""Of all kinds, in the order of the table."""

FAMILIES: Final[Mapping[str, tuple[str, ...]]] = {
    name: tuple(kind.field for kind in rows) for name, rows in groupby(KINDS, key=lambda kind: kind.family)
}
"""By family its fields, in the order in which cells number them; the families in the order of their codes."""

assert sum(map(len, FAMILIES.values())) == len(KINDS), "the rows of a family stand together"

CORE_FIELDS: Final = FAMILIES[CORE]
"""The fields of the metrics page."""

KEY_GROUPS: Final[tuple[KeyGroup, ...]] = tuple(dict.fromkeys(kind.key_group for kind in KINDS))
HORIZONS: Final[tuple[Horizon, ...]] = tuple(dict.fromkeys(group.horizon for group in KEY_GROUPS))

HORIZON_MS: Final = max(horizon.late_ms for horizon in HORIZONS)
"""No fact of any kind is later than this after its send."""

STALE_MS: Final = max(horizon.stale_ms for horizon in HORIZONS)
"""No record states anything whose own Kafka time is later than this after its send."""

REMEMBERED_MS: Final = 14 * DAY_MS
"""State that recognizes duplicates is kept so long after its last write (`GRACE` in
`aggregator/counters/apply.lua`). What brings older records back may count them twice: a redrive refuses that,
and a rebuild starts over."""

FUTURE_MS: Final = DAY_MS
"""A fact later than this after its record's own Kafka time is a wrong clock, not a fact."""
