"""Whether SES would worry about a sender: the rates that it watches, each against two thresholds. Pure.

SES reviews accounts from a bounce rate of 5 % on and may pause them from 10 % on; of complaints the same at
0.1 % and 0.5 % (SES developer guide, "Reputation metrics"). Its bounce rate counts hard bounces alone. Few
mails say little: one bounce of ten is no trouble.
"""

from typing import Final, Literal, NamedTuple, TypedDict

Status = Literal["healthy", "warning", "critical", "insufficient_data"]

SENT_LEAST: Final = 1_000
"""Recipients sent to, below which nothing is said."""


class Thresholds(NamedTuple):
    """The rates, of 1,000, from which on (themselves included) a sender is in `warning`, and `critical`.

    They are whole numbers, so that counts are held against them without a rate that was rounded.
    """

    warning_of_1000: int
    critical_of_1000: int

    @property
    def warning(self) -> float:
        """The first as a rate."""
        return self.warning_of_1000 / 1_000

    @property
    def critical(self) -> float:
        """The second as a rate."""
        return self.critical_of_1000 / 1_000


BOUNCE: Final = Thresholds(50, 100)
COMPLAINT: Final = Thresholds(1, 5)

COUNTED: Final = ("sent", "delivered", "bounced_hard", "complained")
"""The fields that health follows from, as `health_of` takes them."""


class Watched(TypedDict):
    """One rate. rate: null where nothing can be said."""

    rate: float | None
    status: Status


class Health(TypedDict):
    """bounce: bounced_hard / sent; complaint: complained / delivered."""

    bounce: Watched
    complaint: Watched


def health_of(sent: int, delivered: int, bounced_hard: int, complained: int) -> Health:
    """The health of a sender over some time, from its counts in that time."""
    is_enough = sent >= SENT_LEAST
    return {
        "bounce": _watched(bounced_hard, sent if is_enough else 0, BOUNCE),
        "complaint": _watched(complained, delivered if is_enough else 0, COMPLAINT),
    }


def _watched(part: int, base: int, thresholds: Thresholds) -> Watched:
    if not base:
        return {"rate": None, "status": "insufficient_data"}
    rate = part / base
    if part * 1_000 >= base * thresholds.critical_of_1000:
        return {"rate": rate, "status": "critical"}
    is_near = part * 1_000 >= base * thresholds.warning_of_1000
    return {"rate": rate, "status": "warning" if is_near else "healthy"}
