"""What is counted: the table of kinds.

This table is the law of counting as data. A fact is (tenant, message, recipient or none, kind) and a
time; each row says which SES event states the facts of one kind, where its time stands and for whom it
speaks (SES developer guide, "Contents of event publishing"). A later kind (hard bounces, machine opens)
is one more row at the end. The table is part of the fingerprint of the rules (`aggregator.counting.rules`): a
changed row is another generation of counters.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table.

    field: the name in the metrics API and in the cells of a counter.
    event_type: SES's `eventType` (or `notificationType`).
    body: the object that holds the event's own time; none: the time is `mail.timestamp`.
    recipients: the list of addresses, in `body` (in `mail` where there is no body); none: one fact for
        the message, as SES cannot say which recipient opened or clicked.
    address_key: the JSON key of the address where the list holds objects; none where it holds strings.
    retraction: (field of body, value): an event with this value takes a report back and is not counted.

    `body`, `recipients` and the field of `retraction` are attributes of `schemas.ses`.
    """

    field: str
    event_type: str
    body: str | None
    recipients: str | None
    address_key: str | None = None
    retraction: tuple[str, str] | None = None

    @property
    def per_message(self) -> bool:
        """Whether the kind counts messages (opened, clicked) rather than recipients."""
        return self.recipients is None


KINDS: Final[tuple[Kind, ...]] = (
    Kind("sent", "Send", None, "destination"),
    Kind("delivered", "Delivery", "delivery", "recipients"),
    Kind("opened", "Open", "open", None),
    Kind("clicked", "Click", "click", None),
    Kind("bounced", "Bounce", "bounce", "bounced_recipients", "emailAddress"),
    Kind(
        "complained",
        "Complaint",
        "complaint",
        "complained_recipients",
        "emailAddress",
        retraction=("complaint_feedback_type", "not-spam"),
    ),
)

FIELDS: Final[tuple[str, ...]] = tuple(kind.field for kind in KINDS)

HORIZON_MS: Final = 62 * 24 * 3_600_000
"""A fact later than this after its send is not counted: SES reports opens and clicks for 60 days."""

STALE_MS: Final = 78 * 24 * 3_600_000
"""A record whose own Kafka time is later than this after its send states nothing."""

REMEMBERED_MS: Final = 14 * 24 * 3_600_000
"""State that recognizes duplicates is kept so long after its last write (`GRACE` in
`aggregator/counters/apply.lua`). What brings older records back may count them twice: a redrive refuses that,
and a rebuild starts over."""

FUTURE_MS: Final = 24 * 3_600_000
"""A fact later than this after its record's own Kafka time is a wrong clock, not a fact."""
