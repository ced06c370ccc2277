"""What each field means to whoever reads numbers: words for people, and the rate that it is a part of.

It stands beside the table of kinds and not in it, as that table is in the fingerprint of the rules: a better
word here must not ask for a rebuild. The glossary (`GET /api/metrics/fields`), the description of the API and
the rates of answers are all made from this; a kind without a meaning is refused at import.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from schemas.kinds import FIELDS, Kind

Unit = Literal["recipients", "messages"]


class Rate(NamedTuple):
    """A rate, whose part is the field that has it. name: in the API. base: the field that is divided by."""

    name: str
    base: str


class Meaning(NamedTuple):
    """description: a sentence for people. rate: the one that the field is the part of, where there is one."""

    description: str
    rate: Rate | None = None


MEANINGS: Final[Mapping[str, Meaning]] = {
    "sent": Meaning("Mails handed to SES, by recipient."),
    "delivered": Meaning(
        "Mails that the recipient's mail server took, by recipient.", Rate("delivery", "sent")
    ),
    "opened": Meaning("Unique opens, by message.", Rate("open", "delivered")),
    "clicked": Meaning("Unique clicks, by message.", Rate("click", "delivered")),
    "bounced": Meaning("Hard and soft bounces, by recipient.", Rate("bounce", "sent")),
    "complained": Meaning("Spam complaints, by recipient.", Rate("complaint", "delivered")),
    "bounced_hard": Meaning(
        "Bounces for good, such as of an address that there is not, by recipient. SES suspends who has many.",
        Rate("hard_bounce", "sent"),
    ),
    "suppressed": Meaning(
        "Mails that SES did not try to deliver, by recipient: the address is on a suppression list of the "
        "account or the tenant, failed validation, or has unsubscribed."
    ),
    "bounced_soft": Meaning("Bounces that may pass, such as of a full mailbox, by recipient."),
    "bounced_undetermined": Meaning("Bounces of which SES cannot say whether they pass, by recipient."),
    "delayed": Meaning("Mails that were not delivered at once and are tried again, by recipient."),
    "rejected": Meaning("Mails that SES took and did not send, such as for a virus, by recipient."),
    "rendering_failed": Meaning("Mails that could not be made from their template, by recipient."),
    "unsubscribed": Meaning("Unsubscribes from all topics by SES's own link, by message."),
    "opened_human": Meaning(
        "Unique opens that no machine made, such as a mail filter or a relay, by message.",
        Rate("human_open", "delivered"),
    ),
    "clicked_human": Meaning(
        "Unique clicks that no machine made, such as a scanner of links, by message.",
        Rate("human_click", "delivered"),
    ),
}
"""By field, in the order of the table of kinds."""

assert tuple(MEANINGS) == FIELDS, "each kind has a meaning, in the order of the table"

RATES: Final[Mapping[str, tuple[str, str]]] = {
    meaning.rate.name: (field, meaning.rate.base) for field, meaning in MEANINGS.items() if meaning.rate
}
"""Name to the fields of its part and of its base."""


def unit_of(kind: Kind) -> Unit:
    """What a kind counts."""
    return "messages" if kind.per_message else "recipients"


def formula_of(rate: str) -> str:
    """The formula of one of `RATES`, as people read it: `opened / delivered`."""
    return " / ".join(RATES[rate])
