"""How differently SES words events of one type: what the details are counted by, and how often each comes.

Each row says itself which kinds such an event states by the law of counting: whoever counts finds out.
"""

from typing import Final, NamedTuple

PREFETCH: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
)
"""Gmail, when a mail comes."""
PROXY: Final = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
PHONE: Final = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"
DESK: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
RELAY: Final = "Mozilla/5.0"
"""Apple's relay, which fetches whether anybody looks or not."""


class Bounce(NamedTuple):
    """A kind of bounce. share: of all bounces. field: what it states beside `bounced`."""

    share: float
    type: str
    subtype: str
    status: str
    said: str
    field: str


BOUNCES: Final = (
    Bounce(0.40, "Permanent", "General", "5.1.1", "smtp; 550 5.1.1 no such mailbox", "bounced_hard"),
    Bounce(0.10, "Permanent", "NoEmail", "5.1.1", "smtp; 550 5.1.1 no such user here", "bounced_hard"),
    Bounce(0.05, "Permanent", "Suppressed", "5.1.1", "the address has bounced lately", "bounced_hard"),
    Bounce(0.12, "Permanent", "OnAccountSuppressionList", "5.1.1", "on your suppression list", "suppressed"),
    Bounce(0.03, "Permanent", "UnsubscribedRecipient", "5.1.1", "on no contact list", "suppressed"),
    Bounce(0.15, "Transient", "MailboxFull", "4.2.2", "smtp; 452 4.2.2 over quota", "bounced_soft"),
    Bounce(0.10, "Transient", "General", "4.4.7", "smtp; 421 4.4.7 not delivered in time", "bounced_soft"),
    Bounce(0.05, "Undetermined", "Undetermined", "5.0.0", "smtp; 554 refused", "bounced_undetermined"),
)


class Reader(NamedTuple):
    """Who opens or clicks. share: of all. is_bot: what SES says, nothing in events of before August 2026."""

    share: float
    is_bot: str | None
    agent: str
    is_human: bool


READERS: Final = (
    Reader(0.20, "Likely", RELAY, is_human=False),
    Reader(0.06, "Likely", PREFETCH, is_human=False),
    Reader(0.04, "Likely", DESK, is_human=False),
    Reader(0.18, "Unlikely", PROXY, is_human=True),
    Reader(0.14, "Unlikely", PHONE, is_human=True),
    Reader(0.06, "Unlikely", DESK, is_human=True),
    Reader(0.02, "Unlikely", RELAY, is_human=True),
    Reader(0.10, None, RELAY, is_human=False),
    Reader(0.04, None, PREFETCH, is_human=False),
    Reader(0.08, None, PROXY, is_human=True),
    Reader(0.08, None, DESK, is_human=True),
)


class Subscription(NamedTuple):
    """What a reader does to the preferences. share: of all. is_all: whether of all topics."""

    share: float
    is_all: bool


SUBSCRIPTIONS: Final = (Subscription(0.8, is_all=True), Subscription(0.2, is_all=False))
