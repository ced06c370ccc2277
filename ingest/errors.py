"""What can go wrong with a delivery, named for what SNS does next.

Law: SNS takes every answer from 200 to 499 for "delivered" and never sends that message again; it tries
again after a 5xx, a closed connection or 15 s of silence (SNS developer guide, "Message delivery
retries"). So a 4xx is said only where trying again could never help. Whatever may be our own trouble, or
the network's, is `TryAgain`: a 4xx there would lose the event.
"""

from typing import ClassVar, Literal, TypeAlias

Reason: TypeAlias = Literal[
    "bad_signature",
    "busy",
    "certificate",
    "certificate_url",
    "confirmation",
    "invalid_envelope",
    "kafka",
    "raw_delivery",
    "signature_version",
    "too_large",
    "too_slow",
    "unlisted_topic",
    "unsigned",
]
"""Every word for what went wrong: a label of a metric, which is born with all of them."""


class Problem(Exception):  # noqa: N818 - named for what SNS does next, not for a fault
    """A delivery that is not answered with 200.

    reason: one word for metrics and logs; detail: a sentence for the person who reads the answer.
    """

    status: ClassVar[int]
    closes: ClassVar[bool] = False
    """Whether the connection ends with the answer, so that the rest of the body is not waited for."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail

    @property
    def code(self) -> str:
        """The word of the answer that programs compare."""
        return self.reason.upper()


class NotAnEnvelope(Problem):
    """The body is no SNS envelope, whoever sent it."""

    status = 400


class Refused(Problem):
    """The envelope does not prove that it is SNS's word about one of our topics."""

    status = 403


class TooLarge(Problem):
    """The body is larger than any envelope that SNS delivers over HTTP."""

    status = 413
    closes = True


class TryAgain(Problem):
    """Nothing is known against the message: SNS should deliver it again."""

    status = 503

    @property
    def code(self) -> str:
        """One word for all that passes, as on every program."""
        return "UNAVAILABLE"


class TooSlow(TryAgain):
    """The body did not arrive in time."""

    closes = True


class Busy(TryAgain):
    """There was no room for the body."""

    closes = True
