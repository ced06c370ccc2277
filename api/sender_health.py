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
    """The rates from which on (themselves included) a sender is in `warning`, and `critical`."""

    warning: float
    critical: float


BOUNCE: Final = Thresholds(0.05, 0.10)
COMPLAINT: Final = Thresholds(0.001, 0.005)


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
    if rate >= thresholds.critical:
        return {"rate": rate, "status": "critical"}
    return {"rate": rate, "status": "warning" if rate >= thresholds.warning else "healthy"}
