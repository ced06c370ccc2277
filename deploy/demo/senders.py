"""Who sends what: three made-up tenants, as data.

One has a welcome series, a newsletter and receipts; one bought addresses once, and shows what that does to
its health; one sends too little for a verdict.
"""

from dataclasses import dataclass
from typing import Final

from deploy.letters import Fate

DAILY: Final = (1, 1, 1, 1, 1, 2, 4, 7, 9, 10, 10, 9, 9, 8, 8, 8, 9, 10, 11, 11, 9, 6, 4, 2)
MORNING: Final = (0, 0, 0, 0, 0, 0, 0, 0, 6, 9, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
"""Weights of the hours of a day (UTC): when people do things, and when a newsletter goes out."""

MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = range(7)


@dataclass(frozen=True)
class Mailing:
    """A kind of mail and when it is sent: each day, on one day of the week, or once."""

    template: str
    subject: str
    mails: int
    """On a day on which it is sent, before what the weekend and the growth of the sender make of it."""

    fate: Fate
    sequence: str | None = None
    step: str | None = None
    campaign: str | None = None
    """`{day}` becomes the date."""

    weekday: int | None = None
    """None: each day."""

    days_ago: int | None = None
    """Sent once, so many days before the demo was first started; none: again and again."""

    rhythm: tuple[int, ...] = DAILY


@dataclass(frozen=True)
class Sender:
    """A tenant and its mailings."""

    tenant: str
    domain: str
    mailings: tuple[Mailing, ...]
    says_machines: bool = True
    """Whether SES says of its opens that a machine made them."""


WELCOME: Final = Fate(hard=0.012, soft=0.01, opens=0.55, clicks=0.3, leaves=0.015)
NEWSLETTER: Final = Fate(opens=0.33, clicks=0.18, leaves=0.012, complaints=0.0004)
RECEIPT: Final = Fate(hard=0.002, opens=0.62, clicks=0.12, leaves=0.0, complaints=0.0)
BOUGHT: Final = Fate(
    hard=0.31,
    suppressed=0.04,
    soft=0.05,
    undetermined=0.01,
    complaints=0.014,
    scanned=0.12,
    opens=0.07,
    leaves=0.1,
)
"""Addresses that somebody sold: a third of them does not exist."""

SENDERS: Final = (
    Sender(
        "harbor-books",
        "harbor-books.example",
        (
            Mailing("welcome-day-0", "Your reading list is ready", 66, WELCOME, "welcome", "day-0"),
            Mailing("welcome-day-3", "Three books that others finished", 62, WELCOME, "welcome", "day-3"),
            Mailing("welcome-day-10", "Where do you read?", 57, WELCOME, "welcome", "day-10"),
            Mailing(
                "newsletter",
                "New on the shelf this week",
                2_100,
                NEWSLETTER,
                campaign="shelf-{day}",
                weekday=TUESDAY,
                rhythm=MORNING,
            ),
            Mailing("order-receipt", "Receipt for your order", 120, RECEIPT),
        ),
    ),
    Sender(
        "fjord-travel",
        "post.fjord-travel.example",
        (
            Mailing(
                "packing-list",
                "Seven days to go: what to pack",
                34,
                WELCOME,
                "trip-countdown",
                "7-days-before",
            ),
            Mailing(
                "boarding-times",
                "Tomorrow: your boarding times",
                34,
                RECEIPT,
                "trip-countdown",
                "1-day-before",
            ),
            Mailing(
                "newsletter",
                "Light in the north",
                1_000,
                NEWSLETTER,
                campaign="north-{day}",
                weekday=THURSDAY,
                rhythm=MORNING,
            ),
            Mailing(
                "last-minute",
                "Last cabins, half the price",
                2_400,
                BOUGHT,
                campaign="bought-addresses",
                days_ago=4,
                rhythm=MORNING,
            ),
        ),
    ),
    Sender(
        "kiln-and-clay",
        "kiln-and-clay.example",
        (
            Mailing(
                "course-reminder",
                "Your course begins on Thursday",
                12,
                WELCOME,
                "course-reminder",
                "reminder",
            ),
            Mailing("password-reset", "Set a new password", 7, RECEIPT),
        ),
        says_machines=False,
    ),
)
